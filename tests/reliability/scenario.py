"""What every scenario of the soak reports, and processes that may be killed without harm to the tests."""

import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from reliability import processes

T = TypeVar("T")
SEED = 2024
# Kills at a moment below a folder; returns what is wrong.
Attempt = Callable[[Path, float, random.Random], str]
_CALL = """
import pickle, sys
from pathlib import Path
sys.path[:] = {path!r}
scenario, arguments = pickle.loads(Path({given!r}).read_bytes())
Path({found!r}).write_bytes(pickle.dumps(scenario(*arguments)))
"""


@dataclass
class Outcome:
    """Counts of one scenario."""

    tried: int = 0
    details: dict[str, int] = field(default_factory=dict)  # how often what was tried, by kind
    losses: list[str] = field(default_factory=list)  # a line for each trial that did not pass

    def count(self, kind: str, loss: str = "") -> None:
        """One trial: passed unless something was lost."""
        self.tried += 1
        self.details[kind] = self.details.get(kind, 0) + 1
        self.losses += [f"{kind}: {loss}"] if loss else []

    def plain(self) -> dict[str, Any]:
        lost = len(self.losses)
        return {"tried": self.tried, "passed": self.tried - lost, "lost": lost, "details": self.details}


class TooLate(Exception):
    """All was over before the kill."""


def kill_and_resume(
    outcome: Outcome, folder: Path, trials: int, ways: Mapping[str, tuple[Attempt, float]], lost: Callable[[Path], str]
) -> None:
    """Kills in all ways in turn, each trial in a folder of its own.

    Args:
        ways: kind → how it is killed, and the latest moment to do so; sooner, where all was over by then.
        lost: what a trial's folder lacks in the end; '' if nothing.
    """
    draw = draws(" ".join(ways))
    for trial in range(trials):
        kind = list(ways)[trial % len(ways)]
        (attempt, latest), root = ways[kind], folder / f"{kind} {trial}"
        moment = draw.uniform(0.0, latest)
        while True:
            try:
                loss = attempt(root, moment, draw) or lost(root)
                break
            except TooLate:
                shutil.rmtree(root)
                moment /= 2
        if left := processes.orphans(root):
            loss = loss or f"still running: {left}"
        outcome.count(kind, loss and f"trial {trial}: {loss}")


def draws(name: str) -> random.Random:
    """Random numbers of one scenario."""
    return random.Random(f"{SEED} {name}")


def apart(scenario: Callable[..., T], *arguments: Any) -> T:
    """What a scenario returns, from a fresh process; no worker of multiprocessing, which some warnings are kept from.

    Scenarios train in forks; once torch has compiled a function (seen with 2.15 for CUDA), no fork can differentiate.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder, "given"), Path(folder, "found")
        given.write_bytes(pickle.dumps((scenario, arguments)))
        call = _CALL.format(path=sys.path, given=str(given), found=str(found))
        subprocess.run([sys.executable, "-c", call], check=True)
        result: T = pickle.loads(found.read_bytes())
    return result


def fork(work: Callable[[], object]) -> int:
    """Runs `work` in a child that shares what is imported; its process id."""
    sys.stdout.flush()
    sys.stderr.flush()
    if child := os.fork():
        return child
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def wait(child: int, seconds: float = 120) -> int:
    """The child's exit status, negative for a signal; a child that hangs is killed."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
