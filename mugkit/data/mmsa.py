"""Reads MMSA's pickles: MOSI, MOSEI and CH-SIMS as most users hold them.

The schema: `{train, valid, test}`, each with `id` and `raw_text` (one a clip), `audio` (N, L_a, d_a) and `vision`
(N, L_v, d_v) padded with zeros, `audio_lengths` and `vision_lengths` (absent where both are aligned to words), and
`regression_labels` (N,). CH-SIMS adds `regression_labels_T`, `_A`, `_V`: labels of people who saw one modality alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int64

from mugkit import files
from mugkit.data import disk
from mugkit.data.schema import FRAME_MODALITIES, SPLITS, Dataset, Sequences, Split, SplitName
from mugkit.data.validate import features
from mugkit.errors import UserError

FIELDS: Mapping[str, str] = {"a": "audio", "v": "vision"}
TRUE_LABELS: Mapping[str, str] = {
    "l": "regression_labels_T",
    "a": "regression_labels_A",
    "v": "regression_labels_V",
}
_FIXES: Mapping[str, str] = {
    "id": "every clip needs a name, such as VIDEO$_$CLIP",
}


def recognises(content: Any) -> bool:
    """Whether unpickled content has the outline of MMSA's schema: a dict of fields for each split."""
    return isinstance(content, Mapping) and all(isinstance(content.get(name), Mapping) for name in SPLITS)


def read(content: Mapping[str, Any], family: str, path: Path) -> Dataset:
    """The data set in an unpickled MMSA file.

    Frames are cut to their recorded lengths, or where none are recorded, from the
    first to the last frame that is not all zero: files exist that pad in front. −∞ in audio, the logarithm of
    silence, becomes 0. Frames go to a scratch file, some hundred clips at a time; `text` (features of BERT's) is
    not read at all. Files without transcripts or without one kind of frames are read as what they are.

    Args:
        content: what `load_pickle` returned and `recognises` accepted.
        family: mosi, mosei or sims.
        path: the file, for errors.

    Raises:
        UserError: a field is missing or is not an array of the expected shape, or the disk has no room for the frames
            and for storing them afterwards. What `validate` checks is not checked.
    """
    parts = {name: _Part(content[name], name, path) for name in SPLITS}
    needed = sum(_bytes(part, key) for part in parts.values() for key in FIELDS.values() if key in part.fields)
    with disk.room(files.home(), 2 * needed):
        splits = {name: _split(part) for name, part in parts.items()}
    train = splits["train"]
    acoustic, visual = (train.sequences[m].dim if m in train.sequences else None for m in FRAME_MODALITIES)
    aligned, language = _aligned(parts["train"]), "l" in train.modalities
    about = {"reader": "mmsa", **features(family, (acoustic, visual), aligned=aligned, language=language)}
    return Dataset(family, family, splits, about=about)


