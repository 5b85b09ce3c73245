"""What people call splits, and text that is stored as bytes: the same in every reader."""

from __future__ import annotations

from collections.abc import Mapping

from mugkit.data.schema import SPLIT_NAMES as _SHORT
from mugkit.data.schema import SplitName

SPLIT_NAMES: Mapping[str, SplitName] = {
    **_SHORT,
    "training": "train",
    "validation": "valid",
    "development": "valid",
    "testing": "test",
}


def split_name(key: object) -> SplitName | None:
    """The split that a key, a cell or a word of a file's name means; None if it means none."""
    return SPLIT_NAMES.get(as_text(key).strip().lower()) if isinstance(key, str | bytes) else None


def as_text(value: object) -> str:
    """Text as people store it: as such, or as bytes of UTF-8 (what else is in them becomes lone surrogates)."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
