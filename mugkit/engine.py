"""Running many specifications: in this process, or spread over processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

from mugkit.config import RunSpec
from mugkit.data.schema import Dataset
from mugkit.data.store import folder_of, load
from mugkit.errors import UserError, unknown_name
from mugkit.runs import Store, read_result
from mugkit.stages.meta import LearnedLabels
from mugkit.stages.training import choose_device, progress
from mugkit.systems import Work

Part = Literal["pretrain", "labels", "train"]
PARTS: tuple[Part, ...] = ("pretrain", "labels", "train")
ENGINES = ("local",)


@dataclass(frozen=True)
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


@lru_cache(maxsize=4)
def _dataset(name: str, _prepared: int) -> Dataset:
    """A data set, read once for each time it was prepared."""
    return load(name)


def work(spec: RunSpec, store: Store | None = None, device: str = "auto") -> Work:
    """A specification with its data set and store, checked."""
    manifest = folder_of(spec.dataset) / "dataset.json"
    prepared = manifest.stat().st_mtime_ns if manifest.is_file() else 0
    found = Work(spec, _dataset(spec.dataset, prepared), store or Store.default(), device)
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


def run(spec: RunSpec, store: Store | None = None, device: str = "auto") -> Run:
    """One run, in this process; stages that are stored are reused."""
    todo = work(spec, store, device)
    reused = todo.finished()
    folder = todo.result()
    result = read_result(folder)
    return Run(spec, folder, result["metrics"], result["valid_metrics"], result["best_epoch"], reused)


def _do(spec: RunSpec, root: Path, part: Part, device: str) -> None:
    """One stage of one run, in a worker."""
    todo = work(spec, Store(root), device)
    {"pretrain": todo.representations, "labels": todo.learned_labels, "train": todo.result}[part]()


def _uses(todo: Work, part: Part) -> bool:
    """Whether a run needs a stage: those whose labels are not learned need stage 3 only."""
    return part == "train" or todo.system.labels == "mucn"


def _folder(todo: Work, part: Part) -> Path:
    """Where one stage of a run lies, or would lie."""
    identity = {"pretrain": todo.pretraining, "labels": todo.learning, "train": todo.training}[part]
    return todo.store.folder(part, identity)


def _missing(specs: Sequence[RunSpec], store: Store, part: Part, device: str) -> list[RunSpec]:
    """One specification for every stored thing that is not there yet; specs that share it appear once."""
    first: dict[Path, RunSpec] = {}
    for spec in specs:
        todo = work(spec, store, device)
        folder = _folder(todo, part)
        if _uses(todo, part) and not store.intact(folder):
            first.setdefault(folder, spec)
    return list(first.values())


def _spread(specs: list[RunSpec], store: Store, part: Part, device: str, workers: int) -> list[BaseException | None]:
    """One stage of many runs in a pool of processes; returns each one's error. The others finish all the same."""
    context = multiprocessing.get_context("spawn")  # fork and torch's threads do not go together
    with ProcessPoolExecutor(min(workers, len(specs)), mp_context=context, initializer=_quiet) as pool:
        futures = [pool.submit(_do, spec, store.root, part, device) for spec in specs]
        try:
            for _ in progress(as_completed(futures), part, total=len(specs)):
                pass
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)  # what has not begun never will
            raise
        return [future.exception() for future in futures]


def _one_by_one(specs: list[RunSpec], store: Store, part: Part, device: str) -> list[BaseException | None]:
    """The same in this process."""
    errors: list[BaseException | None] = []
    for spec in progress(specs, part):
        try:
            _do(spec, store.root, part, device)
            errors.append(None)
        except Exception as error:  # whatever it was, the other runs go on; it is told at the end
            errors.append(error)
    return errors


def _quiet() -> None:
    """Workers draw no bars: they would overwrite each other."""
    os.environ["MUGKIT_PROGRESS"] = "0"


def _workers(workers: int | None, device: str) -> int:
    """One process a core on a CPU, one on a GPU, unless said otherwise."""
    return workers or (1 if choose_device(device).type == "cuda" else (os.cpu_count() or 1))


def _advance(
    specs: Sequence[RunSpec], part: Part, store: Store, workers: int, device: str
) -> tuple[list[RunSpec], list[str]]:
    """Computes what is missing of one stage; returns the runs that can go on, and what failed, once each."""
    todo = _missing(specs, store, part, device)
    together = workers > 1 and len(todo) > 1
    errors = _spread(todo, store, part, device, workers) if together else _one_by_one(todo, store, part, device)
    failed = [(spec, error) for spec, error in zip(todo, errors, strict=True) if error is not None]
    told = [f"{spec.system} on {spec.dataset}, seed {spec.seed}, {part}: {error}" for spec, error in failed]
    gone = {_folder(work(spec, store, device), part) for spec, _ in failed}
    works = [work(spec, store, device) for spec in specs]
    return [one.spec for one in works if not (_uses(one, part) and _folder(one, part) in gone)], told


def _tell(failures: Sequence[str]) -> None:
    if failures:
        message = "some runs failed, all others are finished:\n  " + "\n  ".join(failures)
        raise UserError(message, fix="mend the cause and run again")


def learn_all(
    specs: Sequence[RunSpec], *, store: Store | None = None, workers: int | None = None, device: str = "auto"
) -> list[LearnedLabels]:
    """Stages 1 and 2 of many runs, e.g. over label seeds; stored ones are reused.

    Raises:
        UserError: some failed (all others are finished and stored by then).
    """
    store, workers = store or Store.default(), _workers(workers, device)
    alive, failures = list(specs), []
    for part in PARTS[:2]:
        alive, told = _advance(alive, part, store, workers, device)
        failures += told
    _tell(failures)
    return [LearnedLabels.load(work(spec, store, device).learned_labels()) for spec in progress(specs, "labels")]


def run_all(
    specs: Sequence[RunSpec],
    engine: str = "local",
    *,
    store: Store | None = None,
    workers: int | None = None,
    device: str = "auto",
) -> list[Run]:
    """Many runs; shared stages 1 and 2 first, each once. Finished runs are reused, interrupted ones resume.

    Args:
        engine: 'local' spreads runs over processes of this machine.
        workers: how many processes; by default one a core on a CPU, one on a GPU.

    Raises:
        UserError: an unknown engine; or some runs failed (all others are finished and stored by then).
    """
    if engine not in ENGINES:
        raise unknown_name("engine", engine, ENGINES)
    store, workers = store or Store.default(), _workers(workers, device)
    fresh = {_folder(work(spec, store, device), "train") for spec in _missing(specs, store, "train", device)}
    alive, failures = list(specs), []
    for part in PARTS:
        alive, told = _advance(alive, part, store, workers, device)
        failures += told
    _tell(failures)
    done = [run(spec, store, device) for spec in specs]
    return [replace(one, reused=one.folder not in fresh) for one in done]
