"""The on-disk store: what goes in comes out, frames stay on disk, damage is noticed."""

import dataclasses
import errno
import json
import resource
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_up import changed, make_dataset
from safetensors.numpy import load_file

from mugkit import files
from mugkit.data import disk, store
from mugkit.data.schema import SPLITS, Dataset, RaggedFrames
from mugkit.errors import UserError

DATASET = make_dataset((6, 3, 2), seed=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return store.save(DATASET, tmp_path / "stored")


def edit_manifest(folder: Path, **changes: object) -> None:
    manifest = files.read_json(folder / store.MANIFEST)
    (folder / store.MANIFEST).write_text(json.dumps(manifest | changes))


def assert_same(saved: Dataset, loaded: Dataset) -> None:
    assert (saved.name, saved.family, dict(saved.about)) == (loaded.name, loaded.family, dict(loaded.about))
    for name in SPLITS:
        left, right = saved.splits[name], loaded.splits[name]
        assert (left.ids, left.text) == (right.ids, right.text)
        np.testing.assert_array_equal(left.labels, right.labels)
        assert left.true_labels.keys() == right.true_labels.keys()
        for modality, labels in left.true_labels.items():
            np.testing.assert_array_equal(labels, right.true_labels[modality])
        for modality, sequences in left.sequences.items():
            np.testing.assert_array_equal(sequences.frames, right.sequences[modality].frames)
            np.testing.assert_array_equal(sequences.offsets, right.sequences[modality].offsets)


@pytest.mark.parametrize("true_labels", [True, False])
def test_load_returns_what_was_saved_and_a_fingerprint_of_content_alone(true_labels: bool, mugkit_home: Path) -> None:
    assert store.available() == []
    saved = make_dataset((6, 3, 2), true_labels=true_labels, seed=3)
    folder = store.save(saved, mugkit_home / "data" / "mine")
    loaded = store.load("mine", verify=True)
    assert_same(saved, loaded)
    assert store.available() == ["mine"]
    elsewhere = dataclasses.replace(saved, name="other", about={"origin": "/somewhere/else"}, fingerprint="")
    assert store.load(store.save(elsewhere, mugkit_home / "x")).fingerprint == loaded.fingerprint == saved.fingerprint
    assert all(path.stat().st_mode & 0o004 for path in folder.iterdir())  # others may read them
    assert loaded.train.labels.dtype == np.float32
    assert loaded.train.sequences["a"].offsets.dtype == np.int64


@pytest.mark.parametrize("block", [1, 100, 10**9])
def test_frames_are_written_as_safetensors_does_it(block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "BLOCK_BYTES", block)
    wide = {
        m: RaggedFrames(np.asfortranarray(s.frames.astype(">f8")), s.offsets.astype(np.int32))
        for m, s in DATASET.train.sequences.items()
    }
    folder = store.save(changed(DATASET, sequences=wide), tmp_path / "stored")
    for name, split in DATASET.splits.items():
        arrays = load_file(folder / f"{name}.safetensors")
        assert {str(array.dtype) for array in arrays.values()} == {"float32", "int64"}
        for m, sequences in split.sequences.items():
            np.testing.assert_array_equal(arrays[f"{m}.frames"], sequences.frames)
            np.testing.assert_array_equal(arrays[f"{m}.offsets"], sequences.offsets)
    assert_same(DATASET, loaded := store.load(folder))
    assert loaded.fingerprint == DATASET.fingerprint


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is read from Linux's /proc")
def test_load_does_not_bring_frames_into_memory(tmp_path: Path) -> None:
    frames = np.ones((500_000, 20), dtype=np.float32)  # 40 MB
    sequences = RaggedFrames(frames, np.linspace(0, len(frames), 7).astype(np.int64))
    large = changed(DATASET, sequences={"a": sequences, "v": DATASET.train.sequences["v"]})
    store.load(folder := store.save(large, tmp_path / "large"))  # the first use of parquet loads libraries
    before = resident_bytes()
    frames = store.load(folder).train.sequences["a"].frames
    assert resident_bytes() - before < 8e6
    assert frames.sum(dtype=np.float64) == 10_000_000
    assert resident_bytes() - before > 30e6  # so that the measure above would have seen a copy
    assert isinstance(frames, np.memmap)
    assert not frames.flags.writeable


def moved(field: str, by: float) -> Callable[[Dataset], Dataset]:
    """Another number in the acoustic frames or offsets."""

    def change(dataset: Dataset) -> Dataset:
        sequences = dataset.train.sequences["a"]
        values = getattr(sequences, field).copy()
        values[1] += by
        other = dataclasses.replace(sequences, **{field: values})
        return changed(dataset, sequences={**dataset.train.sequences, "a": other})

    return change


CHANGES: dict[str, Callable[[Dataset], Dataset]] = {
    "frame": moved("frames", 1e-3),
    "offset": moved("offsets", 1),
    "label": lambda d: changed(d, labels=d.train.labels[::-1].copy()),
    "text": lambda d: changed(d, text=[*d.train.text[:-1], "another sentence"]),
    "id": lambda d: changed(d, ids=[*d.train.ids[:-1], "another"]),
    "true label": lambda d: changed(d, true_labels={**d.train.true_labels, "v": d.train.labels}),
    "no true labels": lambda d: changed(d, true_labels={}),
    "family": lambda d: dataclasses.replace(d, family="mosei"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_fingerprint_sees_a_change_of(change: str) -> None:
    assert store.fingerprint(CHANGES[change](DATASET)) != DATASET.fingerprint


def test_save_keeps_what_is_there(folder: Path) -> None:
    """Unless it may replace it, and it never replaces what is not a data set's."""
    other = make_dataset((2, 2, 2), seed=9)
    with pytest.raises(UserError, match="stored here already"):
        store.save(other, folder)
    (folder / "unaligned_50.pkl").write_bytes(b"precious")
    with pytest.raises(UserError, match=r"unaligned_50\.pkl"):
        store.save(other, folder, replace=True)
    assert (folder / "unaligned_50.pkl").read_bytes() == b"precious"
    (folder / "unaligned_50.pkl").unlink()
    assert len(store.load(folder).train) == 6
    store.save(other, folder, replace=True)
    assert len(store.load(folder).train) == 2


@pytest.mark.parametrize("writer", ["parquet", "frames"])
def test_save_on_a_full_disk_keeps_data(
    writer: str, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    target, name = {"parquet": (pd.DataFrame, "to_parquet"), "frames": (store, "_blocks")}[writer]
    monkeypatch.setattr(target, name, full)
    monkeypatch.setattr(store, "_content", lambda _: {})
    with pytest.raises(UserError, match="too full"):
        store.save(make_dataset((2, 2, 2)), folder, replace=True)
    monkeypatch.undo()
    assert len(store.load(folder, verify=True).train) == 6
    assert [path.name for path in tmp_path.iterdir()] == ["stored"]


def flip(content: bytes, position: int) -> bytes:
    return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]


def refused(folder: Path, **how: bool) -> UserError:
    with pytest.raises(UserError) as caught:
        store.load(folder, **how)
    assert "prepare" in str(caught.value.fix)
    return caught.value


SPOILT: dict[str, tuple[str, Callable[[bytes], bytes | None]]] = {
    "no table": ("clips.parquet", lambda content: None),
    "no frames": ("test.safetensors", lambda content: None),
    "a truncated file": ("train.safetensors", lambda content: content[:-4]),
    "changed labels": ("clips.parquet", lambda content: flip(content, len(content) // 2)),
    "no header": ("train.safetensors", lambda content: b"\0" * 8 + content[8:]),
    "another header": ("train.safetensors", lambda content: b"\x10" + b"\0" * 7 + content[8:]),
    "a header longer than the file": ("train.safetensors", lambda content: b"\xff" * 8 + content[8:]),
    "a description of nothing": ("dataset.json", lambda content: b'{"format": 1}'),
    "another description": ("dataset.json", lambda content: b"[]"),
    "no description": ("dataset.json", lambda content: b""),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_load_names_the_file_that_is_spoilt(fault: str, folder: Path) -> None:
    name, change = SPOILT[fault]
    content = change((folder / name).read_bytes())
    (folder / name).write_bytes(content or b"")
    if content is None:
        (folder / name).unlink()
    assert refused(folder).file == folder / name


def test_verify_notices_a_changed_frame(folder: Path) -> None:
    path = folder / "valid.safetensors"
    path.write_bytes(flip(path.read_bytes(), path.stat().st_size - 1))
    store.load(folder)
    assert "SHA-256" in refused(folder, verify=True).problem
    assert refused(folder, verify=True).file == path


@pytest.mark.parametrize(
    "change",
    [
        *({"files": {name: {"bytes": 1, "sha256": ""}}} for name in ("../clips.parquet", "/etc/hostname", "a/b", ".")),
        *({"files": []}, {"files": {"clips.parquet": "x"}}, {"files": {"clips.parquet": {"bytes": "1", "sha256": ""}}}),
        *({"dims": 3}, {"content": "x"}, {"family": "x"}, {"format": "x"}, {"format": store.FORMAT + 1}),
    ],
    ids=str,
)
def test_load_refuses_a_description_of_another_form(change: dict[str, object], folder: Path) -> None:
    edit_manifest(folder, **change)
    error = refused(folder)
    assert error.file == folder / store.MANIFEST
    assert ("newer" in error.problem) == (change.get("format") == store.FORMAT + 1)


def test_load_refuses_frames_of_other_clips_or_modalities(folder: Path) -> None:
    less = changed(DATASET, sequences={"a": DATASET.train.sequences["a"]})
    for number, other in enumerate((make_dataset((7, 3, 2), seed=1), less)):
        there = store.save(other, folder.with_name(f"other{number}"))
        shutil.copy(path := there / "train.safetensors", folder)
        known = files.read_json(folder / store.MANIFEST)["files"]
        signed = {"bytes": path.stat().st_size, "sha256": files.sha256(path)}
        edit_manifest(folder, files=known | {"train.safetensors": signed})
        assert refused(folder).file == folder / "train.safetensors"


OFFSETS: dict[str, Callable[[np.ndarray], object]] = {
    "beyond the frames": lambda offsets: np.add(offsets[-1:], 1, out=offsets[-1:]),
    "before the frames": lambda offsets: np.subtract(offsets[:1], 1, out=offsets[:1]),
    "far beyond in the middle": lambda offsets: np.copyto(offsets[2:3], 2**62),
    "out of order": lambda offsets: np.copyto(offsets[1:3], offsets[1:3][::-1].copy()),
}


@pytest.mark.parametrize("change", OFFSETS)
def test_load_refuses_offsets(change: str, folder: Path) -> None:
    arrays = load_file(path := folder / "train.safetensors")
    OFFSETS[change](arrays["a.offsets"])
    order = sorted(arrays, key=lambda key: (key.endswith("frames"), key))  # some versions read them in another order
    store._write_arrays({key: (arrays[key], "F32" if key.endswith("frames") else "I64") for key in order}, path)
    assert refused(folder).file == path


@pytest.mark.parametrize(
    ("name", "fix"),
    [("reviews", "prepare reviews"), ("sims", "prepare sims --source PATH"), ("my-data", "--store-as my-data")],
)
def test_load_of_unprepared_data_says_how_to_prepare_it(name: str, fix: str) -> None:
    with pytest.raises(UserError, match=f"'{name}' is not prepared") as caught:
        store.load(name)
    assert fix in str(caught.value.fix)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return store.save(make_dataset(), tmp_path / "stored") / "clips.parquet"


def test_read_is_what_pandas_reads_whether_texts_are_in_a_dictionary_or_not(path: Path) -> None:
    table, expected = pq.read_table(path), pd.read_parquet(path)
    words = table["text"].combine_chunks().dictionary_encode()
    for other in (table, table.drop_columns("text").append_column("text", words).append_column("extra", words)):
        pq.write_table(other, path)
        read = store.read_clips(path)
        pd.testing.assert_frame_equal(read, expected[list(read.columns)], check_dtype=False)
        assert read.dtypes["y"] == "float32"
        assert all(isinstance(value, str) for name in store.TEXTS for value in read[name])


@pytest.mark.parametrize("rows", [100, 10**5])
def test_read_takes_a_text_that_repeats_and_refuses_one_of_100_gigabytes(rows: int, tmp_path: Path) -> None:
    text = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * 10**6]))
    ids, labels = pa.array([str(row) for row in range(rows)]), pa.array([0.0] * rows)
    table = pa.table({"split": pa.array(["train"] * rows), "id": ids, "text": text, "y": labels})
    pq.write_table(table, path := tmp_path / "clips.parquet", compression="zstd")
    assert path.stat().st_size < 10**6
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    if rows == 100:
        assert set(store.read_clips(path)["text"]) == {"x" * 10**6}
    else:
        with pytest.raises(ValueError, match="text: 100000000000 bytes of text"):
            store.read_clips(path)
        assert tracemalloc.get_traced_memory()[1] < 2**26
        assert pa.total_allocated_bytes() - before < 2**28
    tracemalloc.stop()


def test_read_refuses_more_clips_than_the_file_can_hold(path: Path) -> None:
    pd.read_parquet(path).iloc[[0] * 10**6].to_parquet(path, index=False)
    with pytest.raises(ValueError, match="claims 1000000 clips"):
        store.read_clips(path)


@pytest.mark.parametrize(
    "column",
    [
        ("split", None), ("y", None), ("y", pa.array([[0.0]] * 80)), ("y", pa.array(["much"] * 80)),
        ("id", pa.array([1] * 80)), ("text", pa.array([["a"]] * 80)), ("text", pa.array([None] * 80, pa.string())),
        ("split", pa.array([b"train"] * 80)), ("y_l", pa.array([{"a": 1.0}] * 80)),
    ],
    ids=lambda column: f"{column[0]} {getattr(column[1], 'type', 'missing')}",
)  # fmt: skip
def test_read_refuses_columns_of_other_types(column: tuple[str, Any], path: Path) -> None:
    name, values = column
    table = pq.read_table(path).drop_columns(name)
    pq.write_table(table if values is None else table.append_column(name, values), path)
    with pytest.raises((ValueError, KeyError)):
        store.read_clips(path)
