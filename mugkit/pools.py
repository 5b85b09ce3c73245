"""Where tasks are computed: executors of the standard library's kind, so that whoever hands them out need not know."""

from __future__ import annotations

import contextlib
import functools
import itertools
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from mugkit import files

ATTEMPTS = 3  # of a task whose worker was lost


class Here(Executor):
    """This process: a task is computed when it is handed over."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # whatever it was, the other tasks go on; it is told at the end
            future.set_exception(error)
        return future


class Workers(ProcessPoolExecutor):
    """Worker processes that an interrupt ends quietly when they are idle, and cleanly when they are at work."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        try:
            return super().submit(_at_work, fn, args, kwargs)
        except OSError as error:
            if self.is_broken:  # while it started a worker, whose pipes are closed by then
                raise BrokenProcessPool("a worker died") from error
            raise

    @property
    def is_broken(self) -> bool:
        """Whether it lost a worker, at work or idle: it takes no task any more."""
        return bool(self._broken)

    def interrupt(self) -> None:
        """A Ctrl-C for every worker: Python would wait at its exit for what they are computing."""
        for worker in list((self._processes or {}).values()):
            if worker.is_alive() and worker.pid:
                with contextlib.suppress(ProcessLookupError):  # gone in the meantime
                    os.kill(worker.pid, signal.SIGINT)


_busy = threading.Event()


def _at_work(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    _busy.set()
    try:
        return fn(*args, **kwargs)
    except KeyboardInterrupt:  # nobody waits for it any more, and the queue's lock may have gone with an idle worker
        os._exit(130)
    finally:
        _busy.clear()


def _interrupted(*_: Any) -> None:
    """At work, half-written files are cleared away on the way out; idle, there is nothing but a traceback to leave."""
    if _busy.is_set():
        raise KeyboardInterrupt
    os._exit(130)


def _begin(home: str, parent: int, cards: Any) -> None:
    """In a new worker: the starter's folder, no progress bars (they would overwrite each other), no life of its own.

    Args:
        cards: a queue with a card for each worker; None: it sees what its starter sees.
    """
    os.environ["MUGKIT_HOME"], os.environ["MUGKIT_PROGRESS"] = home, "0"
    if cards is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = cards.get()
    signal.signal(signal.SIGINT, _interrupted)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """Ends this process soon after its starter, which may have been killed without a chance to say so."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


@functools.lru_cache(maxsize=1)
def _started(workers: int, home: str, cards: tuple[str, ...]) -> Workers:
    context = multiprocessing.get_context("spawn")  # fork and torch's threads do not go together
    queue = context.SimpleQueue() if cards else None
    for card in itertools.islice(itertools.cycle(cards), workers):
        queue.put(card)  # type: ignore[union-attr]
    return Workers(workers, mp_context=context, initializer=_begin, initargs=(home, os.getpid(), queue))


def processes(workers: int, cards: tuple[str, ...] = ()) -> Workers:
    """Worker processes, kept for the next call: each needs seconds to import what it computes with.

    Args:
        cards: as CUDA_VISIBLE_DEVICES names them, handed out in turn; none: workers see what this process sees.
    """
    kept = _started(workers, str(files.home()), cards)
    if kept.is_broken:
        forget(kept)
        return _started(workers, str(files.home()), cards)
    return kept


def persist(compute: Callable[[], None]) -> None:
    """Calls it again if it lost a worker, ATTEMPTS times in all; it has to go on from what is finished.

    Raises:
        BrokenExecutor: workers were lost every time.
    """
    for _ in range(ATTEMPTS - 1):
        with contextlib.suppress(BrokenExecutor):
            return compute()
    return compute()


def forget(pool: Executor) -> None:
    """Gives up a pool that lost a worker or was interrupted; what has not begun never will."""
    if isinstance(pool, Workers):
        pool.interrupt()
    pool.shutdown(wait=False, cancel_futures=True)
    _started.cache_clear()
