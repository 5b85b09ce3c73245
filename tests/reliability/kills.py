"""`kill -9` at random moments of all three stages, then resumed: bit-identical, each run once, nothing left over.

In one process a moment is a call that changes the store (before an open, a rename, a removal) or any time. Of runs in
worker processes one worker is killed, without which the others have to go on, or all of them with the process that
started them; no worker may outlive it. Their moments are counted from the first checkpoint: before it, workers import.
"""

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from small import bag_of_words, hashes

from mugkit import files
from mugkit.config import RunSpec
from mugkit.data import store as data_store
from mugkit.data import text
from mugkit.experiments import scheduler
from mugkit.experiments.run_store import Store
from reliability import processes
from reliability.scenario import Outcome, TooLate, fork, kill_and_resume, wait

SYSTEMS = ("mug", "self-mm", "copy")
SPECS = [RunSpec(system, "made-up", 1111, "smoke") for system in SYSTEMS]
KINDS = ("pretrain", "labels", "train")
WORKER = "LokyProcess"  # in the command of every worker
SPAN = 0.95  # of an undisturbed run's duration, in which kills fall
_CHANGES = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir"}
Runs = dict[str, dict[str, str]]  # run → artifact → SHA-256


def prepare(dataset: Any) -> None:
    """The data set, and its encoded texts, in the present MUGKIT_HOME; nothing else of torch may run before a fork."""
    data_store.save(dataset, files.data_home() / "made-up")
    text._encode = bag_of_words
    network = SPECS[0].hyperparameters("mosi").network
    for split in dataset.splits.values():
        text.frozen_features(split.text, network.text_encoder, network.pooling)


def compute(root: Path, stop_at: int = 0, count: Path | None = None) -> None:
    """All runs, in this process; killed before its n-th change below the store, if asked."""
    seen = 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event in _CHANGES and isinstance(arguments[0], str | os.PathLike) and str(root) in str(arguments[0]):
            seen += 1
            if seen == stop_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    scheduler.run_all(SPECS, store=Store(root), execution=scheduler.ExecutionConfig(workers=1))
    if count is not None:
        count.write_text(str(seen))


def content(root: Path) -> Runs:
    return {f"{kind}/{path.name}": hashes(path) for kind in KINDS for path in (root / kind).iterdir()}


def lost(root: Path, expected: Runs) -> str:
    """What a resumed reproduction lacks or has too much of; '' if nothing."""
    if left := [path.name for path in root.rglob("*.tmp")]:
        return f"left over: {left}"
    if any((root / "partial").iterdir()):
        return "checkpoints left over"
    found = content(root)
    if found.keys() != expected.keys():
        return f"runs {sorted(found)} instead of {sorted(expected)}"
    return "".join(f"{name} differs " for name in expected if found[name] != expected[name])


def _resumed(root: Path, status: int) -> str:
    """What is wrong after a start that ended with this status."""
    if not status:
        raise TooLate
    if status != -signal.SIGKILL:
        return f"ended with {status} before it was killed"
    return "resuming failed" if wait(fork(partial(compute, root))) else ""


# --- in one process -----------------------------------------------------------------------------------------


def _at_change(root: Path, change: float, draw: Random) -> str:
    return _resumed(root, wait(fork(partial(compute, root, max(1, round(change))))))


def _at_any_time(root: Path, seconds: float, draw: Random) -> str:
    child = fork(partial(compute, root))
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return _resumed(root, wait(child))


def stages(folder: Path, trials: int) -> tuple[Outcome, Runs]:
    """Kills and resumes one process; also what all runs are without a kill."""
    outcome, whole, count = Outcome(), folder / "whole", folder / "count"
    began = time.monotonic()
    if wait(fork(partial(compute, whole, count=count))):
        outcome.count("uninterrupted", "it failed")
        return outcome, {}
    duration, runs = time.monotonic() - began, content(whole)
    ways = {
        "at a change of a file": (_at_change, float(count.read_text())),
        "at any time": (_at_any_time, SPAN * duration),
    }
    kill_and_resume(outcome, folder, trials, ways, lambda root: lost(root, runs))
    return outcome, runs


# --- in workers ---------------------------------------------------------------------------------------------


def _start_workers(root: Path, seconds: float = 0.0) -> int:
    """Starts all runs in two workers, and waits so long after the first checkpoint; the starter's process."""

    def work() -> None:
        processes.of_trial(root)
        scheduler.run_all(SPECS, scheduler.ExecutionConfig(workers=2), store=Store(root))

    starter = fork(work)
    processes.computes(root)
    time.sleep(seconds)
    return starter


def _one_worker(root: Path, seconds: float, draw: Random) -> str:
    starter, alive = _start_workers(root, seconds), processes.of(root, WORKER)
    processes.kill([draw.choice(alive)] if alive else [])
    over = os.waitpid(starter, os.WNOHANG)[0]
    status = 0 if over else wait(starter)
    if over or not alive:
        raise TooLate
    return f"ended with {status}" if status else ""


def _all_workers(root: Path, seconds: float, draw: Random) -> str:
    starter = _start_workers(root, seconds)
    processes.kill([starter, *processes.of(root, WORKER)])
    return _resumed(root, wait(starter))


def workers(folder: Path, trials: int, runs: Runs) -> Outcome:
    """Kills workers in both ways; `runs` are those that `stages` found."""
    outcome, whole = Outcome(), folder / "whole"
    starter, began = _start_workers(whole), time.monotonic()
    if wait(starter) or (loss := lost(whole, runs)):
        outcome.count("uninterrupted", loss or "it failed")
        return outcome
    latest = SPAN * (time.monotonic() - began)
    ways = {"one worker": (_one_worker, latest), "all workers and their starter": (_all_workers, latest)}
    kill_and_resume(outcome, folder, trials, ways, lambda root: lost(root, runs))
    return outcome
