"""Computes many runs: each shared stage once, and each task as soon as its inputs are there."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import cycle, islice
from pathlib import Path

from mugkit import files, pools
from mugkit.config import RunSpec
from mugkit.device import choose_device
from mugkit.errors import UserError, unknown_name
from mugkit.experiments.experiment import Run, finish, work
from mugkit.experiments.resources import Resources, cards, on_cluster
from mugkit.experiments.store import Store
from mugkit.experiments.tasks import Recipe, Stage, Task, plan, run_task, wait_until_visible
from mugkit.progress import progress
from mugkit.training.label_sources.source import LearnedLabels

ENGINES = ("local", "ray")
_SHARED = "set MUGKIT_HOME to a path that all nodes and this machine share"
Slot = Callable[[], Executor]  # opens, or returns, the executor for a task; holds one task at a time


def workers_of(workers: int | None, device: str) -> int:
    """The number of processes: by default one per core on a CPU, and one on a GPU."""
    return workers or (1 if choose_device(device).type == "cuda" else (os.cpu_count() or 1))


@dataclass(frozen=True)
class ExecutionConfig:
    """Where runs are computed.

    Attributes:
        engine: 'local' spreads runs over processes of this machine, 'ray' over a Ray cluster.
        workers: number of processes; by default one per core on a CPU, and on GPUs as many as share the cards.
        address: address of the Ray cluster ('auto': the one this machine belongs to); '' starts one on this machine.
        resources: what each run asks for.

    Raises:
        UserError: if the engine is unknown.
    """

    engine: str = "local"
    workers: int | None = None
    device: str = "auto"
    address: str = ""
    resources: Resources = field(default_factory=Resources)

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise unknown_name("engine", self.engine, ENGINES)

    def slots(self, specs: Sequence[RunSpec], tasks: int) -> list[Slot]:
        """One slot for each task submitted at a time: a stage that others wait for must not queue behind stages that
        nothing waits for. A cluster takes all tasks that can start."""
        if self.engine == "ray":
            from mugkit.experiments.ray_executor import RayExecutor

            request = partial(on_cluster, self.resources, specs, self.device)
            return [cache(partial(RayExecutor, self.address, request))] * tasks
        found = cards(self.resources, specs, self.device)
        count = workers_of(self.workers or len(found) or None, self.device)
        if min(count, tasks) == 1:
            return [pools.SerialExecutor]
        chosen = list(islice(cycle(found or [None]), count))
        return [partial(pools.processes, chosen.count(card), card) for card in chosen]


LOCAL = ExecutionConfig()


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


def compute(
    recipes: Sequence[Recipe], until: Stage, store: Store, execution: ExecutionConfig, learn: Sequence[Recipe] = ()
) -> set[Path]:
    """Computes what is missing; returns its folders. The arguments are those of `plan`.

    Raises:
        UserError: if some tasks failed; all others are finished by then.
    """
    files.remove_stale_temporaries(store.root)  # also if nothing is missing: killed processes may have left some
    tasks = plan(recipes, store, execution.device, until, learn)
    if not tasks:
        return set()
    slots = execution.slots([task.spec for task in tasks], len(tasks))
    scheduler = Scheduler(tasks, slots, store, execution.device)
    for _ in progress(scheduler, "runs", total=len(tasks)):
        pass
    if scheduler.failed:
        failed = "\n  ".join(scheduler.failed.values())
        raise UserError(f"some runs failed, all others are finished:\n  {failed}", fix="fix the cause and run again")
    return {task.folder for task in tasks}


def finish_all(
    recipes: Sequence[Recipe], execution: ExecutionConfig, store: Store, learn: Sequence[Recipe] = ()
) -> list[Run]:
    """Like `run_all`, from recipes."""
    fresh = compute(recipes, "train", store, execution, learn)
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
    recipes, learned = ([partial(work, spec) for spec in some] for some in (specs, learn))
    return finish_all(recipes, execution, store or Store.default(), learned)


def learn_all(
    specs: Sequence[RunSpec], execution: ExecutionConfig = LOCAL, *, store: Store | None = None
) -> list[LearnedLabels]:
    """Computes stages 1 and 2 of many runs, e.g. over seeds; stored results are reused.

    Raises:
        UserError: if some failed (all others are finished and stored by then).
    """
    store = store or Store.default()
    compute([partial(work, spec) for spec in specs], "labels", store, execution)
    return [LearnedLabels.load(work(spec, store, execution.device).learned_labels()) for spec in specs]
