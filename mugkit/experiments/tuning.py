"""Chooses hyperparameters on validation: every system gets the same number of full trials, and no test score is read.

`mugkit tune` runs a system's random trials with one seed, runs the best ones with more seeds (with one, lucky
initialisations would win), and records the winner in `chosen.json`, from which later runs take their values.

The search draws what the network, its optimizer and its loss read. What only the label learner reads (stages 1 and 2)
keeps Table 2's values: `figures/README.md`, "What was not blind", says why. Of the drawn fields, β spans four decades
and is the least well known after a random search. So a system with unimodal tasks tries `BETAS` at the best.
"""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from mugkit import files
from mugkit.config import CHOSEN, profile
from mugkit.data.store import load
from mugkit.experiments import registry
from mugkit.experiments import search as searching
from mugkit.experiments.execution import LOCAL, ExecutionConfig
from mugkit.experiments.registry import SYSTEMS
from mugkit.experiments.search import Search, of_training

TRIALS = 20  # for every system; as many as the slowest one allows
FINALISTS = 3  # of these, run with every study seed of the profile
BETAS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # from Table 2's smallest to the largest of section 4.10


def tunable() -> list[str]:
    """The systems with hyperparameters of their own: those in the tables that are no ablation of MUG."""
    return [name for name, found in SYSTEMS.items() if found.tuned_as == name]


def tune(
    system: str, dataset: str, profile_name: str, trials: int = TRIALS, seed: int = 1111,
    execution: ExecutionConfig = LOCAL,
) -> Search:  # fmt: skip
    """Runs random trials; with unimodal tasks the last ones vary β at the best of the others. The best get more seeds.

    Raises:
        UserError: see `search.search`.
    """
    space = of_training(registry.system(system))
    weighs = "beta" in space and trials > len(BETAS)
    drawn = trials - len(BETAS) if weighs else trials
    found = searching.search(system, dataset, profile_name, drawn, seed, execution, space)
    if weighs:
        values = [{**found.best.values, "beta": beta} for beta in BETAS]
        pairs = [(each, searching.trial(system, dataset, profile_name, each)) for each in values]
        found = replace(found, trials=found.trials + searching.run_trials(pairs, execution, first=drawn))
    return replace(found, finals=_finals(found, execution))


def _finals(found: Search, execution: ExecutionConfig) -> dict[int, list[float]]:
    """The validation errors of the best trials, one per study seed of stage 3 (stages 1 and 2 keep the trial's)."""
    best = sorted(found.finished, key=lambda trial: trial.valid)[:FINALISTS]
    seeds = profile(found.base.profile).study_seeds
    specs = [replace(searching.specification(found, trial), seed=seed) for trial in best for seed in seeds]
    errors = [searching.error(run.valid_metrics) if run else math.nan for run in searching.finished(specs, execution)]
    return {trial.number: errors[i * len(seeds) : (i + 1) * len(seeds)] for i, trial in enumerate(best)}


def record(found: Search, place: Path = CHOSEN) -> dict[str, Any]:
    """Writes the best trial of a search into `chosen.json`; entries of other systems stay."""
    base, best = found.base, found.best
    entry = {
        "values": dict(best.values),
        "valid": round(found.score(best), 4),
        "seeds": len(found.finals.get(best.number, [best.valid])),
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
    """The values chosen for every system on a family of data sets, the best on validation first; may have no rows.

    Columns: system (its row in tables), learning_rate, batch_size, weight_decay, valid (MAE, mean over seeds), trials,
    fields (how many hyperparameters these trials vary).
    """
    found = files.read_json(place).get(profile, {}).get(family, {})
    shared = ("learning_rate", "batch_size", "weight_decay")
    rows = [
        {"system": SYSTEMS[name].row, **{field: entry["values"][field] for field in shared}}
        | {"valid": entry["valid"], "trials": entry["trials"], "fields": len(entry["values"])}
        for name, entry in found.items()
    ]
    columns = ["system", *shared, "valid", "trials", "fields"]
    return pd.DataFrame(rows, columns=columns).sort_values("valid", ignore_index=True)


def chosen_table(chosen: pd.DataFrame) -> pd.DataFrame:
    """Formats `table`."""
    shown = {"learning rate": chosen["learning_rate"].map("{:g}".format), "batch size": chosen["batch_size"]}
    shown |= {"weight decay": chosen["weight_decay"].map("{:g}".format)}
    shown |= {"validation MAE, mean of seeds": chosen["valid"].map("{:.3f}".format)}
    shown |= {"trials": chosen["trials"], "fields": chosen["fields"]}
    return pd.DataFrame(shown).set_index(pd.Index(chosen["system"], name="system"))
