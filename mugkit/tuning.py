"""Hyperparameters chosen on validation: the same number of whole trials for every system, none of which shows the test.

`mugkit tune` draws a system's trials (`mugkit.search`), runs them, and records the best one in the package's
`chosen.json`, from which every later run of that system takes its values (`mugkit.config.chosen`).

Of one random search β, which spans four decades, is the worst known: a trial says as much about the fifteen other
fields. A system with unimodal tasks therefore draws fewer trials, and tries the values of section 4.10 at their best.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from mugkit import files
from mugkit import search as searching
from mugkit.config import CHOSEN
from mugkit.data.store import load
from mugkit.engine import LOCAL, ExecutionConfig
from mugkit.search import Search
from mugkit.search_space import of_system
from mugkit.systems import SYSTEMS

TRIALS = 12  # for every system: what the slowest one allows
BETAS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # from Table 2's smallest to the largest of section 4.10


def tunable() -> list[str]:
    """The systems with hyperparameters of their own: those of the tables that are no ablation of MUG."""
    return [name for name, one in SYSTEMS.items() if one.tuned_as == name]


def tune(
    system: str, dataset: str, profile_name: str, trials: int = TRIALS, seed: int = 1111,
    execution: ExecutionConfig = LOCAL,
) -> Search:  # fmt: skip
    """Random trials, and with unimodal tasks the last of them over β at the best of the others.

    Raises:
        UserError: see `search.search`.
    """
    weighs = "beta" in of_system(SYSTEMS[system]) and trials > len(BETAS)
    drawn = trials - len(BETAS) if weighs else trials
    found = searching.search(system, dataset, profile_name, drawn, seed, execution)
    if not weighs:
        return found
    values = [{**found.best.values, "beta": beta} for beta in BETAS]
    specs = [searching.trial(system, dataset, profile_name, one) for one in values]
    runs = searching.finished(specs, execution)
    more = [searching.tried(drawn + i, one, run) for i, (one, run) in enumerate(zip(values, runs, strict=True))]
    return replace(found, trials=found.trials + more)


def record(found: Search, place: Path = CHOSEN) -> dict[str, Any]:
    """Writes the best trial of a search into `chosen.json`; what it records of other systems stays."""
    base, best = found.base, found.best
    entry = {
        "values": dict(best.values),
        "valid": round(best.valid, 4),
        "trial": best.number,
        "trials": len(found.trials),
        "failed": len(found.trials) - len(found.finished),
        "command": f"mugkit tune --system {base.system} --dataset {base.dataset} --profile {base.profile}"
        f" --trials {len(found.trials)} --seed {found.seed}",
    }
    choices = files.read_json(place)
    family = load(base.dataset).family
    choices.setdefault(base.profile, {}).setdefault(family, {})[base.system] = entry
    files.write_json(place, choices)
    return entry


def table(family: str, profile: str, place: Path = CHOSEN) -> pd.DataFrame:
    """What was chosen for every system on a family of data sets, the best on validation first; may have no rows.

    Columns: system (its row in tables), learning_rate, batch_size, weight_decay, valid (MAE), trials.
    """
    found = files.read_json(place).get(profile, {}).get(family, {})
    shared = ("learning_rate", "batch_size", "weight_decay")
    rows = [
        {"system": SYSTEMS[name].row, **{field: one["values"][field] for field in shared}}
        | {"valid": one["valid"], "trials": one["trials"]}
        for name, one in found.items()
    ]
    columns = ["system", *shared, "valid", "trials"]
    return pd.DataFrame(rows, columns=columns).sort_values("valid", ignore_index=True)


def display(chosen: pd.DataFrame) -> pd.DataFrame:
    """The same as people read it."""
    shown = {"learning rate": chosen["learning_rate"].map("{:g}".format), "batch size": chosen["batch_size"]}
    shown |= {"weight decay": chosen["weight_decay"].map("{:g}".format)}
    shown |= {"validation MAE": chosen["valid"].map("{:.3f}".format), "trials": chosen["trials"]}
    return pd.DataFrame(shown).set_index(pd.Index(chosen["system"], name="system"))
