"""Processes of a trial, found by an environment variable that all of them inherit; commands stopped by a signal."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from mugkit import files

MARK = "MUGKIT_SOAK_TRIAL"
LIMIT = 120.0  # seconds until workers or kernels write a checkpoint
ENDS_WITHIN = 60.0  # seconds that a process may take to end by itself
PATIENCE = 20.0  # seconds; what lost its starter looks for it once a second


def commands(trial: Path) -> dict[int, str]:
    """Living processes that were started with MARK set to the trial's folder, and their commands."""
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # gone in the meantime, or somebody else's
            if process.environ().get(MARK) == str(trial):
                found[process.pid] = " ".join(process.cmdline())
    return found


def of(trial: Path, word: str) -> list[int]:
    """The trial's processes whose commands hold the word."""
    return [process for process, command in commands(trial).items() if word in command]


def of_trial(trial: Path) -> None:
    """Marks what this process starts. Workers are not to import the tests, as whose main program it was forked."""
    os.environ[MARK] = str(trial)
    os.environ["PYTHONWARNINGS"] = "ignore::UserWarning:joblib.externals.loky.backend.resource_tracker"  # after kills
    main = sys.modules["__main__"]
    main.__spec__ = None
    vars(main).pop("__file__", None)


def checkpoints(store: Path) -> list[Path]:
    """Of unfinished runs and their parts. os.walk passes over folders removed meanwhile; Path.rglob fails on them."""
    walk = os.walk(store / "partial")
    return [Path(at, name) for at, _, names in walk for name in names if name.endswith("checkpoint.pt")]


def computes(store: Path) -> None:
    """Waits until something is computed below a run store."""
    until = time.monotonic() + LIMIT
    while not any(path.name == "checkpoint.pt" for path in checkpoints(store)) and time.monotonic() < until:
        time.sleep(0.005)


def kill(processes: Iterable[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def orphans(trial: Path, patience: float = PATIENCE) -> list[str]:
    """Commands of what still runs a while after the trial's end; it is killed then."""
    until = time.monotonic() + patience
    while (left := commands(trial)) and time.monotonic() < until:
        time.sleep(0.1)
    kill(left)
    return [command[:200] for command in left.values()]


def wait_until(found: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Until something is there; fails if the process ends before that, or after five minutes."""
    until = time.monotonic() + 300
    while not found():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.01)


def stop(process: subprocess.Popen[str], number: signal.Signals, group: bool = False) -> None:
    """Sends the signal, as a terminal does it to the whole group; checks the exit code, what was said and what is left
    over."""
    (os.killpg if group else os.kill)(process.pid, number)
    said = process.communicate(timeout=120)[1]
    assert (process.returncode, "Traceback" in said) == (128 + number, False), said
    assert f"stopped by {number.name}" in said
    assert "the same command resumes" in said
    left = [str(path.relative_to(files.home())) for path in files.home().rglob("*.tmp")]
    assert left == [], left


def is_alive(process: int) -> bool:
    """Whether a process runs; a zombie, which nobody waited for yet, does not."""
    try:
        return bool(psutil.Process(process).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def ends(process: int) -> bool:
    """Whether a process ends by itself within `ENDS_WITHIN`."""
    until = time.monotonic() + ENDS_WITHIN
    while (alive := is_alive(process)) and time.monotonic() < until:
        time.sleep(0.05)
    return not alive
