"""One run as a file that can be read without the machine it ran on: what, on which data, with which caveats."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from mugkit.data.schema import SPLITS, Dataset
from mugkit.engine import Run
from mugkit.metrics import HEADLINE
from mugkit.runs import versions
from mugkit.stages.training import choose_device
from mugkit.systems import configuration


def command(run: Run) -> str:
    """The command that repeats the run."""
    spec = run.spec
    changes = "".join(f" --set {name}={_written(value)}" for name, value in spec.changes)
    return (
        f"mugkit run --system {spec.system} --dataset {spec.dataset} --seed {spec.seed} "
        f"--label-seed {spec.label_seed} --profile {spec.profile}{changes}"
    )


def _written(value: Any) -> str:
    """A value as `--set` reads it."""
    return value if isinstance(value, str) else json.dumps(value)


def run_report(run: Run, dataset: Dataset, device: str = "auto") -> dict[str, Any]:
    """The run's specification, data with caveats, configuration, metrics and versions, as JSON."""
    kept = ("caption", "variant", "caveats", "split")
    return {
        "command": command(run),
        "data": {
            "name": dataset.name, "family": dataset.family, "fingerprint": dataset.fingerprint,
            "sizes": {name: len(dataset.splits[name]) for name in SPLITS}, "dims": dataset.dims,
            **{key: dataset.about[key] for key in kept if key in dataset.about},
        },
        "hyperparameters": asdict(configuration(run.spec, dataset.family)),
        "headline": list(HEADLINE[dataset.family]),
        "test": run.metrics, "valid": run.valid_metrics, "best_epoch": run.best_epoch,
        "versions": versions(), "device": str(choose_device(device)),
    }  # fmt: skip
