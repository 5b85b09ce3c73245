from __future__ import annotations

import os
import subprocess
import sys

import living
import pytest


def test_process_runs_is_a_zombie_and_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert living.is_alive(process.pid)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # over, and not reaped
        os.kill(process.pid, 0)  # its number is still taken
        assert not living.is_alive(process.pid)
    assert not living.is_alive(process.pid)
    assert living.ends(process.pid)


def test_process_that_does_not_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(living, "PATIENCE", 0.1)
    assert not living.ends(os.getpid())


def test_process_that_ends_while_it_is_looked_up_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def looked_up(process: living.psutil.Process) -> str:
        raise living.psutil.NoSuchProcess(process.pid)

    monkeypatch.setattr(living.psutil.Process, "status", looked_up)
    assert not living.is_alive(os.getpid())
