"""Stored results that other code made: they are computed again, and that is told once a kind."""

from __future__ import annotations

import functools
import logging
import multiprocessing
from pathlib import Path
from typing import Any

from mugkit import files

log = logging.getLogger(__name__)
_CODE = ("code", "made_from")  # the fields of an identity that hold a fingerprint of sources
_told: set[Path] = set()


def _apart_from_code(identity: Any) -> Any:
    if isinstance(identity, dict):
        return {name: _apart_from_code(value) for name, value in identity.items() if name not in _CODE}
    return identity


def _code_of(identity: Any) -> set[str]:
    """The fingerprint of the library's sources, and those of earlier stages'."""
    parts = identity.items() if isinstance(identity, dict) else ()
    return set().union(*({str(value)} if name == "code" else _code_of(value) for name, value in parts))


@functools.lru_cache(maxsize=16)
def _stored(folder: Path) -> list[tuple[str, set[str]]]:
    """What is stored of a kind, apart from its code, and the code of it: read once a process, and only where something
    has to be computed.

    What this process or another computes meanwhile is of the present code, and has no need to be in the list.
    """
    found = []
    for path in folder.glob("[!.]*/done.json"):
        try:
            identity = files.read_json(path)["identity"]
            found.append((files.digest(_apart_from_code(identity)), _code_of(identity)))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):  # damaged: told when it is asked for
            continue
    return found


def warn_stale(folder: Path, identity: Any) -> None:
    """Warns, once a kind, if a result that is not there is there from other code.

    Args:
        folder: of the kind, e.g. `runs/train`.
        identity: of what is about to be computed.
    """
    if folder in _told or multiprocessing.parent_process() is not None:  # a worker: its starter has told it
        return
    asked, stored = files.digest(_apart_from_code(identity)), _stored(folder)
    if any(one == asked for one, _ in stored):
        _told.add(folder)
        count = sum(one == asked or not code <= _code_of(identity) for one, code in stored)
        log.warning("%s: %d stored results were made by other code; what is needed is computed again", folder, count)
