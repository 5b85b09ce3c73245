"""Every file of every run truncated, flipped, emptied or deleted: told, and computed again to the same bits.

At the end all runs were made by other code.

A run's `done.json` holds, beside the checksums, what no result depends on: times, versions, the identity in full. One
bit flipped there is harmless if the checksums are read as before; these are counted apart.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from mugkit import files
from mugkit.experiments import registry
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


def checksums(done: Path) -> Any:
    """What the run store reads of `done.json`; nothing if it cannot."""
    try:
        return files.read_json(done)["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def compute_and_log(root: Path, log: Path, code: str = "") -> None:
    """All runs once more; the warnings go to a file.

    Args:
        code: in place of the fingerprint of the library's sources.
    """
    if code:
        registry.code_fingerprint = lambda *_: code
    logging.getLogger("mugkit").addHandler(logging.FileHandler(log, mode="w"))
    compute(root)


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
        _try(outcome, root, name, way, random.randrange(2**30), expected)
    outcome.count("made by other code", _other_code(root, expected))
    return outcome


def _other_code(root: Path, expected: dict[str, dict[str, str]]) -> str:
    """What is wrong with a store whose runs were all made by other code; '' if they are told and computed again."""
    log = root.parent / "log"
    if wait(fork(lambda: compute_and_log(root, log, code="edited"))):
        return "not computed again"
    told = [line for line in log.read_text().splitlines() if "made by other code" in line]
    new = [artifacts for name, artifacts in content(root).items() if name not in expected]
    if sorted(map(str, new)) != sorted(map(str, expected.values())):
        return f"{len(new)} new results, or other ones"
    return "" if len(told) == len(KINDS) else f"told {told}"


def _try(
    outcome: Outcome, root: Path, name: Path, way: str, position: int, expected: dict[str, dict[str, str]]
) -> None:
    path, log, kind = root / name, root.parent / "log", f"{name.name} {way}"
    before = checksums(path) if name.name == "done.json" else None
    damage(path, way, position)
    harmless = before is not None and checksums(path) == before
    if wait(fork(lambda: compute_and_log(root, log))):
        outcome.count(kind, "not computed again")
        return
    told = f"{path.parent}: damaged" in log.read_text()
    if harmless and not told:
        outcome.count(f"{kind}, where nothing is read", lost(root, expected))
    else:
        outcome.count(f"{kind}, told", lost(root, expected) if told else "not told")
