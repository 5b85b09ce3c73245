"""A `.csd` file of the CMU Multimodal SDK: an HDF5 file with one kind of sequence for all videos.

It holds `NAME/metadata`, `NAME/data/VIDEO/intervals` (n, 2), in seconds, and `NAME/data/VIDEO/features` (n, d). Files
that the SDK wrote after aligning to the labels use clips, `VIDEO[0]`, as keys instead of videos.
"""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from mugkit.errors import UserError

CLIP = re.compile(r"(.+)\[(\d+)\]")
_DESCRIPTION = "metadata/computational sequence description"
# Kind of a sequence → hints in its name. Without a hint, the dims decide, then the description. "" is not used.
_NAMED: Mapping[str, tuple[str, ...]] = {
    "": ("phone", "glove", "bert", "vector", "emotion"),
    "labels": ("label", "opinion", "sentiment"),
    "a": ("covarep", "opensmile", "acoustic", "audio"),
    "v": ("facet", "openface", "visual"),
}
_DIMS: Mapping[int, str] = {1: "labels", 7: "labels", 74: "a", 35: "v", 47: "v", 713: "v"}
_FIX = "download the file again from the CMU Multimodal SDK"
# What h5py raises for files that are damaged or of another form.
_DAMAGE = (OSError, KeyError, TypeError, ValueError, AttributeError, StopIteration, MemoryError, RuntimeError)
Intervals = Float64[np.ndarray, "entries 2"]  # start and stop in seconds, in either order


def recognises(path: Path) -> bool:
    """Whether a file is HDF5, by its first bytes, or ends in `.csd`."""
    with path.open("rb") as stream:
        return path.suffix.lower() == ".csd" or stream.read(8) == b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class Source:
    """One computational sequence: an entry is an interval and its features."""

    path: Path
    name: str
    kind: str  # words, labels, a or v; "" if it is not used
    dim: int  # number of features per entry
    data: Any  # the HDF5 group of all videos

    @classmethod
    def open(cls, path: Path, stack: contextlib.ExitStack) -> "Source":
        import h5py

        try:
            file = stack.enter_context(h5py.File(path, "r"))
            name = next(key for key in file if "data" in file[key])
            data = file[name]["data"]
            _refuse_outside(data, path)
            entries = data[next(iter(data))]["features"]
            return cls(path, name, _kind(path, name, file[name], entries), int(np.prod(entries.shape[1:])), data)
        except _DAMAGE as error:
            raise UserError("is not a computational sequence (HDF5)", file=path, fix=_FIX) from error

    @property
    def bytes(self) -> int:
        """The size of all features as float32."""
        return 4 * sum(self.data[video]["features"].size for video in self.data)

    @cached_property
    def clips(self) -> Mapping[str, list[str]]:
        """The keys `VIDEO[k]` of each video."""
        found: dict[str, list[str]] = {}
        for key in self.data:
            if numbered := CLIP.fullmatch(key):
                found.setdefault(numbered[1], []).append(key)
        return found

    def read(self, key: str) -> tuple[Intervals, np.ndarray]:
        """Intervals and features (entries, dim) of a video, or of a clip `VIDEO[k]`; empty if there are none."""
        numbered = CLIP.fullmatch(key)
        if key not in self.data and numbered and numbered[1] in self.data:
            key = numbered[1]
        if key in self.data:
            return self._read(key)
        if not (parts := [self._read(part) for part in self.clips.get(key, ())]):
            return np.zeros((0, 2)), np.zeros((0, self.dim), np.float32)
        intervals, values = (np.concatenate(part) for part in zip(*parts, strict=True))
        _, first = np.unique(intervals, axis=0, return_index=True)  # entries across a boundary are in both clips
        return intervals[np.sort(first)], values[np.sort(first)]

    def _read(self, video: str) -> tuple[Intervals, np.ndarray]:
        try:
            intervals, values = (self.data[video][key][()] for key in ("intervals", "features"))
            if values.dtype.kind not in ("SO" if self.kind == "words" else "fiu"):
                raise TypeError("neither numbers nor words")
            return intervals.astype(np.float64).reshape(len(values), 2), values.reshape(len(values), self.dim)
        except _DAMAGE as error:
            place = f"{self.name}/data/{video}"
            raise UserError("is damaged or of another form", file=self.path, field=place, fix=_FIX) from error

    def words(self, video: str) -> tuple[Intervals, list[str]]:
        """Intervals and words of a video, including pauses."""
        intervals, values = self.read(video)
        tokens = [word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word) for word in values[:, 0]]
        return intervals, tokens


def _refuse_outside(data: Any, path: Path) -> None:
    """Rejects links to other files, and declared sizes that are far larger than the file."""
    import h5py

    known, most = 0, 1000 * path.stat().st_size + 2**26  # HDF5 compresses by a factor of at most about 1000
    for video in data:
        for place in (video, f"{video}/intervals", f"{video}/features"):
            outside = isinstance(data.get(place, getlink=True), h5py.ExternalLink)
            entries = None if outside else data.get(place)
            if isinstance(entries, h5py.Dataset):
                known += entries.size * entries.dtype.itemsize
                outside = bool(entries.external or entries.is_virtual)
            if outside:
                raise UserError("refers to another file", file=path, field=place, fix=_FIX)
        if known > most:
            raise UserError(f"claims {known / 1e9:.3g} GB, which it cannot hold", file=path, field=video, fix=_FIX)


def _kind(path: Path, name: str, group: Any, entries: Any) -> str:
    def hint(text: str) -> str | None:
        return next((kind for kind, hints in _NAMED.items() if any(hint in text.lower() for hint in hints)), None)

    named = hint(f"{path.stem} {name}")
    if entries.dtype.kind in "SO":
        return "" if named == "" else "words"
    said = group[_DESCRIPTION][()] if _DESCRIPTION in group else ""
    dim = int(np.prod(entries.shape[1:]))
    return next((kind for kind in (named, _DIMS.get(dim), hint(str(said))) if kind is not None), "")
