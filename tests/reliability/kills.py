"""`kill -9` at random moments of all three stages, then resumed: bit-identical, each run once, nothing left over.

A moment is a call: of the file system below the store (before an open, a rename, a removal; half of the moments), or
any time on the clock (the other half). Both are drawn from a seed, the latter within an uninterrupted run's duration.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from small import bag_of_words, hashes

from mugkit import files
from mugkit.config import RunSpec
from mugkit.data import store as data_store
from mugkit.data import text
from mugkit.experiments import scheduler
from mugkit.experiments.store import Store
from reliability.scenario import Outcome, draws, fork, wait

SYSTEMS = ("mug", "self-mm", "copy")
SPECS = [RunSpec(system, "made-up", 1111, "smoke") for system in SYSTEMS]
KINDS = ("pretrain", "labels", "train")
_CHANGES = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir"}


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


def content(root: Path) -> dict[str, dict[str, str]]:
    """SHA-256 of every artifact of every run."""
    return {f"{kind}/{path.name}": hashes(path) for kind in KINDS for path in (root / kind).iterdir()}


def lost(root: Path, expected: dict[str, dict[str, str]]) -> str:
    """What a resumed reproduction lacks or has too much of; '' if nothing."""
    if left := [path.name for path in root.rglob("*.tmp")]:
        return f"left over: {left}"
    if any((root / "partial").iterdir()):
        return "checkpoints left over"
    found = content(root)
    if found.keys() != expected.keys():
        return f"runs {sorted(found)} instead of {sorted(expected)}"
    return "".join(f"{name} differs " for name in expected if found[name] != expected[name])


def killed_at(change: int, root: Path) -> int:
    """How all runs ended, killed before so many changes; fewer, where they made fewer: checkpoints go by the clock."""
    while not (status := wait(fork(partial(compute, root, change)))) and change > 1:
        shutil.rmtree(root)
        change //= 2
    return status


def killed_after(seconds: float, root: Path) -> int:
    """How all runs ended, killed after so long; sooner, where they were over by then."""
    while True:
        child = fork(lambda: compute(root))
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        if status := wait(child):
            return status
        shutil.rmtree(root)
        seconds /= 2


def run(folder: Path, trials: int) -> Outcome:
    """Kills and resumes `trials` times."""
    outcome, random = Outcome(), draws("kills")
    whole, count = folder / "whole", folder / "count"
    began = time.monotonic()
    if wait(fork(lambda: compute(whole, count=count))):
        outcome.count("uninterrupted", "it failed")
        return outcome
    duration, changes, expected = time.monotonic() - began, int(count.read_text()), content(whole)
    for trial in range(trials):
        root, kind = folder / f"trial-{trial}", ("at a change of a file", "at any time")[trial % 2]
        if trial % 2 == 0:
            status = killed_at(random.randint(1, changes), root)
        else:
            status = killed_after(random.uniform(0.0, 0.95) * duration, root)
        if status != -signal.SIGKILL:
            outcome.count(kind, f"trial {trial} ended with {status} before it was killed")
            continue
        resumed = wait(fork(lambda root=root: compute(root)))
        outcome.count(kind, f"trial {trial}: resuming failed" if resumed else lost(root, expected))
    return outcome
