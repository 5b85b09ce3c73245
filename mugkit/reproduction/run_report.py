"""One run as a file that can be read without the machine it ran on: run, data, caveats, metrics."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from mugkit import metrics
from mugkit.data.schema import SPLITS, Dataset, SplitName
from mugkit.data.vocabulary import unknown
from mugkit.device import choose_device
from mugkit.evaluation import comparison
from mugkit.experiments.experiment import Run
from mugkit.experiments.registry import configuration
from mugkit.experiments.run_store import versions


def command(run: Run) -> str:
    """The command that repeats the run."""
    spec = run.spec
    values = {name: value if isinstance(value, str) else json.dumps(value) for name, value in spec.changes}
    changes = "".join(f" --set {shlex.quote(f'{name}={value}')}" for name, value in values.items())
    return (
        f"mugkit run --system {spec.system} --dataset {spec.dataset} --seed {spec.seed} "
        f"--label-seed {spec.label_seed} --profile {spec.profile} --preset {spec.preset}{changes}"
    )


def scores(run: Run) -> list[tuple[str, str, str]]:
    """Every metric on the test and the validation split, formatted for people."""
    pairs = {name: (value, run.valid_metrics[name]) for name, value in run.metrics.items()}
    shown = {name: ["undefined" if v is None else f"{v:.3f}" for v in pair] for name, pair in pairs.items()}
    return [(name, test, valid) for name, (test, valid) in shown.items()]


def undefined(run: Run, dataset: Dataset) -> dict[str, dict[str, str]]:
    """For each split with undefined metrics, these metrics and the reason why; empty if all are defined."""
    found = {}
    splits: tuple[SplitName, SplitName] = ("test", "valid")
    for split, values in zip(splits, (run.metrics, run.valid_metrics), strict=True):
        if None in values.values():
            (prediction,) = comparison.predictions([run.folder], dataset, split)
            found[split] = metrics.undefined(prediction, dataset.splits[split].labels, dataset.family)
    return found


def sentences(why: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The result of `undefined` as sentences, one per metric."""
    return [f"{name} of {split} is undefined: {reason}" for split, of in why.items() for name, reason in of.items()]


def run_report(
    run: Run, dataset: Dataset, device: str = "auto", why: Mapping[str, Mapping[str, str]] = MappingProxyType({})
) -> dict[str, Any]:
    """The run's specification, data with caveats, configuration, metrics and versions, as JSON."""
    kept = ("caption", "variant", "caveats", "split")
    hyperparameters = configuration(run.spec, dataset.family)
    found = unknown(dataset, hyperparameters.network.text_encoder)
    tokens = {"encoder": found.encoder, "share": found.share, "warning": found.warning} if found else None
    return {
        "command": command(run),
        "data": {
            "name": dataset.name, "family": dataset.family, "fingerprint": dataset.fingerprint,
            "sizes": {name: len(dataset.splits[name]) for name in SPLITS}, "dims": dataset.dims,
            **{key: dataset.about[key] for key in kept if key in dataset.about},
            "unknown_tokens": tokens,
        },
        "hyperparameters": asdict(hyperparameters),
        "headline": list(comparison.metrics_of(dataset.family)),
        "test": run.metrics, "valid": run.valid_metrics, "best_epoch": run.best_epoch,
        **({"undefined": dict(why)} if why else {}),
        "versions": versions(), "device": str(choose_device(device)),
    }  # fmt: skip
