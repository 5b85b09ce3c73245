"""Executors on this machine, with the standard library's interface: this process, or joblib's worker processes.

Work is idempotent and stored, so if a worker is lost, only what is missing is computed again.
"""

import contextlib
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from types import SimpleNamespace
from typing import Any

from joblib.externals.loky import ProcessPoolExecutor

from mugkit import files

ATTEMPTS = 3  # of a task whose worker was lost
# A worker whose memory has grown far beyond that after its first task is replaced by a new one, which does no harm.
warnings.filterwarnings("ignore", "A worker stopped while some jobs were given", UserWarning)


class SerialExecutor(Executor):
    """Computes every task in this process, when it is submitted."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # the other tasks still run; the error is reported at the end
            future.set_exception(error)
        return future


class Workers(ProcessPoolExecutor):
    """Worker processes that an interrupt ends cleanly: they unwind their computation and remove half-written files."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = super().submit(_at_work, fn, args, kwargs)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """With `cancel_futures`, interrupts the workers' current tasks; they start no further ones."""
        super().shutdown(wait=wait)
        if cancel_futures:
            for worker in list(self._processes):
                with contextlib.suppress(ProcessLookupError):  # it has ended in the meantime
                    os.kill(worker, signal.SIGINT)


_worker = SimpleNamespace(busy=False, interrupted=False)  # state of this process if it is a worker


def _at_work(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    _worker.busy = True
    try:
        if _worker.interrupted:
            raise KeyboardInterrupt
        return fn(*args, **kwargs)
    except KeyboardInterrupt:
        raise BrokenExecutor("a worker was interrupted") from None
    finally:
        _worker.busy = False


def _interrupt(*_: Any) -> None:
    """Interrupts a busy worker, only once: a second interrupt would disturb the removal of half-written files."""
    first, _worker.interrupted = not _worker.interrupted, True
    if first and _worker.busy:
        raise KeyboardInterrupt


def _begin(parent: int) -> None:
    """Initialises a new worker."""
    signal.signal(signal.SIGINT, _interrupt)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """Ends this process soon after its parent, which may have been killed without a chance to shut down."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


_kept: dict[str | None, tuple[tuple[int, str], Workers]] = {}  # by card


def processes(workers: int, card: str | None = None) -> Workers:
    """Worker processes without progress bars, kept for the next call because each needs seconds for its imports.

    Args:
        card: the GPU that they see, as CUDA_VISIBLE_DEVICES names it ('': none); None: they see what this process sees.
    """
    key, kept = (workers, str(files.home())), _kept.get(card)
    if kept is None or kept[0] != key:
        environment = {"MUGKIT_HOME": str(files.home()), "MUGKIT_PROGRESS": "0"}
        environment |= {} if card is None else {"CUDA_VISIBLE_DEVICES": card}
        kept = _kept[card] = key, Workers(workers, initializer=_begin, initargs=(os.getpid(),), env=environment)
    return kept[1]


def retry_on_broken_pool(compute: Callable[[], None]) -> None:
    """Calls a function again if it lost a worker, up to ATTEMPTS times in all; it must continue from finished work."""
    for _ in range(ATTEMPTS - 1):
        with contextlib.suppress(BrokenExecutor):
            return compute()
    return compute()


def shutdown_now(pool: Executor) -> None:
    """Ends an executor that lost a worker or was interrupted; tasks that have not started are dropped."""
    for card, (_, kept) in list(_kept.items()):
        if kept is pool:
            del _kept[card]
    pool.shutdown(wait=False, cancel_futures=True)
