"""Prepared data sets on disk: one folder each, labels in parquet, frames memory-mapped from safetensors.

    <home>/data/mosi/
        dataset.json         a description, and the size and SHA-256 of the other files
        clips.parquet        split, id, text, y, and y_l, y_a, y_v if single modalities are labelled
        train.safetensors    a.frames (frames, dim), a.offsets (clips+1), v.frames, v.offsets, if it has the modality
        valid.safetensors, test.safetensors

Opening a data set reads the labels and maps the frames: frames are read from disk when they are used. Neither writing
nor reading needs memory for more than a block of frames. Nothing stored is executable.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mugkit import files
from mugkit.data import disk
from mugkit.data.schema import LABEL_SCALE, MODALITIES, SPLITS, Dataset, RaggedFrames, Split, SplitName
from mugkit.errors import UserError

FORMAT = 1
NAME = re.compile(r"[a-z0-9_-]+")
CLIPS, MANIFEST = "clips.parquet", "dataset.json"
TEXTS = ("split", "id", "text")
LABELS = ("y", "y_l", "y_a", "y_v")
LARGEST = 2**28  # bytes of one column's texts: MOSEI's transcripts take 3 MB
_ON_DISK: Mapping[str, str] = {"F32": "<f4", "I64": "<i8"}  # safetensors' names of the two types in use


def save(dataset: Dataset, folder: Path, *, replace: bool = False) -> Path:
    """Writes a data set into `folder` atomically, and returns the folder.

    Args:
        dataset: the data set to write; its `about` must be JSON-serializable.
        folder: the data set's own folder, by convention `data_home() / name`.

    Raises:
        UserError: if the folder exists and `replace` is off, it holds files that do not belong to a data set, or the
            disk has no room.
    """
    if folder.exists() and not replace:
        raise UserError("a data set is stored here already", file=folder, fix="store it under another name")
    ours = {CLIPS, MANIFEST, *(f"{name}.safetensors" for name in SPLITS)}
    if others := sorted({path.name for path in folder.glob("*")} - ours):
        # Replacing deletes files, and a user may have put the source files here.
        fix = "move them elsewhere; this folder is for the prepared data alone"
        raise UserError(f"holds other files ({', '.join(others[:3])})", file=folder, fix=fix)
    arrays = [array for split in dataset.splits.values() for array in _arrays(split).values()]
    table = pd.concat({name: split.frame() for name, split in dataset.splits.items()}, names=["split"])
    table = table.reset_index("split")
    needed = sum(_bytes(*array) for array in arrays) + int(table.memory_usage(deep=True).sum())
    with disk.room(folder.parent, needed), files.atomic_folder(folder, replace=replace) as temporary:
        table.to_parquet(temporary / CLIPS, index=False)
        for name, split in dataset.splits.items():
            _write_arrays(_arrays(split), temporary / f"{name}.safetensors")
        files.write_json(temporary / MANIFEST, _manifest(dataset, temporary))
    return folder


def load(name_or_folder: str | Path, *, verify: bool = False) -> Dataset:
    """Opens a prepared data set: labels in memory, frames memory-mapped and read-only.

    Args:
        name_or_folder: the name of a prepared data set such as `mosi`, or a data set's folder.
        verify: also read all frames once and compare their hashes; without it, only their sizes are compared.

    Raises:
        UserError: if the data set is not prepared, is damaged, or was written by a newer mugkit.
    """
    folder = folder_of(name_or_folder)
    manifest = read_manifest(folder)
    name, family = manifest["name"], manifest["family"]
    if folder.parent == files.data_home() and folder.name in LABEL_SCALE and folder.name != family:
        source = "" if folder.name == "reviews" else " --source PATH"
        fix = f"mugkit prepare {folder.name} --force{source}; then prepare the other data under another name"
        raise UserError(f"'{folder.name}' holds {family}, another data set", file=folder / MANIFEST, fix=fix)
    _check_files(folder, manifest, verify)
    try:
        table = read_clips(folder / CLIPS)
    except Exception as error:  # a corrupt file can make its reader fail in any way
        raise _damaged(folder / CLIPS, "is not a table of clips") from error
    splits = {name: _open_split(folder, name, table[table["split"] == name], manifest["dims"]) for name in SPLITS}
    return Dataset(name, family, splits, _fingerprint(family, manifest["content"]), manifest["about"])


def available() -> list[str]:
    """Names of the prepared data sets, sorted."""
    names = (path.parent.name for path in files.data_home().glob(f"*/{MANIFEST}"))
    return sorted(name for name in names if NAME.fullmatch(name))


def fingerprint(dataset: Dataset) -> str:
    """SHA-256 of everything that training can see: family, ids, transcripts, labels and frames of every split.

    It does not depend on name, location, time, provenance (`about`) or the versions of the libraries that wrote it.
    """
    return _fingerprint(dataset.family, _content(dataset))


def folder_of(name_or_folder: str | Path) -> Path:
    """The folder of a data set: a bare name means a folder in `data_home()`, anything else is a path."""
    if isinstance(name_or_folder, str) and NAME.fullmatch(name_or_folder):
        return files.data_home() / name_or_folder
    return Path(name_or_folder)


def read_manifest(folder: Path) -> dict[str, Any]:
    """`dataset.json` of a prepared data set.

    Raises:
        UserError: if the data set is not prepared, or the file is unreadable or of a newer format.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise _not_prepared(folder)
    try:
        manifest: dict[str, Any] = files.read_json(path)
        if (version := int(manifest["format"])) > FORMAT:
            problem = f"format {version} was written by a newer mugkit; this one reads up to {FORMAT}"
            fix = "update mugkit, or prepare the data set again"
            raise UserError(problem, file=path, field="format", fix=fix)
        sound = manifest["family"] in LABEL_SCALE and isinstance(manifest["name"], str)
        sound &= all(isinstance(manifest[key], dict) for key in ("about", "sizes", "dims", "content"))
        for name, entry in manifest["files"].items():
            inside = Path(name).name == name  # else it could name any file of this machine
            sound &= inside and isinstance(entry["bytes"], int) and isinstance(entry["sha256"], str)
        if not sound:
            raise ValueError("values of other types than are written")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(path, "is not a description of a data set") from error
    return manifest


