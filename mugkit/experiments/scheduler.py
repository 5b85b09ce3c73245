"""Computes many runs: each shared stage once, and each task as soon as its inputs are there."""

import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

from mugkit import files, pools
from mugkit.config import RunSpec
from mugkit.errors import UserError
from mugkit.experiments.execution import LOCAL, ExecutionConfig, Slot
from mugkit.experiments.experiment import Run, finish, work
from mugkit.experiments.registry import Experiment
from mugkit.experiments.run_store import Store, warn_stale
from mugkit.progress import progress
from mugkit.training.label_sources.source import LearnedLabels

Stage = Literal["pretrain", "labels", "train"]
STAGES: tuple[Stage, ...] = ("pretrain", "labels", "train")
VISIBLE_WITHIN = 90.0  # seconds; network file systems cache the content of a folder for up to a minute
_SHARED = "set MUGKIT_HOME to a path that all nodes and this machine share"
# Sets an experiment up with a store and a device, here or on a node: a module-level function, or a partial of one.
Recipe = Callable[[Store, str], Experiment]
Wanted = Sequence[tuple[Recipe, Stage]]  # runs, each with its last stage wanted


@dataclass(frozen=True)
class Task:
    """One stage of one run.

    Attributes:
        spec: the specification of the run, which the recipe sets up.
        folder: the folder for its result.
        needs: the folder of the stage before it, if that must be computed first.
    """

    stage: Stage
    spec: RunSpec
    recipe: Recipe = field(compare=False)
    folder: Path
    needs: Path | None

    def __str__(self) -> str:
        return f"{self.spec.system} on {self.spec.dataset}, seed {self.spec.seed}, {self.stage}"


def plan(wanted: Wanted, store: Store, device: str) -> list[Task]:
    """Lists what is missing, once even if several runs share it; stages in order, so that a task follows what it needs.

    A stage begins with one task for each text encoder. A frozen encoder reads a split's texts once, and other tasks
    that need them wait. This order lets one worker read texts with one encoder while another uses the next encoder.
    """
    found: dict[Path, Task] = {}
    begins: dict[tuple[Stage, str], Path] = {}
    for recipe, last in wanted:
        experiment = recipe(store, device)
        before = None
        for stage in STAGES[: STAGES.index(last) + 1]:
            if stage not in experiment.stages:
                continue
            folder = experiment.folder(stage)
            if folder not in found and not store.intact(folder):
                if not folder.exists():
                    warn_stale(folder.parent, experiment.stages[stage][0])
                found[folder] = Task(stage, experiment.spec, recipe, folder, before)
                begins.setdefault((stage, experiment.hp.network.text_encoder), folder)
            before = folder if folder in found else None
    first = set(begins.values())
    return sorted(found.values(), key=lambda task: (STAGES.index(task.stage), task.folder not in first))


def run_task(task: Task, root: Path, device: str) -> None:
    """Computes one task; stages before it that are not stored are computed too.

    Raises:
        UserError: if the run has another identity here, as this node's code, data or text encoder differ.
    """
    experiment = task.recipe(Store(root), device)
    if experiment.folder(task.stage) != task.folder:
        what = f"{socket.gethostname()} has another version of mugkit, of '{task.spec.dataset}' or of the text encoder"
        fix = "install the same version on all nodes, and set MUGKIT_HOME to a path that all of them share"
        raise UserError(what, file=files.home(), fix=fix)
    _, compute = experiment.stages[task.stage]
    compute()


def wait_until_visible(folder: Path) -> bool:
    """Whether a task's result is visible here. Network file systems may show it late; listing the folder helps."""
    until = time.monotonic() + VISIBLE_WITHIN
    while True:
        if folder.parent.is_dir() and folder.name in os.listdir(folder.parent):  # noqa: PTH208
            return True
        if time.monotonic() > until:
            return False
        time.sleep(0.5)


