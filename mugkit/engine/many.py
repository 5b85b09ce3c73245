"""Many runs: each shared stage once, each task as soon as what it needs is there."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mugkit import files, pools
from mugkit.config import RunSpec
from mugkit.device import choose_device
from mugkit.engine.share import AS_PROFILED, Share, cards, on_cluster
from mugkit.engine.single import Run, run, work
from mugkit.engine.tasks import Part, Task, arrived, perform, plan
from mugkit.errors import UserError, unknown_name
from mugkit.labels.source import LearnedLabels
from mugkit.progress import progress
from mugkit.runs import Store

ENGINES = ("local", "ray")
_SHARED = "set MUGKIT_HOME to a path that all nodes and this machine share"


@dataclass(frozen=True)
class Crew:
    """Who computes.

    Attributes:
        open: makes the pool; called again if it loses a worker.
        slots: tasks handed out at a time: a stage that others wait for must not queue behind those nothing waits for.
    """

    open: Callable[[], Executor]
    slots: int


class Execution:
    """Hands tasks to a crew; iterating over it computes them and yields each one that is over.

    Attributes:
        failed: by folder, what went wrong; a task whose predecessor failed is over too, but adds nothing here.
    """

    def __init__(self, tasks: Sequence[Task], crew: Crew, store: Store, device: str) -> None:
        self._crew, self._pool = crew, crew.open()
        self._compute = partial(perform, root=store.root, device=device)
        self._waiting = {task.folder: task for task in tasks}
        self._running: dict[Future[None], tuple[Task, Executor]] = {}
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
            pools.forget(self._pool)
            raise

    def _drop(self) -> Iterator[Task]:
        """Tasks that can never begin."""
        for task in list(self._waiting.values()):
            if task.needs in self._gone:
                self._gone.add(task.folder)
                yield self._waiting.pop(task.folder)

    def _hand_out(self) -> None:
        for task in list(self._waiting.values()):
            if len(self._running) >= self._crew.slots:
                return
            pending = {one.folder for one, _ in self._running.values()} | set(self._waiting)
            if task.needs not in pending:
                del self._waiting[task.folder]
                self._running[self._submit(task)] = task, self._pool

    def _submit(self, task: Task) -> Future[None]:
        try:
            return self._pool.submit(self._compute, task)
        except BrokenExecutor:  # it lost a worker while nobody looked
            self._reopen(self._pool)
            return self._pool.submit(self._compute, task)

    def _reopen(self, lost: Executor) -> None:
        """A pool in place of one that lost a worker; once, though each of its tasks ends with the news."""
        if lost is self._pool:
            pools.forget(lost)
            self._pool = self._crew.open()

    def _collect(self) -> Iterator[Task]:
        """Waits for the next task to end."""
        for future in wait(self._running, return_when=FIRST_COMPLETED).done:
            (task, pool), error = self._running.pop(future), future.exception()
            if isinstance(error, BrokenExecutor) and self._lost[task.folder] + 1 < pools.ATTEMPTS:
                self._lost[task.folder] += 1
                self._waiting[task.folder] = task
                self._reopen(pool)
                continue
            if error is None and not arrived(task.folder):
                error = UserError("computed, but not to be seen here", file=task.folder, fix=_SHARED)
            if error is not None:
                self._gone.add(task.folder)
                self.failed[task.folder] = f"{task}: {getattr(error, 'cause', None) or error}"
            yield task


def workers_of(workers: int | None, device: str) -> int:
    """One process a core on a CPU, one on a GPU, unless said otherwise."""
    return workers or (1 if choose_device(device).type == "cuda" else (os.cpu_count() or 1))


@dataclass(frozen=True)
class Place:
    """Where runs are computed; the arguments of `run_all`."""

    engine: str
    workers: int | None
    device: str
    address: str
    share: Share

    def crew(self, specs: Sequence[RunSpec], tasks: int) -> Crew:
        """This machine's processes; a cluster takes all that can begin."""
        if self.engine == "ray":
            from mugkit.engine.cluster import Cluster

            return Crew(partial(Cluster, self.address, partial(on_cluster, self.share, specs, self.device)), tasks)
        found = cards(self.share, specs, self.device)
        count = workers_of(self.workers or len(found) or None, self.device)
        if min(count, tasks) == 1:
            return Crew(pools.Here, 1)
        return Crew(partial(pools.processes, count, tuple(found)), count)


def _compute(
    specs: Sequence[RunSpec], until: Part, store: Store, place: Place, learn: Sequence[RunSpec] = ()
) -> set[Path]:
    """Computes what is missing; returns its folders.

    Raises:
        UserError: an unknown engine, before anything runs; or some tasks failed, all others being finished.
    """
    if place.engine not in ENGINES:
        raise unknown_name("engine", place.engine, ENGINES)
    files.sweep(store.root)  # also where nothing is missing: what was killed last may have left something
    tasks = plan(specs, store, place.device, until, learn)
    if not tasks:
        return set()
    execution = Execution(tasks, place.crew([*specs, *learn], len(tasks)), store, place.device)
    for _ in progress(execution, "runs", total=len(tasks)):
        pass
    if execution.failed:
        told = "\n  ".join(execution.failed.values())
        raise UserError(f"some runs failed, all others are finished:\n  {told}", fix="mend the cause and run again")
    return {task.folder for task in tasks}


def learn_all(
    specs: Sequence[RunSpec],
    engine: str = "local",
    *,
    store: Store | None = None,
    workers: int | None = None,
    device: str = "auto",
    address: str = "",
    share: Share = AS_PROFILED,
) -> list[LearnedLabels]:
    """Stages 1 and 2 of many runs, e.g. over label seeds; stored ones are reused.

    Raises:
        UserError: some failed (all others are finished and stored by then).
    """
    store = store or Store.default()
    _compute(specs, "labels", store, Place(engine, workers, device, address, share))
    return [LearnedLabels.load(work(spec, store, device).learned_labels()) for spec in specs]


def run_all(
    specs: Sequence[RunSpec],
    engine: str = "local",
    *,
    store: Store | None = None,
    workers: int | None = None,
    device: str = "auto",
    address: str = "",
    share: Share = AS_PROFILED,
    learn: Sequence[RunSpec] = (),
) -> list[Run]:
    """Many runs; stages that several of them share once. Finished runs are reused, interrupted ones resume.

    Args:
        engine: 'local' spreads runs over processes of this machine, 'ray' over a Ray cluster.
        workers: how many processes; by default one a core on a CPU, on GPUs as many as share the cards.
        address: of the Ray cluster ('auto': the one this machine belongs to); '' starts one on this machine.
        share: of a machine that each run asks for.
        learn: further runs, of which stages 1 and 2 alone are computed.

    Raises:
        UserError: an unknown engine; or some runs failed (all others are finished and stored by then).
    """
    store = store or Store.default()
    fresh = _compute(specs, "train", store, Place(engine, workers, device, address, share), learn)
    done = [run(spec, store, device) for spec in specs]
    return [replace(one, reused=one.folder not in fresh) for one in done]