# --- writing --------------------------------------------------------------------------------------


def _arrays(split: Split) -> dict[str, tuple[np.ndarray, str]]:
    """The arrays of a split and their types on disk; the wider type comes first, so all are aligned in the file."""
    offsets = {f"{m}.offsets": (sequences.offsets, "I64") for m, sequences in split.sequences.items()}
    return offsets | {f"{m}.frames": (sequences.frames, "F32") for m, sequences in split.sequences.items()}


def _bytes(array: np.ndarray, kind: str) -> int:
    return array.size * np.dtype(_ON_DISK[kind]).itemsize


def _blocks(array: np.ndarray, kind: str) -> Iterator[np.ndarray]:
    for block in disk.blocks(array):
        yield np.ascontiguousarray(block, dtype=_ON_DISK[kind])


def _write_arrays(arrays: Mapping[str, tuple[np.ndarray, str]], path: Path) -> None:
    """Writes a safetensors file (see `_map_arrays`) in blocks; safetensors' own writer copies every array first."""
    header, end = {}, 0
    for key, (array, kind) in arrays.items():
        begin, end = end, end + _bytes(array, kind)
        header[key] = {"dtype": kind, "shape": array.shape, "data_offsets": (begin, end)}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # arrays start at a multiple of 8
    with path.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for array, kind in arrays.values():
            stream.writelines(block.data for block in _blocks(array, kind))


def _manifest(dataset: Dataset, folder: Path) -> dict[str, Any]:
    stored = sorted(path for path in folder.iterdir() if path.is_file())
    return {
        "format": FORMAT,
        "name": dataset.name,
        "family": dataset.family,
        "about": dict(dataset.about),
        "sizes": {name: len(split) for name, split in dataset.splits.items()},
        "dims": dataset.dims,
        "content": _content(dataset),
        "files": {p.name: {"bytes": p.stat().st_size, "sha256": files.sha256(p)} for p in stored},
    }


def _content(dataset: Dataset) -> dict[str, str]:
    """A digest of each part's values; parquet's bytes would change with the library that writes them."""
    content = {}
    for name, split in dataset.splits.items():
        content[f"{name}.text"] = files.digest([split.ids, split.text])
        labels = {"y": split.labels} | {f"y_{m}": values for m, values in split.true_labels.items()}
        arrays = {key: (values, "F32") for key, values in labels.items()} | _arrays(split)
        content |= {f"{name}.{key}": _array_digest(*array) for key, array in arrays.items()}
    return content


def _array_digest(array: np.ndarray, kind: str) -> str:
    hasher = hashlib.sha256(str(array.shape).encode())
    for block in _blocks(array, kind):
        hasher.update(block.data)
    return hasher.hexdigest()


def _fingerprint(family: str, content: Mapping[str, str]) -> str:
    return files.digest({"family": family, "content": dict(content)})


# --- reading --------------------------------------------------------------------------------------


def _check_files(folder: Path, manifest: Mapping[str, Any], verify: bool) -> None:
    for name, expected in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            raise _damaged(path, "is missing")
        if path.stat().st_size != expected["bytes"]:
            raise _damaged(path, f"has {path.stat().st_size} bytes instead of {expected['bytes']}")
        if (verify or name == CLIPS) and files.sha256(path) != expected["sha256"]:
            raise _damaged(path, "has changed since it was prepared (its SHA-256 differs)")