class Scheduler:
    """Submits tasks to executors; iterating over it computes them and yields each task when it ends.

    Attributes:
        failed: folder → what went wrong. A task whose predecessor failed is also yielded, but is not listed here.
    """

    def __init__(self, tasks: Sequence[Task], slots: Sequence[Slot], store: Store, device: str) -> None:
        self._compute = partial(run_task, root=store.root, device=device)
        self._free = list(slots)
        self._pools: set[Executor] = set()
        self._waiting = {task.folder: task for task in tasks}
        self._running: dict[Future[None], tuple[Task, Slot, Executor]] = {}
        self._lost: Counter[Path] = Counter()
        self._gone: set[Path] = set()
        self.failed: dict[Path, str] = {}

    def __iter__(self) -> Iterator[Task]:
        try:
            while self._waiting or self._running:
                yield from self._drop()
                self._hand_out()
                yield from self._collect()
        except BaseException:
            for pool in list(self._pools):
                self._give_up(pool)
            raise

    def _drop(self) -> Iterator[Task]:
        """Yields tasks that can never start, because one that they need failed."""
        for task in list(self._waiting.values()):
            if task.needs in self._gone:
                self._gone.add(task.folder)
                yield self._waiting.pop(task.folder)

    def _hand_out(self) -> None:
        for task in list(self._waiting.values()):
            if not self._free:
                return
            pending = {running.folder for running, _, _ in self._running.values()} | set(self._waiting)
            if task.needs not in pending:
                del self._waiting[task.folder]
                self._submit(task, self._free.pop(0))

    def _submit(self, task: Task, slot: Slot) -> None:
        pool = slot()
        self._pools.add(pool)
        try:
            self._running[pool.submit(self._compute, task)] = task, slot, pool
        except BrokenExecutor:  # it lost an idle worker
            self._give_up(pool)
            self._submit(task, slot)

    def _give_up(self, pool: Executor) -> None:
        self._pools.discard(pool)
        pools.shutdown_now(pool)

    def _collect(self) -> Iterator[Task]:
        """Waits for a task to end; yields those that have ended for good."""
        for future in wait(self._running, return_when=FIRST_COMPLETED).done:
            (task, slot, pool), error = self._running.pop(future), future.exception()
            self._free.append(slot)
            if isinstance(error, BrokenExecutor):
                self._give_up(pool)
                self._lost[task.folder] += 1
                if self._lost[task.folder] < pools.ATTEMPTS:
                    self._waiting[task.folder] = task
                    continue
            if error is None and not wait_until_visible(task.folder):
                error = UserError("computed, but not to be seen here", file=task.folder, fix=_SHARED)
            if error is not None:
                self._gone.add(task.folder)
                self.failed[task.folder] = f"{task}: {getattr(error, 'cause', None) or error}"
            yield task


def compute(wanted: Wanted, store: Store, execution: ExecutionConfig) -> set[Path]:
    """Computes what is missing; returns its folders.

    Raises:
        UserError: if some tasks failed; all others are finished by then.
    """
    files.remove_stale_temporaries(store.root)  # also if nothing is missing: killed processes may have left some
    tasks = plan(wanted, store, execution.device)
    if not tasks:
        return set()
    scheduler = Scheduler(tasks, execution.slots([task.spec for task in tasks]), store, execution.device)
    for _ in progress(scheduler, "runs", total=len(tasks)):
        pass
    if scheduler.failed:
        failed = "\n  ".join(scheduler.failed.values())
        raise UserError(f"some runs failed, all others are finished:\n  {failed}", fix="fix the cause and run again")
    return {task.folder for task in tasks}


def run_recipes(recipes: Sequence[Recipe], execution: ExecutionConfig, store: Store, learn: Wanted = ()) -> list[Run]:
    """Like `run_all`, from recipes."""
    fresh = compute([*learn, *((recipe, "train") for recipe in recipes)], store, execution)
    runs = [finish(recipe(store, execution.device)) for recipe in recipes]
    return [replace(run, reused=run.folder not in fresh) for run in runs]


def run_all(
    specs: Sequence[RunSpec], execution: ExecutionConfig = LOCAL, *, store: Store | None = None,
    learn: Sequence[RunSpec] = (),
) -> list[Run]:  # fmt: skip
    """Computes many runs; stages that several runs share run once. Finished runs are reused, interrupted ones resume.

    Args:
        learn: further runs, of which only stages 1 and 2 are computed.

    Raises:
        UserError: if a specification is wrong (before anything runs), or if some runs failed (all others are finished
            and stored by then).
    """
    recipes = [partial(work, spec) for spec in specs]
    return run_recipes(
        recipes, execution, store or Store.default(), [(partial(work, spec), "labels") for spec in learn]
    )


def learn_all(specs: Sequence[RunSpec], execution: ExecutionConfig = LOCAL) -> list[LearnedLabels]:
    """Computes stages 1 and 2 of many runs, e.g. over seeds; stored results are reused.

    Raises:
        UserError: if some failed (all others are finished and stored by then).
    """
    compute([(partial(work, spec), "labels") for spec in specs], Store.default(), execution)
    return [LearnedLabels.load(work(spec, device=execution.device).learned_labels()) for spec in specs]
