"""One run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mugkit.config import RunSpec
from mugkit.data.schema import Dataset
from mugkit.data.store import folder_of, load
from mugkit.errors import UserError
from mugkit.experiments.registry import Experiment
from mugkit.experiments.store import Store, read_result


@dataclass(frozen=True, repr=False)
class Run:
    """A finished run.

    Attributes:
        spec: what was asked for.
        folder: where its artifacts lie.
        metrics: of the test split.
        valid_metrics: of the validation split.
        best_epoch: of the chosen weights.
        reused: whether it was already in the store.
    """

    spec: RunSpec
    folder: Path
    metrics: dict[str, float | None]
    valid_metrics: dict[str, float | None]
    best_epoch: int
    reused: bool

    def __repr__(self) -> str:
        scores = ", ".join(f"{name} {value:.3f}" for name, value in self.metrics.items() if value is not None)
        return f"Run({self.spec.system} on {self.spec.dataset}, seed {self.spec.seed}: test {scores})"


@lru_cache(maxsize=4)
def _dataset(name: str, _prepared: int) -> Dataset:
    """A data set, read once for each time it was prepared; altered frames would be trained on in silence."""
    return load(name, verify=True)


def work(spec: RunSpec, store: Store | None = None, device: str = "auto") -> Experiment:
    """A specification with its data set and store, checked."""
    manifest = folder_of(spec.dataset) / "dataset.json"
    prepared = manifest.stat().st_mtime_ns if manifest.is_file() else 0
    found = Experiment(spec, _dataset(spec.dataset, prepared), store or Store.default(), device)
    _ = found.hp  # an unknown system, profile or field is refused here, before any work starts
    found.dataset.require(found.system.needs, f"system '{spec.system}'")
    return found


def missing(spec: RunSpec) -> str:
    """What a run lacks on this machine (a modality or labels of the data, a text encoder) and how to get it, or ''."""
    try:
        work(spec).check()
    except UserError as error:
        return error.fix or str(error)
    return ""


def finish(experiment: Experiment) -> Run:
    """Computes in this process what is missing of a run; stages that are stored are reused."""
    reused = experiment.finished()
    folder = experiment.result()
    result = read_result(folder)
    return Run(experiment.spec, folder, result["metrics"], result["valid_metrics"], result["best_epoch"], reused)


def run(spec: RunSpec, store: Store | None = None, device: str = "auto") -> Run:
    """One run, in this process; stages that are stored are reused."""
    return finish(work(spec, store, device))
