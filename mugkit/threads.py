"""Small matrices on one thread: several mostly wait for each other, and on a busy machine for a core to wait on."""

from __future__ import annotations

import functools
import sys
from contextlib import AbstractContextManager

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]


def one_thread() -> AbstractContextManager[object]:
    """A block in which linear algebra takes one thread; numbers then do not depend on how many cores there are."""
    limited: AbstractContextManager[object] = _libraries(len(sys.modules)).limit(limits=1)
    return limited


@functools.lru_cache(maxsize=1)
def _libraries(_modules: int) -> ThreadpoolController:
    """The libraries that have threads. They are looked for again, in milliseconds, only after further imports."""
    return ThreadpoolController()
