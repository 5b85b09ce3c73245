"""Table 5's four steps at other settings of the dials of `reviews`, to compare with the default's.

The steps (`sentences.STEPS`) lead from no unimodal tasks over copies of y and MUG to true labels. Their effects do not
depend on the method alone, but also on how far modalities disagree and on how well they can be read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from mugkit.data.prepare import simulated
from mugkit.data.reviews import Dials
from mugkit.evaluation import comparison
from mugkit.evaluation.tables import Row, records
from mugkit.evaluation.verdicts import Difference, word, written
from mugkit.experiments.registry import SYSTEMS
from mugkit.studies.sentences import STEPS

# The part after `reviews-` in a prepared data set's name → the dials. The default is vivid and strong.
SETTINGS: Mapping[str, Dials] = {"vivid-sims": Dials("vivid", "sims"), "faint-sims": Dials("faint", "sims")}
SEEDS = 10  # the first of the default's seeds; every seed of MUG takes all three stages
COMPARED = tuple(dict.fromkeys(name for pair in STEPS.values() for name in pair))  # the systems of all steps


def prepared() -> list[str]:
    """Prepares the settings that are not prepared yet; returns the names of all."""
    return [simulated(dials) for dials in SETTINGS.values()]


def table(found: Mapping[str, Mapping[str, Sequence[Difference]]]) -> pd.DataFrame:
    """One row per setting, step and metric, with intervals and a verdict; `found`: setting → `sentences.steps`."""
    rows = [
        {"setting": setting, "step": step, **change, "verdict": word(change, "better", "worse")}
        for setting, steps in found.items()
        for step, changes in steps.items()
        for change in changes
    ]
    return pd.DataFrame(rows)


def step_table(found: pd.DataFrame) -> pd.DataFrame:
    """Formats `table`: MAE with both intervals, and Acc2 with the interval that decides."""
    errors, hits = (found[found["metric"] == name].reset_index(drop=True) for name in ("MAE", "Acc2"))
    steps = [" over ".join(SYSTEMS[name].row for name in STEPS[step]) for step in errors["step"]]
    shown = {"step": steps, **comparison.columns(errors), "MAE is": errors["verdict"]}
    shown["Acc2"] = list(map(written, records(hits)))
    return pd.DataFrame(shown).set_index(pd.Index(errors["setting"], name="data"))


def with_differences(rows: Sequence[Row], found: Mapping[str, Sequence[Difference]], dataset: str) -> list[Row]:
    """The rows of a table; a step's upper system on `dataset` gets its differences to the lower (`sentences.steps`)."""
    added: dict[str, dict[str, dict[str, Difference]]] = {}
    for step, changes in found.items():
        ours, theirs = (SYSTEMS[name].row for name in STEPS[step])
        added.setdefault(ours, {})[theirs] = {str(change["metric"]): change for change in changes}
    return [replace(row, differences=added.get(row.system, {})) if row.dataset == dataset else row for row in rows]
