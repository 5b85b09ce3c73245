"""Measures on MOSI's real words what unimodal labels are worth, with a text encoder that is trained, not frozen.

    mugkit prepare mosi --source mosi_lite_unaligned.pkl
    python data_prep/mosi_words.py --out figures/runs/mosi-words.json

Uses MOSI's official split with real transcripts and labels. Acoustic and visual features are those of the prepared data
set, whose caveats the result file lists. Rows: no unimodal tasks; copies of y; MUG. The last two use the β of Table 2
and the β chosen for `reviews`. Runs are stored one by one: after an interruption, the same command continues.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from mugkit import files
from mugkit.config import RunSpec, profile, repeated
from mugkit.data.store import load
from mugkit.evaluation import comparison, verdicts
from mugkit.experiments import scheduler
from mugkit.experiments.experiment import Run
from mugkit.experiments.run_store import versions

BETAS = (0.01, 1.0)
TRAINED_TEXT: dict[str, Any] = {"freeze_text": False, "text_learning_rate": 5e-5}
METRICS = ("MAE", "Acc2", "Corr")
NONE = "mug-without-unimodal"


def specifications(dataset: str, profile_name: str) -> dict[str, list[RunSpec]]:
    """Row → one run per study seed; a run uses its seed in all three stages."""
    rows: dict[str, tuple[str, dict[str, Any]]] = {NONE: (NONE, {})}
    rows |= {f"{system}, β = {beta:g}": (system, {"beta": beta}) for beta in BETAS for system in ("copy", "mug")}
    return {name: repeated(system, dataset, profile_name, TRAINED_TEXT | more) for name, (system, more) in rows.items()}


def level(runs: Sequence[Run]) -> dict[str, dict[str, float]]:
    """Metric of the test split → mean and standard deviation over seeds."""
    values = {name: [run.metrics[name] or np.nan for run in runs] for name in METRICS}
    return {name: {"mean": float(np.mean(v)), "std": float(np.std(v, ddof=1))} for name, v in values.items()}


def difference(runs: Sequence[Run], reference: Sequence[Run], dataset: str) -> list[dict[str, Any]]:
    """One difference per metric, with both intervals and a verdict."""
    found = [comparison.of_runs(runs, reference, load(dataset), metric) for metric in METRICS]
    return [change | {"verdict": verdicts.word(change, "better", "worse")} for change in found]


def main(
    out: Annotated[Path, typer.Option(help="the result file")],
    dataset: Annotated[str, typer.Option(help="a prepared data set of MOSI")] = "mosi",
    profile_name: Annotated[str, typer.Option("--profile", help="smoke, quick or paper")] = "quick",
) -> None:
    """Trains every row with all study seeds, and writes levels and paired differences."""
    found, specs = load(dataset), specifications(dataset, profile_name)
    done = iter(scheduler.run_all([spec for row in specs.values() for spec in row]))
    runs = {name: [next(done) for _ in row] for name, row in specs.items()}
    pairs = [(name, NONE) for name in runs if name != NONE]
    pairs += [(f"mug, β = {beta:g}", f"copy, β = {beta:g}") for beta in BETAS]
    files.write_json(out, {
        "command": f"python data_prep/mosi_words.py --dataset {dataset} --profile {profile_name} --out {out}",
        "data": found.about["caption"], "caveats": found.about["caveats"], "fingerprint": found.fingerprint,
        "clips": {name: len(split) for name, split in found.splits.items()},
        "configuration": {"profile": profile_name, "seeds": list(profile(profile_name).study_seeds), **TRAINED_TEXT},
        "versions": versions(),
        "levels": {name: level(of_row) for name, of_row in runs.items()},
        "differences": [
            {"row": row, "minus": other, **change}
            for row, other in pairs for change in difference(runs[row], runs[other], dataset)
        ],
    })  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
