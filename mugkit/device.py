"""What a computation runs on: the device that networks and batches lie on, and how many CPU threads it takes."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager

import torch
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]
from torch import Tensor


def choose_device(name: str = "auto") -> torch.device:
    """`auto` is the first GPU if there is one, else the CPU."""
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """On the device. A GPU fetches them from pinned memory by itself, without anybody waiting."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)


@contextlib.contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Runs a block with a fixed number of CPU threads (0: leave as it is), so that sums add up in one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def one_thread() -> AbstractContextManager[object]:
    """A block in which linear algebra takes one thread; numbers then do not depend on how many cores there are.

    For small matrices: several threads mostly wait for each other, and on a busy machine for a core to wait on.
    """
    limited: AbstractContextManager[object] = _libraries(len(sys.modules)).limit(limits=1)
    return limited


@functools.lru_cache(maxsize=1)
def _libraries(_modules: int) -> ThreadpoolController:
    """The libraries that have threads. They are looked for again, in milliseconds, only after further imports."""
    return ThreadpoolController()
