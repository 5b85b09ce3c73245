"""Reads the pickles of MISA and MAG-BERT: frames averaged over words, COVAREP 74 and Facet 47 (MOSI) or 35 (MOSEI).

A split is a list of `((words or word ids, visual (T, d_v), acoustic (T, d_a), words), label (1, 1), segment id)`; if
the first field holds the words themselves, the fourth may be absent. MISA has one file per split, MAG-BERT one file
with all three splits.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from mugkit.data.schema import (
    FRAME_MODALITIES,
    MODALITY_NAMES,
    SPLITS,
    Dataset,
    RaggedFrames,
    Split,
    SplitName,
    as_text,
    split_name,
)
from mugkit.data.validate import counted, features, finite, number
from mugkit.errors import UserError

SHARES: Mapping[SplitName, float] = {"train": 0.7, "valid": 0.1, "test": 0.2}  # of a made-up split
_MADE_UP = (
    "the split is made up: the file holds one list of clips, divided 70/10/20 by a hash of the clip's id, so that "
    "speakers are shared between splits; too small for claims about accuracy"
)
_FIX = "an entry is ((words or ids, visual, acoustic, words), label, segment)"


def recognises(content: Any) -> bool:
    """Whether unpickled content is a list of MISA's entries, or a dict of such lists for train, dev and test."""
    if isinstance(content, Mapping):
        return {split_name(key) for key, part in content.items() if _is_list(part)} >= set(SPLITS)
    return _is_list(content)


def _is_list(content: Any) -> bool:
    if not isinstance(content, list) or not content:
        return False
    first = content[0]
    return isinstance(first, tuple | list) and len(first) == 3 and isinstance(first[0], tuple | list)


def read(content: Sequence[Any] | Mapping[str, Sequence[Any]], family: str, path: Path) -> Dataset:
    """Reads a data set from unpickled MISA or MAG-BERT data.

    A single list is split 70/10/20 by a hash of the clip's id; caption and caveats say so. Values in frames that are
    not finite become 0 (`validate.finite`). Entries with word ids instead of words have no text.

    Args:
        content: content that `recognises` accepted; files of one split each are joined to a dict before.
        family: mosi or mosei.
        path: the file, for errors.

    Raises:
        UserError: if an entry has another form (the error names its position). Does not check what `validate` checks.
    """
    if isinstance(content, Mapping):
        clips = {name: _clips(content[key], path, as_text(key)) for key in content if (name := split_name(key))}
    else:
        clips = _made_up_split(_clips(content, path, "entry"))
    notes: Counter[str] = Counter()
    splits = {name: _split(name, clips[name], path, notes) for name in SPLITS}
    train = splits["train"].sequences
    same = np.array_equal(train["a"].lengths, train["v"].lengths)
    language = "l" in splits["train"].modalities
    about = {"reader": "misa", **features(family, (train["a"].dim, train["v"].dim), aligned=same, language=language)}
    about["caveats"] += counted(notes)
    if not isinstance(content, Mapping):
        about["caption"] += ", made-up split"
        about["caveats"].append(_MADE_UP)
    return Dataset(family, family, splits, about=about)


@dataclass(frozen=True)
class _Clip:
    id: str
    text: str
    label: float
    frames: Mapping[str, Float32[np.ndarray, "frames dim"]]  # by modality


def _clips(part: Sequence[Any], path: Path, key: str) -> list[_Clip]:
    return [_clip(entry, path, f"{key}[{row}]") for row, entry in enumerate(part)]


def _clip(entry: Any, path: Path, place: str) -> _Clip:
    try:
        (words, visual, acoustic, *rest), label, segment = entry
        name, said, cell = _text(segment), _words(rest[0] if rest else words), np.asarray(label, dtype=object).item()
        frames = {"a": _frames(acoustic), "v": _frames(visual)}
    except (ValueError, TypeError, IndexError) as error:
        raise UserError("is not a MISA entry", file=path, field=place, fix=_FIX) from error
    return _Clip(name, said, number(cell, path, f"{place}.label (clip {name!r})"), frames)


def _text(value: Any) -> str:
    """The text of an id or a word, which may be bytes or an array of one element."""
    return as_text(value.item() if isinstance(value, np.ndarray) else value).strip()


def _words(tokens: Any) -> str:
    """The transcript; empty if the tokens are word ids, which belong to another program's vocabulary."""
    words = list(tokens)
    return " ".join(map(as_text, words)) if all(isinstance(word, str | bytes) for word in words) else ""


def _frames(values: Any) -> Float32[np.ndarray, "frames dim"]:
    frames = np.asarray(values, dtype=np.float32)
    if frames.ndim != 2:
        raise ValueError("frames need two axes")
    return frames


def _made_up_split(clips: Sequence[_Clip]) -> dict[SplitName, list[_Clip]]:
    """Splits clips by a hash of their ids, so that the split does not depend on their order."""
    bounds = np.cumsum(list(SHARES.values()))[:-1]
    parts: dict[SplitName, list[_Clip]] = {name: [] for name in SPLITS}
    for clip in clips:
        share = int(hashlib.sha256(clip.id.encode("utf-8", "replace")).hexdigest()[:12], 16) / 16**12
        parts[SPLITS[int(np.searchsorted(bounds, share, side="right"))]].append(clip)
    return parts


def _split(name: SplitName, clips: Sequence[_Clip], path: Path, notes: Counter[str]) -> Split:
    return Split(
        name=name,
        ids=[clip.id for clip in clips],
        text=[clip.text for clip in clips],
        labels=np.array([clip.label for clip in clips], dtype=np.float32),
        sequences={m: _sequences(name, m, [clip.frames[m] for clip in clips], path, notes) for m in FRAME_MODALITIES},
    )


def _sequences(
    split: SplitName, modality: str, clips: Sequence[np.ndarray], path: Path, notes: Counter[str]
) -> RaggedFrames:
    dims = sorted({clip.shape[1] for clip in clips})
    if len(dims) != 1:
        problem = f"has frames of {' and '.join(map(str, dims))} dims" if dims else "has no clips"
        fix = "all clips need frames of the same features"
        raise UserError(problem, file=path, field=f"{split}.{MODALITY_NAMES[modality]}", fix=fix)
    return RaggedFrames.of([finite(clip, modality, notes) for clip in clips])
