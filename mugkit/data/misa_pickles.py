"""Reads the pickles of MISA and MAG-BERT: frames averaged over words, COVAREP 74 and Facet 47 (MOSI) or 35 (MOSEI).

A split is a list of `((words or word ids, visual (T, d_v), acoustic (T, d_a), words), label (1, 1), segment id)`; if
the first field holds the words themselves, the fourth may be absent. MISA has one file per split, MAG-BERT one file
with all three splits.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
from mugkit.data.validate import described, finite, number
from mugkit.errors import UserError

_ENDS = (0.7, 0.8)  # of the training and validation clips in a made-up split
_MADE_UP = (
    "the split is made up: the file holds one list of clips, divided 70/10/20 by a hash of the clip's id, so that "
    "speakers are shared between splits; too small for claims about accuracy"
)


def recognises(content: Any) -> bool:
    """Whether unpickled content is a list of MISA's entries, or a dict of such lists for train, dev and test."""
    if isinstance(content, Mapping):
        return {split_name(key) for key, part in content.items() if _is_list(part)} >= set(SPLITS)
    return _is_list(content)


def _is_list(content: Any) -> bool:
    first = content[0] if isinstance(content, list) and content else None
    return isinstance(first, tuple | list) and len(first) == 3 and isinstance(first[0], tuple | list)


def read(content: Sequence[Any] | Mapping[str, Sequence[Any]], family: str, path: Path) -> Dataset:
    """Reads a data set from unpickled MISA or MAG-BERT data.

    A single list is split 70/10/20 by a hash of the clip's id; caption and caveats say so. Entries with word ids
    instead of words have no text.

    Args:
        content: content that `recognises` accepted; files of one split each are joined to a dict before.
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
    acoustic, visual = (splits["train"].sequences[m].lengths for m in FRAME_MODALITIES)
    dataset = described("misa", family, splits, notes, aligned=np.array_equal(acoustic, visual))
    if isinstance(content, Mapping):
        return dataset
    about = {"caption": f"{dataset.about['caption']}, made-up split", "caveats": [*dataset.about["caveats"], _MADE_UP]}
    return replace(dataset, about={**dataset.about, **about})


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
        # An id may be an array of one element.
        name = as_text(segment.item() if isinstance(segment, np.ndarray) else segment).strip()
        said, cell = list(rest[0] if rest else words), np.asarray(label, dtype=object).item()
        frames = {m: np.asarray(values, dtype=np.float32) for m, values in (("a", acoustic), ("v", visual))}
        if any(values.ndim != 2 for values in frames.values()):
            raise ValueError("frames need two axes")
    except (ValueError, TypeError, IndexError) as error:
        fix = "an entry is ((words or ids, visual, acoustic, words), label, segment)"
        raise UserError("is not a MISA entry", file=path, field=place, fix=fix) from error
    # Word ids belong to another program's vocabulary.
    text = " ".join(map(as_text, said)) if all(isinstance(word, str | bytes) for word in said) else ""
    return _Clip(name, text, number(cell, path, f"{place}.label (clip {name!r})"), frames)


def _made_up_split(clips: Sequence[_Clip]) -> dict[SplitName, list[_Clip]]:
    """Splits clips by a hash of their ids, so that the split does not depend on their order."""
    parts: dict[SplitName, list[_Clip]] = {name: [] for name in SPLITS}
    for clip in clips:
        share = int(hashlib.sha256(clip.id.encode("utf-8", "replace")).hexdigest()[:12], 16) / 16**12
        parts[SPLITS[int(np.searchsorted(_ENDS, share, side="right"))]].append(clip)
    return parts


def _split(name: SplitName, clips: Sequence[_Clip], path: Path, notes: Counter[str]) -> Split:
    sequences = {}
    for m in FRAME_MODALITIES:
        dims = sorted({clip.frames[m].shape[1] for clip in clips})
        if len(dims) != 1:
            problem = f"has frames of {' and '.join(map(str, dims))} dims" if dims else "has no clips"
            fix = "all clips need frames of the same features"
            raise UserError(problem, file=path, field=f"{name}.{MODALITY_NAMES[m]}", fix=fix)
        sequences[m] = RaggedFrames.of([finite(clip.frames[m], m, notes) for clip in clips])
    labels = np.array([clip.label for clip in clips], dtype=np.float32)
    return Split(name, [clip.id for clip in clips], [clip.text for clip in clips], labels, sequences)
