"""Reads MMSA's pickles: MOSI, MOSEI and CH-SIMS as most users hold them.

The schema: `{train, valid, test}`, each with `id` and `raw_text` (one a clip), `audio` (N, L_a, d_a) and `vision`
(N, L_v, d_v) padded with zeros, `audio_lengths` and `vision_lengths` (absent where both are aligned to words), and
`regression_labels` (N,). CH-SIMS adds `regression_labels_T`, `_A`, `_V`: labels of people who saw one modality alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int64

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
    "raw_text": "transcripts are needed; MMSA's own files (unaligned_50.pkl and the like) have them",
    "id": "every clip needs a name, such as VIDEO$_$CLIP",
}


def recognises(content: Any) -> bool:
    """Whether unpickled content has the outline of MMSA's schema: a dict of fields for each split."""
    return isinstance(content, Mapping) and all(isinstance(content.get(name), Mapping) for name in SPLITS)


def read(content: Mapping[str, Any], family: str, path: Path) -> Dataset:
    """The data set in an unpickled MMSA file.

    Frames are cut to their recorded lengths (at least 1, at most what is there), or where none are recorded, from the
    first to the last frame that is not all zero: files exist that pad in front. −∞ in audio, the logarithm of
    silence, becomes 0.

    Args:
        content: what `load_pickle` returned and `recognises` accepted.
        family: mosi, mosei or sims.
        path: the file, for errors.

    Raises:
        UserError: a field is missing or is not an array of the expected shape. What `validate` checks is not checked.
    """
    parts = {name: _Part(content[name], name, path) for name in SPLITS}
    splits = {name: _split(part) for name, part in parts.items()}
    dims = (splits["train"].sequences["a"].dim, splits["train"].sequences["v"].dim)
    about = {"reader": "mmsa", **features(family, dims, aligned=_aligned(parts["train"]))}
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

    def labels(self, key: str) -> Float32[np.ndarray, " clips"]:
        return self.numbers(key, "").reshape(-1).astype(np.float32)  # (N,) and (N, 1) both occur


def _split(part: _Part) -> Split:
    return Split(
        name=part.split,
        ids=part.strings("id"),
        text=part.strings("raw_text"),
        labels=part.labels("regression_labels"),
        sequences={str(m): _sequences(part, FIELDS[m]) for m in FRAME_MODALITIES},
        true_labels={m: part.labels(key) for m, key in TRUE_LABELS.items() if key in part.fields},
    )


def _sequences(part: _Part, key: str) -> Sequences:
    padded = part.numbers(key, "clips frames dim")
    if 0 in padded.shape:
        raise part.error(key, f"is empty: its shape is {padded.shape}", "store at least one frame a clip")
    if f"{key}_lengths" in part.fields:
        lengths = np.clip(_lengths(part, f"{key}_lengths", len(padded)), 1, padded.shape[1])
        clips = [clip[:length] for clip, length in zip(padded, lengths, strict=True)]
    else:
        clips = [_trim(clip) for clip in padded]
    frames = np.concatenate(clips).astype(np.float32, copy=False)  # a set of gigabytes is not copied twice
    if key == "audio":
        frames[np.isneginf(frames)] = 0
    return Sequences(frames, np.cumsum([0, *map(len, clips)], dtype=np.int64))


def _lengths(part: _Part, key: str, clips: int) -> Int64[np.ndarray, " clips"]:
    lengths = part.numbers(key, "clips")
    if len(lengths) != clips:
        raise part.error(key, f"has {len(lengths)} rows for {clips} clips", "store one length a clip")
    return lengths.astype(np.int64)


def _trim(clip: Float[np.ndarray, "padded dim"]) -> Float[np.ndarray, "length dim"]:
    """The clip without padding at either end; one frame of a clip that is all padding."""
    used = np.flatnonzero(((clip != 0) & ~np.isneginf(clip)).any(axis=1))
    return clip[used[0] : used[-1] + 1] if len(used) else clip[:1]


def _aligned(part: _Part) -> bool:
    """Files aligned to words pad both modalities to the same number of words and record no lengths."""
    same = np.shape(part.get("audio"))[1] == np.shape(part.get("vision"))[1]
    return same and not any(f"{key}_lengths" in part.fields for key in FIELDS.values())