@dataclass(frozen=True)
class _Part:
    """The fields of one split, with errors that say where they are."""

    fields: Mapping[str, Any]
    split: SplitName
    path: Path

    def get(self, key: str) -> Any:
        if key not in self.fields:
            raise self.error(key, "is missing", _FIXES.get(key, f"use an MMSA pickle that has '{key}'"))
        return self.fields[key]

    def error(self, key: str, problem: str, fix: str) -> UserError:
        return UserError(problem, file=self.path, field=f"{self.split}.{key}", fix=fix)

    def strings(self, key: str) -> list[str]:
        try:
            values = list(self.get(key))
        except TypeError:  # a single number
            values = [None]
        if not all(isinstance(value, str) for value in values):
            raise self.error(key, "is not a list of strings", "store one string a clip")
        return [str(value) for value in values]  # numpy's strings become Python's

    def numbers(self, key: str, shape: str) -> Float[np.ndarray, "..."]:
        """The array of a field, in its own precision; `shape` names its axes, empty for any number of them."""
        try:
            array = np.asarray(self.get(key))
        except ValueError:  # rows of different lengths
            array = np.empty(0, dtype=object)
        if array.dtype.kind not in "fiub" or (shape and array.ndim != len(shape.split())):
            problem = f"is not an array of numbers of shape ({shape.replace(' ', ', ') or 'clips'})"
            raise self.error(key, problem, "store it as MMSA does")
        return array

    def frames(self, key: str) -> Float[np.ndarray, "clips padded dim"]:
        padded = self.numbers(key, "clips frames dim")
        if 0 in padded.shape:
            raise self.error(key, f"is empty: its shape is {padded.shape}", "store at least one frame a clip")
        return padded

    def lengths(self, key: str) -> Int64[np.ndarray, " clips"] | None:
        """Recorded lengths of the clips of a field of frames, None where there are none."""
        if (name := f"{key}_lengths") not in self.fields:
            return None
        lengths, (clips, padded, _) = self.numbers(name, "clips"), self.frames(key).shape
        if len(lengths) != clips:
            raise self.error(name, f"has {len(lengths)} rows for {clips} clips", "store one length a clip")
        wrong = np.flatnonzero(~((lengths >= 1) & (lengths <= padded)))  # NaN is in neither
        if wrong.size:
            clip = self.strings("id")[wrong[0]]
            problem = f"says {lengths[wrong[0]]} frames for clip '{clip}' (row {wrong[0]}), but 1 to {padded} are there"
            raise self.error(name, problem, f"correct the length, or leave '{name}' out to trim padding instead")
        return lengths.astype(np.int64)

    def labels(self, key: str) -> Float32[np.ndarray, " clips"]:
        return self.numbers(key, "").reshape(-1).astype(np.float32)  # (N,) and (N, 1) both occur


def _split(part: _Part) -> Split:
    return Split(
        name=part.split,
        ids=part.strings("id"),
        text=part.strings("raw_text") if "raw_text" in part.fields else [""] * len(part.strings("id")),
        labels=part.labels("regression_labels"),
        sequences={str(m): _sequences(part, FIELDS[m]) for m in FRAME_MODALITIES if FIELDS[m] in part.fields},
        true_labels={m: part.labels(key) for m, key in TRUE_LABELS.items() if key in part.fields},
    )


def _sequences(part: _Part, key: str) -> Sequences:
    return disk.flatten(_cut(part, key), part.frames(key).shape[2])


def _cut(part: _Part, key: str) -> Iterator[list[Float32[np.ndarray, "length dim"]]]:
    """The clips of a field without padding, some at a time."""
    lengths, done = part.lengths(key), 0
    for block in disk.blocks(part.frames(key)):
        padded = np.array(block, dtype=np.float32)
        if key == "audio":
            padded[np.isneginf(padded)] = 0
        if lengths is None:
            yield [_trim(clip) for clip in padded]
        else:
            yield [clip[:length] for clip, length in zip(padded, lengths[done:], strict=False)]
        done += len(padded)


def _bytes(part: _Part, key: str) -> int:
    """How much the clips of a field take without padding; where no lengths are recorded, with it."""
    clips, padded, dim = part.frames(key).shape
    lengths = part.lengths(key)
    return 4 * dim * (clips * padded if lengths is None else int(lengths.sum()))


def _trim(clip: Float32[np.ndarray, "padded dim"]) -> Float32[np.ndarray, "length dim"]:
    """The clip without padding at either end; one frame of a clip that is all padding."""
    used = np.flatnonzero(((clip != 0) & ~np.isneginf(clip)).any(axis=1))
    return clip[used[0] : used[-1] + 1] if len(used) else clip[:1]


def _aligned(part: _Part) -> bool:
    """Files aligned to words pad both modalities to the same number of words and record no lengths."""
    shapes = [np.shape(part.fields[key]) for key in FIELDS.values() if key in part.fields]
    same = len(shapes) == 2 and shapes[0][1] == shapes[1][1]
    return same and not any(f"{key}_lengths" in part.fields for key in FIELDS.values())
