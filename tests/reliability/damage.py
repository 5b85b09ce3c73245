"""Every file of every run truncated, flipped, emptied or deleted: told, and computed again to the same bits.

At the end all runs were made by other code.

A run's `done.json` holds, beside the checksums, what no result depends on: times, versions, the identity in full. One
bit flipped there is harmless if the checksums are read as before; these are counted apart.
"""

import logging
from functools import partial
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
    if wait(fork(partial(compute, root))):
        outcome.count("undamaged", "it failed")
        return outcome
    expected, log = content(root), folder / "log"
    paths = sorted(path for kind in KINDS for path in (root / kind).rglob("*") if path.is_file())
    cases = [(path, way) for path in paths for way in WAYS]
    for path, way in random.sample(cases, min(trials, len(cases))):
        before = checksums(path) if path.name == "done.json" else None
        damage(path, way, random.randrange(2**30))
        harmless = before is not None and checksums(path) == before
        failed = wait(fork(partial(compute_and_log, root, log)))
        told = not failed and f"{path.parent}: damaged" in log.read_text()
        kind = f"{path.name} {way}, {'told' if told or not harmless else 'where nothing is read'}"
        loss = "not computed again" if failed else lost(root, expected) if told or harmless else "not told"
        outcome.count(kind, loss)
    outcome.count("made by other code", _other_code(root, log, expected))
    return outcome


def _other_code(root: Path, log: Path, expected: dict[str, dict[str, str]]) -> str:
    """What is wrong with a store whose runs were all made by other code; '' if they are told and computed again."""
    if wait(fork(partial(compute_and_log, root, log, code="edited"))):
        return "not computed again"
    told = [line for line in log.read_text().splitlines() if "made by other code" in line]
    new = [artifacts for name, artifacts in content(root).items() if name not in expected]
    if sorted(map(str, new)) != sorted(map(str, expected.values())):
        return f"{len(new)} new results, or other ones"
    return "" if len(told) == len(KINDS) else f"told {told}"
