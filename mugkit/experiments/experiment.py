"""Computes a single run."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mugkit.config import RunSpec
from mugkit.data.schema import Dataset
from mugkit.data.store import folder_of, load
from mugkit.errors import UserError
from mugkit.experiments.registry import Experiment
from mugkit.experiments.run_store import Store, read_result


@dataclass(frozen=True, repr=False)
class Run:
    """A finished run.

    Attributes:
        folder: the folder of its artifacts.
        metrics: metrics on the test split; None where one is undefined.
        best_epoch: the epoch of the chosen weights.
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
    """Loads a data set, cached until it is prepared again; verifies it, else altered frames would go unnoticed."""
    return load(name, verify=True)


def work(spec: RunSpec, store: Store | None = None, device: str = "auto") -> Experiment:
    """The experiment of a specification, with its data set and store; checked."""
    manifest = folder_of(spec.dataset) / "dataset.json"
    prepared = manifest.stat().st_mtime_ns if manifest.is_file() else 0
    found = Experiment(spec, _dataset(spec.dataset, prepared), store or Store.default(), device)
    _ = found.hp  # rejects an unknown system, profile or field before any work starts
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
    """Computes the missing stages of a run in this process; stored stages are reused."""
    reused = experiment.finished()
    folder = experiment.result()
    result = read_result(folder)
    return Run(experiment.spec, folder, result["metrics"], result["valid_metrics"], result["best_epoch"], reused)


def run(spec: RunSpec, store: Store | None = None, device: str = "auto") -> Run:
    """Computes one run in this process; stored stages are reused."""
    return finish(work(spec, store, device))
