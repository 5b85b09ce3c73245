"""Every file of every run truncated, flipped, emptied or deleted: noticed, and computed again to the same bits."""

from __future__ import annotations

from pathlib import Path

from reliability.kills import KINDS, compute, content, lost
from reliability.scenario import Outcome, draws, fork, wait

WAYS = ("truncated", "flipped", "emptied", "deleted")


def damage(path: Path, way: str, position: int) -> None:
    """Spoils one file."""
    body = bytearray(path.read_bytes())
    if way == "deleted":
        path.unlink()
    elif way == "flipped":
        body[position % len(body)] ^= 1
        path.write_bytes(body)
    else:
        path.write_bytes(body[: len(body) // 2] if way == "truncated" else b"")


def run(folder: Path, trials: int) -> Outcome:
    """One file in one way a trial, all files and ways in turn if there are enough trials."""
    outcome, random, root = Outcome(), draws("damage"), folder / "damaged"
    if wait(fork(lambda: compute(root))):
        outcome.count("undamaged", "it failed")
        return outcome
    expected = content(root)
    names = sorted(path.relative_to(root) for kind in KINDS for path in (root / kind).rglob("*") if path.is_file())
    cases = [(name, way) for name in names for way in WAYS]
    for name, way in random.sample(cases, min(trials, len(cases))):
        damage(root / name, way, random.randrange(2**30))
        # A flipped bit of done.json's times or versions changes no result; all else must be noticed.
        again = wait(fork(lambda: compute(root)))
        outcome.count(f"{name.name} {way}", "not computed again" if again else lost(root, expected))
    return outcome
