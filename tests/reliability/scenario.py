"""What every scenario of the soak reports, and processes that may be killed without harm to the tests."""

from __future__ import annotations

import os
import pickle
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
SEED = 2024
_CALL = """
import pickle, sys
from pathlib import Path
sys.path[:] = {path!r}
scenario, arguments = pickle.loads(Path({given!r}).read_bytes())
Path({found!r}).write_bytes(pickle.dumps(scenario(*arguments)))
"""


@dataclass
class Outcome:
    """Counts of one scenario.

    Attributes:
        details: how often what was tried, by kind.
        losses: a line for each trial that did not pass.
    """

    tried: int = 0
    passed: int = 0
    details: dict[str, int] = field(default_factory=dict)
    losses: list[str] = field(default_factory=list)

    def count(self, kind: str, loss: str = "") -> None:
        """One trial: passed unless something was lost."""
        self.tried += 1
        self.passed += not loss
        self.details[kind] = self.details.get(kind, 0) + 1
        if loss:
            self.losses.append(f"{kind}: {loss}")

    def plain(self) -> dict[str, Any]:
        return {"tried": self.tried, "passed": self.passed, "lost": self.tried - self.passed, "details": self.details}


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