def read_clips(path: Path) -> pd.DataFrame:
    """Splits, ids, texts and labels, with the types that other code expects; other columns are left out.

    Parquet stores a text that many rows share once, and the count of a repeated value in a few bytes, so a small file
    can expand beyond any memory. So the columns are checked first, texts are read in their dictionary encoding, and
    only columns within the limits are expanded.

    Raises:
        Exception: if columns are missing or of another type, the file claims more than it can hold, or it is corrupt.
    """
    described, schema = pq.read_metadata(path), pq.read_schema(path)
    if described.num_rows > 8 * path.stat().st_size:  # ids differ: each takes more than a bit, even compressed
        raise ValueError(f"claims {described.num_rows} clips, which it cannot hold")
    columns = [*TEXTS, *(name for name in LABELS if name in schema.names or name == "y")]
    for name in columns:
        kind = schema.field(name).type
        text = kind.value_type if pa.types.is_dictionary(kind) else kind
        is_text = pa.types.is_string(text) or pa.types.is_large_string(text)
        # Only flat columns: lists can claim any number of elements per row.
        if not (is_text if name in TEXTS else pa.types.is_floating(kind) or pa.types.is_integer(kind)):
            raise ValueError(f"{name}: {kind} is not the type of this column")
    table = pq.read_table(path, columns=columns, read_dictionary=list(TEXTS))
    for place, name in enumerate(TEXTS):
        _check_texts(name, table[name])
        table = table.set_column(place, name, table[name].cast(pa.large_string()))
    frame: pd.DataFrame = table.replace_schema_metadata(None).to_pandas()
    return frame.astype(dict.fromkeys(columns[len(TEXTS) :], "float32"))


def _check_texts(name: str, column: pa.ChunkedArray) -> None:
    """Rejects missing texts, and texts that take more than LARGEST bytes when expanded."""
    size = 0
    for chunk in column.chunks:
        lengths = pc.binary_length(chunk.dictionary).cast(pa.int64())
        size += pc.sum(lengths.take(chunk.indices)).as_py() or 0
    if size > LARGEST or column.null_count:
        raise ValueError(f"{name}: {size} bytes of text, more than {LARGEST}, or rows without text")


def _open_split(folder: Path, name: SplitName, table: pd.DataFrame, modalities: Iterable[str]) -> Split:
    path = folder / f"{name}.safetensors"
    try:
        arrays = _map_arrays(path)
        # Offsets are few and needed at every step, so they are copied; frames stay on disk.
        sequences = {m: RaggedFrames(arrays[f"{m}.frames"], np.array(arrays[f"{m}.offsets"])) for m in modalities}
        for of_modality in sequences.values():
            _check_offsets(of_modality, len(table))
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, MemoryError, RecursionError) as error:
        raise _damaged(path, "is not a file of frames") from error
    known = [m for m in MODALITIES if f"y_{m}" in table and table[f"y_{m}"].notna().all()]
    labels = {column: np.array(table[column], dtype=np.float32) for column in ("y", *(f"y_{m}" for m in known))}
    true_labels = {m: labels[f"y_{m}"] for m in known}
    return Split(name, list(table["id"]), list(table["text"]), labels["y"], sequences, true_labels)


def _check_offsets(sequences: RaggedFrames, clips: int) -> None:
    """Rejects offsets that do not fit the frames and clips: a batch would read, or pad to, arbitrary positions."""
    offsets, frames = sequences.offsets, sequences.frames
    if offsets.ndim != 1 or frames.ndim != 2 or len(offsets) != clips + 1:
        raise ValueError("frames and offsets do not belong to these clips")
    if offsets[0] != 0 or offsets[-1] != len(frames) or (np.diff(offsets) < 0).any():
        raise ValueError("offsets do not cut the frames into clips")


def _map_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file as read-only memory maps (safetensors' own reader copies).

    The format: a little-endian 64-bit length, a JSON header of that length, then the arrays' bytes.
    """
    with path.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        if size > path.stat().st_size - 8:
            raise ValueError("the header is longer than the file")
        header = json.loads(stream.read(size))
    return {key: _map_array(path, 8 + size, entry) for key, entry in header.items()}


def _map_array(path: Path, start: int, entry: Mapping[str, Any]) -> np.ndarray:
    shape, begin = tuple(entry["shape"]), start + entry["data_offsets"][0]
    dtype = _ON_DISK[entry["dtype"]]
    if 0 in shape:  # mmap rejects empty arrays
        return np.zeros(shape, dtype=dtype)
    array: np.ndarray = np.memmap(path, dtype=dtype, mode="r", offset=begin, shape=shape)
    return array


def _not_prepared(folder: Path) -> UserError:
    name, prepared = folder.name, ", ".join(available()) or "none yet"
    if name == "reviews":
        fix = "mugkit prepare reviews"
    elif name in LABEL_SCALE:
        fix = f"mugkit prepare {name} --source PATH"
    else:
        fix = f"use a prepared data set ({prepared}), or: mugkit prepare FAMILY --source PATH --store-as {name}"
    return UserError(f"data set '{name}' is not prepared", fix=fix)


def _damaged(path: Path, what: str) -> UserError:
    return UserError(what, file=path, fix="prepare the data set again (mugkit prepare … --force)")
