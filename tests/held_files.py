"""Data sets' files as people hold them: small, sound, and easy to spoil."""

import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mugkit.data.schema import SPLITS

VIDEOS = {"va": "train", "vb": "valid", "vc": "test"}  # of the CMU SDK's files, and their splits
LABELS = "Opinion Segment Labels"
Entries = Mapping[str, tuple[Any, Any]]  # intervals and features by video


def dump(path: Path, content: Any, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


def part(split: str, clips: int = 3, dims: tuple[int, int] = (5, 20), **fields: Any) -> dict[str, Any]:
    """A split of an MMSA pickle: clips of 4 acoustic and 3 visual frames, of which the first 2 and 3 are real."""
    audio = np.zeros((clips, 4, dims[0]), np.float32)
    audio[:, :2] = np.arange(1, 3)[None, :, None]
    return {
        "id": [f"{split}$_${clip}" for clip in range(clips)],
        "raw_text": np.array(["so good", "so bad", "so so"][:clips]),
        "audio": audio,
        "vision": np.ones((clips, 3, dims[1])),
        "audio_lengths": [2] * clips,
        "vision_lengths": [3] * clips,
        "regression_labels": np.array([1.5, -2.0, 0.0][:clips]),
    } | fields


def mmsa(**train: Any) -> dict[str, Any]:
    """An MMSA pickle, with other fields in its training split."""
    return {"train": part("train", **train), "valid": part("valid"), "test": part("test")}


def mult(ids: Callable[[str], Any], names: Sequence[Any] = SPLITS, clips: int = 4, **fields: Any) -> dict[Any, Any]:
    """MulT's form: words as GloVe's vectors, labels (N, 1, 1), no lengths."""
    rng = np.random.default_rng(1)
    return {
        key: {
            "vision": rng.standard_normal((clips, 5, 20)),
            "audio": rng.standard_normal((clips, 6, 5)),
            "text": rng.standard_normal((clips, 5, 300)).astype(np.float32),
            "labels": np.arange(clips, dtype=np.float64).reshape(-1, 1, 1) - 1,
            "id": ids(split),
        }
        | fields
        for key, split in zip(names, SPLITS, strict=True)
    }


def entry(clip: str, words: Sequence[str] = ("a", "fine", "film"), label: Any = 1.5, dims: Any = (47, 74)) -> tuple:
    """An entry of a MISA pickle: Facet's frames are 2, COVAREP's 3, a frame a word."""
    visual, acoustic = (np.full((len(words), dim), value) for dim, value in zip(dims, (2.0, 3.0), strict=True))
    return ((np.arange(len(words)), visual, acoustic, list(words)), np.array([[label]], np.float32), clip)


def misa(*more: Any) -> dict[str, Any]:
    """A MISA pickle, with more entries in its training split."""
    return {
        "train": [entry("v[0]"), entry("v[1]"), *more],
        "dev": [entry("w[0]"), entry("w[1]")],
        "test": [entry("x[0]"), entry("x[1]")],
    }


def sequence(path: Path, name: str, entries: Entries, description: str = "") -> Path:
    """A computational sequence of the CMU SDK."""
    with h5py.File(path, "w") as file:
        for video, (intervals, values) in entries.items():
            file[f"{name}/data/{video}/intervals"] = np.array(intervals, np.float64).reshape(-1, 2)
            file[f"{name}/data/{video}/features"] = np.array(values)
        file[f"{name}/metadata/computational sequence description"] = [description.encode()]
    return path


def sound_csd(folder: Path) -> Path:
    """Labels of three videos, a clip each, and their folds."""
    (folder / "folds.json").write_text('{"train": ["va"], "valid": ["vb"], "test": ["vc"]}')
    entries = {video: ([[0, 2]], [[1.0 - number]]) for number, video in enumerate(VIDEOS)}
    return sequence(folder / "labels.csd", LABELS, entries)
