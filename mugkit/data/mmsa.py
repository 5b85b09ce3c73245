"""Reads the pickles of MMSA and MulT, which most users have of MOSI, MOSEI and CH-SIMS.

The schema: `{train, valid, test}`, each with `id` and `raw_text` (one per clip), `audio` (N, L_a, d_a) and `vision`
(N, L_v, d_v) padded with zeros, `audio_lengths` and `vision_lengths` (absent if both are aligned to words), and
`regression_labels` (N,). CH-SIMS adds `regression_labels_T`, `_A`, `_V`: labels of people who saw only one modality.

MulT's files have `labels` (N, 1, 1) instead of `regression_labels`, and `id` (N, 3) (video, start, end) or (N, 1).
Their `text` is GloVe vectors of the words, so transcripts come from other files (`transcripts`).
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int64

from mugkit import files
from mugkit.data import disk
from mugkit.data.schema import SPLITS, Dataset, RaggedFrames, Split, SplitName, as_text, split_name
from mugkit.data.transcripts import TIMED
from mugkit.data.validate import described, finite, number
from mugkit.errors import UserError

FIELDS: Mapping[str, str] = {"a": "audio", "v": "vision"}
TRUE_LABELS: Mapping[str, str] = {"l": "regression_labels_T", "a": "regression_labels_A", "v": "regression_labels_V"}
LABELS = ("regression_labels", "labels", "label")  # the first of these fields that exists is used


def recognises(content: Any) -> bool:
    """Whether unpickled content has the outline of the schema: a dict of fields for each split."""
    named = content if isinstance(content, Mapping) else {}
    return {split_name(key) for key, part in named.items() if isinstance(part, Mapping)} >= set(SPLITS)


def read(content: Mapping[str, Any], family: str, path: Path) -> Dataset:
    """Reads a data set from an unpickled MMSA file.

    Frames are cut to their recorded lengths. Without these, all frames before the first and after the last frame that
    is not all zero are cut: some files pad in front. Frames go to a scratch file, some hundred clips at a time. `text`
    is read only if it holds text, not features. Files may lack transcripts or one kind of frames.

    Args:
        content: content that `load_pickle` returned and `recognises` accepted.
        path: the file, for errors.

    Raises:
        UserError: if a field is missing or is not an array of the expected shape, or the disk has no room for the
            frames and for storing them afterwards. Does not check what `validate` checks.
    """
    parts = {name: _Part.of(key, content[key], path) for key in content if (name := split_name(key))}
    needed = sum(part.bytes(key) for part in parts.values() for key in part.framed.values())
    notes: Counter[str] = Counter()
    with disk.room(files.home(), 2 * needed):
        splits = {name: _split(name, parts[name], notes) for name in SPLITS}
    return described("mmsa", family, _numbered(splits), notes, aligned=parts["train"].aligned)


def _numbered(splits: Mapping[SplitName, Split]) -> dict[SplitName, Split]:
    """Makes clip names unique if every split numbers its clips from the start, or if clips are named by times that they
    share (two clips of MOSI do): the second of these gets `#2`.
    """
    every = [clip for split in splits.values() for clip in split.ids]
    if len(set(every)) == len(every) or not all(clip.isdigit() or TIMED.fullmatch(clip) for clip in every):
        return dict(splits)
    named = {}
    for name, split in splits.items():
        seen: Counter[str] = Counter()
        ids = []
        for clip in split.ids:
            seen[clip] += 1
            unique = clip if seen[clip] == 1 else f"{clip}#{seen[clip]}"
            ids.append(f"{name}$_${unique}" if unique.isdigit() else unique)
        named[name] = replace(split, ids=ids)
    return named


@dataclass(frozen=True)
class _Part:
    """The fields of one split; errors say where they occur."""

    fields: Mapping[str, Any]
    split: str  # as the file calls it
    path: Path

    @classmethod
    def of(cls, key: Any, fields: Mapping[Any, Any], path: Path) -> "_Part":
        return cls({as_text(name): value for name, value in fields.items()}, as_text(key), path)

    @property
    def framed(self) -> dict[str, str]:
        """The fields of frames that there are, by modality."""
        return {m: key for m, key in FIELDS.items() if key in self.fields}

    @property
    def aligned(self) -> bool:
        """Whether frames are aligned to words: both modalities are padded to the same length, and none is recorded."""
        padded = [np.shape(self.fields[key])[1] for key in self.framed.values()]
        recorded = any(f"{key}_lengths" in self.fields for key in FIELDS.values())
        return len(padded) == 2 and padded[0] == padded[1] and not recorded

    def error(self, key: str, problem: str, fix: str) -> UserError:
        return UserError(problem, file=self.path, field=f"{self.split}.{key}", fix=fix)

    def get(self, key: str) -> Any:
        if key not in self.fields:
            raise self.error(key, "is missing", f"use an MMSA pickle that has '{key}', of each clip")
        return self.fields[key]

    def strings(self, key: str, several: bool = False) -> list[str]:
        """One text per clip, from strings, bytes, or arrays of a single one.

        Args:
            several: also accept numbers, and several cells per clip, which are joined as in MMSA's ids.
        """
        try:
            rows = np.array(list(self.get(key)), dtype=object)
            rows = rows.reshape(len(rows), -1) if rows.size else np.empty((0, 1), dtype=object)
            if not several and (rows.shape[1] != 1 or not all(isinstance(text, str | bytes) for text in rows[:, 0])):
                raise ValueError("not one text per clip")
            return ["$_$".join(map(_name, row)) if several else as_text(row[0]) for row in rows]
        except (TypeError, ValueError) as error:  # also a single number, or rows of different shapes
            raise self.error(key, "is not a list of strings", "store one string per clip") from error

    def ids(self) -> list[str]:
        return self.strings("id", several=True)

    def text(self) -> list[str]:
        """Transcripts; empty strings if there are none, or word vectors instead."""
        if "raw_text" in self.fields:
            return self.strings("raw_text")
        return self.strings("text") if _holds_text(self.fields.get("text")) else [""] * len(self.ids())

    def _array(self, key: str) -> np.ndarray:
        try:
            return np.asarray(self.get(key))
        except ValueError:  # rows of different lengths
            return np.empty(0, dtype=object)

    def numbers(self, key: str, shape: str) -> Float[np.ndarray, "..."]:
        """The array of a field, in its own precision; `shape` names its axes ("" accepts any number of axes)."""
        array = self._array(key)
        if array.dtype.kind not in "fiub" or (shape and array.ndim != len(shape.split())):
            problem = f"is not an array of numbers of shape ({shape.replace(' ', ', ') or 'clips'})"
            raise self.error(key, problem, "store it as MMSA does")
        return array

    def frames(self, key: str) -> Float[np.ndarray, "clips padded dim"]:
        padded = self.numbers(key, "clips frames dim")
        if 0 in padded.shape:
            raise self.error(key, f"is empty: its shape is {padded.shape}", "store at least one frame per clip")
        return padded

    def lengths(self, key: str) -> Int64[np.ndarray, " clips"] | None:
        """Recorded lengths of the clips of a field of frames; None if there are none."""
        if (name := f"{key}_lengths") not in self.fields:
            return None
        lengths, (clips, padded, _) = self.numbers(name, "clips"), self.frames(key).shape
        if len(lengths) != clips:
            raise self.error(name, f"has {len(lengths)} rows for {clips} clips", "store one length per clip")
        wrong = np.flatnonzero(~((lengths >= 1) & (lengths <= padded)))  # NaN fails both comparisons
        if wrong.size:
            where = f"clip '{self.ids()[wrong[0]]}' (row {wrong[0]})"
            problem = f"says {lengths[wrong[0]]} frames for {where}, but it must be 1 to {padded}"
            raise self.error(name, problem, f"correct the length, or leave '{name}' out to trim padding instead")
        return lengths.astype(np.int64)

    def bytes(self, key: str) -> int:
        """The bytes that the clips of a field take without padding; with padding if no lengths are recorded."""
        (clips, padded, dim), lengths = self.frames(key).shape, self.lengths(key)
        return 4 * dim * (clips * padded if lengths is None else int(lengths.sum()))

    def labels(self, *keys: str) -> Float32[np.ndarray, " clips"]:
        """The label of each clip; shapes (N,), (N, 1) and (N, 1, 1) all occur, and text instead of numbers."""
        key = next((key for key in keys if key in self.fields), keys[0])
        labels = self._array(key)
        if labels.dtype.kind in "OSU" and 0 < labels.size == len(ids := self.ids()):
            cells = np.asarray(self.get(key), dtype=object).reshape(-1)
            places = (f"{self.split}.{key}[{row}] (clip {clip!r})" for row, clip in enumerate(ids))
            labels = np.array([number(cell, self.path, place) for cell, place in zip(cells, places, strict=True)])
        else:
            labels = self.numbers(key, "")
        if labels.ndim and len(labels) and labels.size != len(labels):
            shape = " × ".join(map(str, labels.shape[1:]))
            problem = f"holds {shape} numbers a clip: classes (of emotions, as IEMOCAP's), not intensities of sentiment"
            raise self.error(key, problem, "use data whose label is one number per clip: MOSI, MOSEI or CH-SIMS")
        return labels.reshape(-1).astype(np.float32)


def _name(value: Any) -> str:
    if isinstance(value, str | bytes):
        return as_text(value).strip()
    if isinstance(value, bool | np.bool_) or not np.isfinite(value):  # a TypeError if it is not a number
        raise ValueError("no name")
    return str(int(value)) if value == int(value) else str(round(float(value), 6))


def _holds_text(values: Any) -> bool:
    while isinstance(values, list | tuple | np.ndarray) and len(values):
        values = values[0]
    return isinstance(values, str | bytes)


def _split(name: SplitName, part: _Part, notes: Counter[str]) -> Split:
    labels = part.labels(*LABELS)  # first: emotion classes should be rejected as such, and such files often have no ids
    sequences = {m: _sequences(part, m, notes) for m in part.framed}
    true_labels = {m: part.labels(key) for m, key in TRUE_LABELS.items() if key in part.fields}
    return Split(name, part.ids(), part.text(), labels, sequences, true_labels)


def _sequences(part: _Part, modality: str, notes: Counter[str]) -> RaggedFrames:
    key = FIELDS[modality]
    clean = ([finite(clip, modality, notes) for clip in block] for block in _cut(part, key))
    return disk.flatten(clean, part.frames(key).shape[2])


def _cut(part: _Part, key: str) -> Iterator[list[Float32[np.ndarray, "length dim"]]]:
    """The clips of a field without padding, in blocks."""
    lengths, done = part.lengths(key), 0
    for block in disk.blocks(part.frames(key)):
        padded = np.array(block, dtype=np.float32)
        if lengths is None:
            yield [_trim(clip) for clip in padded]
        else:
            yield [clip[:length] for clip, length in zip(padded, lengths[done:], strict=False)]
        done += len(padded)


def _trim(clip: Float32[np.ndarray, "padded dim"]) -> Float32[np.ndarray, "length dim"]:
    """The clip without padding at either end; a single frame if it is all padding."""
    used = np.flatnonzero(((clip != 0) & ~np.isneginf(clip)).any(axis=1))
    return clip[used[0] : used[-1] + 1] if len(used) else clip[:1]
