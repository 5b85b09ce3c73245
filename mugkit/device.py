"""Where a computation runs: the device of networks and batches, and the number of CPU threads."""

import contextlib
import functools
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager

import torch
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]
from torch import Tensor


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; `auto` is the first GPU if there is one, else the CPU."""
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Copies a tensor to the device; to a GPU from pinned memory, asynchronously."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)


@contextlib.contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Runs a block with a fixed number of CPU threads (0: unchanged), so that sums are added in a fixed order."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def one_thread() -> AbstractContextManager[object]:
    """A block in which linear algebra uses one thread, so that numbers do not depend on the number of cores.

    For small matrices: several threads would mostly wait for each other and, on a busy machine, for a free core.
    """
    limited: AbstractContextManager[object] = _libraries(len(sys.modules)).limit(limits=1)
    return limited


@functools.lru_cache(maxsize=1)
def _libraries(_modules: int) -> ThreadpoolController:
    """The libraries with thread pools. Only after further imports does it search again, which takes milliseconds."""
    return ThreadpoolController()
