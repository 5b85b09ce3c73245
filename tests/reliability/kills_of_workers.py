"""`kill -9` of what computes runs in worker processes: one worker, or all of them with the process that started them.

The others have to go on without the one worker, and its task with another; after the second the runs are resumed. No
worker may outlive its starter. Moments are counted from the first checkpoint: before it, workers only import.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from mugkit.experiments import scheduler
from mugkit.experiments.store import Store
from reliability import processes
from reliability.kills import SPECS, compute, lost
from reliability.scenario import Outcome, draws, fork, wait

WORKER = "LokyProcess"  # in the command of every worker


def _in_workers(root: Path) -> None:
    processes.of_trial(root)
    scheduler.run_all(SPECS, scheduler.ExecutionConfig(workers=2), store=Store(root))


def _kill_one(starter: int, root: Path, choose: Callable[[list[int]], int]) -> bool:
    """Whether a worker was at hand to be killed."""
    if workers := processes.of(root, WORKER):
        processes.kill([choose(workers)])
    return bool(workers)


def _kill_all(starter: int, root: Path, choose: Callable[[list[int]], int]) -> bool:
    processes.kill([starter, *processes.of(root, WORKER)])
    return True


WAYS = {"one worker": _kill_one, "all workers and their starter": _kill_all}


def _try(kind: str, root: Path, seconds: float, choose: Callable[[list[int]], int]) -> str:
    """What is wrong after a kill so long after the first checkpoint; sooner, where all was over by then."""
    while True:
        starter = fork(lambda: _in_workers(root))
        processes.computes(root)
        time.sleep(seconds)
        hit = WAYS[kind](starter, root, choose)
        over = os.waitpid(starter, os.WNOHANG)[0] if kind == "one worker" else 0
        status = 0 if over else wait(starter)
        if hit and not over and (status or kind == "one worker"):
            break
        shutil.rmtree(root)
        seconds /= 2
    if kind == "one worker" and status:
        return f"ended with {status}"
    if kind != "one worker" and (status != -signal.SIGKILL or wait(fork(lambda: compute(root)))):
        return f"ended with {status}, or resuming failed"
    return ""


def run(folder: Path, trials: int, expected: dict[str, dict[str, str]]) -> Outcome:
    """Both kinds in turn.

    Args:
        expected: what `content` finds after an uninterrupted run in one process.
    """
    outcome, random, whole = Outcome(), draws("workers"), folder / "whole"
    starter = fork(lambda: _in_workers(whole))
    processes.computes(whole)
    start = time.monotonic()
    if wait(starter) or (loss := lost(whole, expected)):
        outcome.count("uninterrupted", loss or "it failed")
        return outcome
    duration = time.monotonic() - start
    for trial in range(trials):
        kind, root = list(WAYS)[trial % 2], folder / f"trial-{trial}"
        loss = _try(kind, root, random.uniform(0.0, 0.95) * duration, random.choice) or lost(root, expected)
        if left := processes.orphans(root):
            loss = loss or f"still running: {left}"
        outcome.count(kind, loss and f"trial {trial}: {loss}")
    return outcome
