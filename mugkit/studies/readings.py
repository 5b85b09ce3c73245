"""Two readings of Eq. 11: its gradient stops at x_m alone, or at x too, and what follows for stages 1 to 3.

The paper stops the gradient at the target x_m and says nothing of x, from which x_m′ is projected. Section 4.9 observes
two things that a reading has to reproduce: the gap narrows, and x_m stays as it was. Beside these (`embedding.claims`)
stands what each reading does to the validation error of stage 3, which takes no true labels to know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mugkit.config import RunSpec, repeated
from mugkit.data.schema import Dataset
from mugkit.evaluation import comparison, formats, label_quality
from mugkit.evaluation.statistics import mean_std
from mugkit.evaluation.verdicts import word
from mugkit.experiments.experiment import Run
from mugkit.training.label_sources.source import LearnedLabels

PLAIN, PROJECTION, NETWORK = "without it", "stopped at x too", "stopped at x_m alone"
READINGS: Mapping[str, tuple[str, Mapping[str, Any]]] = {  # name → system, and fields that differ from its own
    PLAIN: ("mug-without-contrastive", {}),
    PROJECTION: ("mug", {"contrastive_gradient_scope": "projection"}),
    NETWORK: ("mug", {"contrastive_gradient_scope": "network"}),
}
OBSERVATIONS = ("gap", "target")  # of `embedding.CLAIMS`: the two that section 4.9 makes of the pictures


def specifications(dataset: str, profile: str) -> dict[str, list[RunSpec]]:
    """Reading → its runs, a study seed each, which is the seed of all three stages."""
    return {name: repeated(system, dataset, profile, changes) for name, (system, changes) in READINGS.items()}


def validation(dataset: Dataset, runs: Mapping[str, Sequence[Run]]) -> pd.DataFrame:
    """MAE of the validation split after stage 3: one row a reading, and its difference to no contrastive learning.

    Columns: reading, mean, std, n; what `comparison.compare` returns; verdict, whether the error is lower or higher.
    """
    rows = []
    for name, done in runs.items():
        summary = mean_std([run.valid_metrics["MAE"] for run in done])._asdict()
        row = {"reading": name, "metric": "MAE", **summary}
        found = comparison.of_runs(done, runs[PLAIN], dataset, split="valid") if name != PLAIN else {}
        rows.append({**row, **found, "verdict": word(found, "lower", "higher") if found else ""})
    return pd.DataFrame(rows)


def show_validation(table: pd.DataFrame) -> pd.DataFrame:
    """`validation` as people read it."""
    differences = comparison.columns(table)
    differences["difference"] = [text.replace("undefined", "–") for text in differences["difference"]]
    shown = {"validation MAE": formats.spreads("MAE", table["mean"], table["std"]), **differences}
    shown["than without"] = table["verdict"].replace("", "–").tolist()
    return pd.DataFrame(shown, index=pd.Index(table["reading"], name="contrastive learning"))


def labels(dataset: Dataset, learned: Mapping[str, Sequence[LearnedLabels]]) -> pd.DataFrame:
    """Learned labels against the true ones under each reading: `label_quality.compare` with the reading's name."""
    parts = [label_quality.compare(dataset, some).assign(reading=name) for name, some in learned.items()]
    return pd.concat(parts, ignore_index=True)


def show_labels(table: pd.DataFrame) -> pd.DataFrame:
    """`labels` as people read it: readings down; modalities and measures across."""
    cells = table.assign(value=formats.spreads("MAE", table["mucn"], table["mucn_std"]))
    wide = cells.pivot(index="reading", columns=["measure", "modality"], values="value")
    return wide.loc[list(dict.fromkeys(table["reading"]))].rename_axis(index="contrastive learning")
