"""Whether processes of a test still run. Looked up in one go: a process that ends meanwhile is gone, not an error."""

import time

import psutil  # type: ignore[import-untyped]

PATIENCE = 60.0  # seconds


def is_alive(process: int) -> bool:
    """Whether a process runs; a zombie, which nobody waited for yet, does not."""
    try:
        return bool(psutil.Process(process).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def ends(process: int) -> bool:
    """Whether a process ends by itself within `PATIENCE`."""
    until = time.monotonic() + PATIENCE
    while (alive := is_alive(process)) and time.monotonic() < until:
        time.sleep(0.05)
    return not alive
