"""The on-disk store: what goes in comes out, frames stay on disk, damage is noticed."""

from __future__ import annotations

import dataclasses
import errno
import json
import resource
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up import make_dataset
from safetensors.numpy import load_file, save_file

from mugkit import files
from mugkit.data import disk, store
from mugkit.data.schema import SPLITS, Dataset, RaggedFrames
from mugkit.errors import UserError


@pytest.fixture
def dataset() -> Dataset:
    return make_dataset((6, 3, 2), seed=1)


@pytest.fixture
def folder(dataset: Dataset, tmp_path: Path) -> Path:
    return store.save(dataset, tmp_path / "stored")


def assert_same(one: Dataset, other: Dataset) -> None:
    assert (one.name, one.family, dict(one.about)) == (other.name, other.family, dict(other.about))
    for name in SPLITS:
        left, right = one.splits[name], other.splits[name]
        assert (left.ids, left.text) == (right.ids, right.text)
        np.testing.assert_array_equal(left.labels, right.labels)
        assert left.true_labels.keys() == right.true_labels.keys()
        for modality, labels in left.true_labels.items():
            np.testing.assert_array_equal(labels, right.true_labels[modality])
        for modality, sequences in left.sequences.items():
            np.testing.assert_array_equal(sequences.frames, right.sequences[modality].frames)
            np.testing.assert_array_equal(sequences.offsets, right.sequences[modality].offsets)


@pytest.mark.parametrize("true_labels", [True, False])
def test_load_returns_what_was_saved(true_labels: bool, tmp_path: Path) -> None:
    saved = make_dataset((6, 3, 2), true_labels=true_labels, seed=3)
    loaded = store.load(store.save(saved, tmp_path / "stored"), verify=True)
    assert_same(saved, loaded)
    assert loaded.fingerprint == saved.fingerprint != ""
    assert loaded.train.labels.dtype == np.float32
    assert loaded.train.sequences["a"].offsets.dtype == np.int64


def test_load_by_name_looks_in_the_data_home(dataset: Dataset, mugkit_home: Path) -> None:
    assert store.available() == []
    store.save(dataset, files.data_home() / "mine")
    assert store.load("mine").train.ids == dataset.train.ids
    assert store.available() == ["mine"]
    assert (mugkit_home / "data" / "mine" / "dataset.json").is_file()


def test_frames_are_read_only_memory_maps(folder: Path) -> None:
    for split in store.load(folder).splits.values():
        for sequences in split.sequences.values():
            assert isinstance(sequences.frames, np.memmap)
            assert isinstance(sequences[0], np.memmap)
            with pytest.raises(ValueError, match="read-only"):
                sequences.frames[0, 0] = 1


@pytest.mark.parametrize("present", ["a", "v", ""])
def test_modalities_may_be_absent(present: str, dataset: Dataset, tmp_path: Path) -> None:
    splits = {
        name: dataclasses.replace(split, text=[""] * len(split), sequences={m: split.sequences[m] for m in present})
        for name, split in dataset.splits.items()
    }
    partial = dataclasses.replace(dataset, splits=splits)
    loaded = store.load(store.save(partial, tmp_path / "stored"), verify=True)
    assert_same(partial, loaded)
    assert list(loaded.train.sequences) == list(loaded.dims) == list(present)
    assert loaded.fingerprint == store.fingerprint(partial) != dataset.fingerprint


def test_a_modality_missing_from_the_frames_is_damage(folder: Path, dataset: Dataset, tmp_path: Path) -> None:
    train = dataclasses.replace(dataset.train, sequences={"a": dataset.train.sequences["a"]})
    store._write_arrays(store._arrays(train), other := tmp_path / "other")
    path = folder / "train.safetensors"
    path.write_bytes(other.read_bytes().ljust(path.stat().st_size, b" "))
    with pytest.raises(UserError, match="not a file of frames"):
        store.load(folder)


@pytest.mark.parametrize("block", [1, 100, 10**9])
def test_frames_are_written_as_safetensors_does(
    block: int, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "BLOCK_BYTES", block)
    folder = store.save(dataset, tmp_path / "stored")
    for name, split in dataset.splits.items():
        arrays = load_file(folder / f"{name}.safetensors")
        assert {str(array.dtype) for array in arrays.values()} == {"float32", "int64"}
        for m, sequences in split.sequences.items():
            np.testing.assert_array_equal(arrays[f"{m}.frames"], sequences.frames)
            np.testing.assert_array_equal(arrays[f"{m}.offsets"], sequences.offsets)
        assert all(array.flags.aligned for array in store._map_arrays(folder / f"{name}.safetensors").values())
    assert store.load(folder).fingerprint == dataset.fingerprint


def test_earlier_files_with_frames_first_are_read(folder: Path, dataset: Dataset) -> None:
    arrays = {key: np.asarray(array) for key, array in load_file(folder / "train.safetensors").items()}
    save_file(dict(sorted(arrays.items())), folder / "train.safetensors")
    manifest = json.loads((folder / "dataset.json").read_text())
    manifest["files"]["train.safetensors"]["bytes"] = (folder / "train.safetensors").stat().st_size
    (folder / "dataset.json").write_text(json.dumps(manifest))
    assert_same(dataset, store.load(folder))


def test_other_types_are_stored_as_float32(dataset: Dataset, tmp_path: Path) -> None:
    wide = {
        m: RaggedFrames(np.asfortranarray(s.frames.astype(">f8")), s.offsets.astype(np.int32))
        for m, s in dataset.train.sequences.items()
    }
    loaded = store.load(store.save(with_train(dataset, sequences=wide), tmp_path / "stored"))
    assert_same(dataset, loaded)
    assert loaded.fingerprint == dataset.fingerprint


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is read from Linux's /proc")
def test_load_does_not_bring_frames_into_memory(dataset: Dataset, tmp_path: Path) -> None:
    frames = np.ones((500_000, 20), dtype=np.float32)  # 40 MB
    sequences = RaggedFrames(frames, np.linspace(0, len(frames), 7).astype(np.int64))
    train = dataclasses.replace(dataset.train, sequences={"a": sequences, "v": dataset.train.sequences["v"]})
    large = dataclasses.replace(dataset, splits={**dataset.splits, "train": train})
    store.load(folder := store.save(large, tmp_path / "large"))  # the first use of parquet loads libraries
    before = resident_bytes()
    loaded = store.load(folder)
    assert resident_bytes() - before < 8e6
    assert loaded.train.sequences["a"].frames.sum(dtype=np.float64) == 10_000_000
    assert resident_bytes() - before > 30e6  # so that the measure above would have seen a copy


def test_fingerprint_ignores_where_and_when(dataset: Dataset, tmp_path: Path) -> None:
    elsewhere = dataclasses.replace(dataset, name="other", about={"origin": "/somewhere/else"}, fingerprint="")
    folders = [store.save(dataset, tmp_path / "a"), store.save(elsewhere, tmp_path / "b")]
    assert len({store.load(folder).fingerprint for folder in folders} | {dataset.fingerprint}) == 1


def with_train(dataset: Dataset, **changes: object) -> Dataset:
    return dataclasses.replace(
        dataset, splits={**dataset.splits, "train": dataclasses.replace(dataset.train, **changes)}
    )


def other_frame(dataset: Dataset) -> Dataset:
    sequences = dataset.train.sequences["a"]
    frames = sequences.frames.copy()
    frames[2, 1] += 1e-3
    changed = RaggedFrames(frames, sequences.offsets)
    return with_train(dataset, sequences={**dataset.train.sequences, "a": changed})


def other_offset(dataset: Dataset) -> Dataset:
    sequences = dataset.train.sequences["v"]
    offsets = sequences.offsets.copy()
    offsets[1] += 1
    changed = RaggedFrames(sequences.frames, offsets)
    return with_train(dataset, sequences={**dataset.train.sequences, "v": changed})


CHANGES: dict[str, Callable[[Dataset], Dataset]] = {
    "frame": other_frame,
    "offset": other_offset,
    "label": lambda d: with_train(d, labels=d.train.labels[::-1].copy()),
    "text": lambda d: with_train(d, text=[*d.train.text[:-1], "another sentence"]),
    "id": lambda d: with_train(d, ids=[*d.train.ids[:-1], "another"]),
    "true label": lambda d: with_train(d, true_labels={**d.train.true_labels, "v": d.train.labels}),
    "no true labels": lambda d: with_train(d, true_labels={}),
    "family": lambda d: dataclasses.replace(d, family="mosei"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_fingerprint_sees_a_change_of(change: str, dataset: Dataset) -> None:
    assert store.fingerprint(CHANGES[change](dataset)) != dataset.fingerprint


def test_save_keeps_what_is_there_unless_replacing(dataset: Dataset, folder: Path) -> None:
    other = make_dataset((2, 2, 2), seed=9)
    with pytest.raises(UserError, match="stored here already"):
        store.save(other, folder)
    assert len(store.load(folder).train) == 6
    store.save(other, folder, replace=True)
    assert len(store.load(folder).train) == 2


def test_save_refuses_to_replace_a_folder_with_other_files(dataset: Dataset, folder: Path) -> None:
    (folder / "unaligned_50.pkl").write_bytes(b"precious")
    with pytest.raises(UserError, match=r"unaligned_50\.pkl"):
        store.save(dataset, folder, replace=True)
    assert (folder / "unaligned_50.pkl").read_bytes() == b"precious"


def test_save_that_fails_leaves_the_earlier_data(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(store, "_write_arrays", fail)
    with pytest.raises(OSError, match="disk full"):
        store.save(make_dataset((2, 2, 2)), folder, replace=True)
    assert len(store.load(folder, verify=True).train) == 6
    assert [path.name for path in tmp_path.iterdir()] == ["stored"]


def test_save_refuses_a_disk_without_room(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = sum(s.frames.nbytes for split in dataset.splits.values() for s in split.sequences.values())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 0, frames))
    with pytest.raises(UserError, match="too full") as caught:
        store.save(dataset, tmp_path / "data" / "stored")
    assert caught.value.file == tmp_path / "data"
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize("writer", ["parquet", "frames"])
def test_save_on_a_disk_that_fills_up_leaves_the_earlier_data(
    writer: str, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if writer == "parquet":
        monkeypatch.setattr(pd.DataFrame, "to_parquet", full)
    else:
        monkeypatch.setattr(store, "_blocks", full)
    monkeypatch.setattr(store, "_content", lambda _: {})
    with pytest.raises(UserError, match="too full"):
        store.save(make_dataset((2, 2, 2)), folder, replace=True)
    monkeypatch.undo()
    assert len(store.load(folder, verify=True).train) == 6
    assert [path.name for path in tmp_path.iterdir()] == ["stored"]


def test_files_are_readable_by_others(folder: Path) -> None:
    assert all(path.stat().st_mode & stat.S_IROTH for path in folder.iterdir())


@pytest.mark.parametrize("name", ["clips.parquet", "test.safetensors"])
def test_load_says_which_file_is_missing(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(UserError, match="is missing") as caught:
        store.load(folder)
    assert caught.value.file == folder / name


def test_load_notices_a_truncated_file(folder: Path) -> None:
    path = folder / "train.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(UserError, match="bytes instead of"):
        store.load(folder)


def test_load_notices_changed_labels(folder: Path) -> None:
    path = folder / "clips.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="SHA-256"):
        store.load(folder)


def test_verify_notices_a_changed_frame(folder: Path) -> None:
    path = folder / "valid.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    store.load(folder)
    with pytest.raises(UserError, match="SHA-256") as caught:
        store.load(folder, verify=True)
    assert caught.value.file == path


@pytest.mark.parametrize("header", [b"\xff" * 8, b"\x10" + b"\0" * 7, b"\0" * 8])
def test_load_notices_a_damaged_frame_header(header: bytes, folder: Path) -> None:
    path = folder / "train.safetensors"
    path.write_bytes(header + path.read_bytes()[8:])
    with pytest.raises(UserError, match="not a file of frames"):
        store.load(folder)


def spoil_offsets(folder: Path, change: Callable[[np.ndarray], object]) -> None:
    """Rewrites the acoustic offsets of the training split in place; its size stays the same."""
    arrays = load_file(path := folder / "train.safetensors")
    change(arrays["a.offsets"])
    order = sorted(arrays, key=lambda key: (key.endswith("frames"), key))  # some versions read them in another one
    store._write_arrays({key: (arrays[key], "F32" if key.endswith("frames") else "I64") for key in order}, path)


OFFSETS: dict[str, Callable[[np.ndarray], object]] = {
    "beyond the frames": lambda offsets: np.add(offsets[-1:], 1, out=offsets[-1:]),
    "before the frames": lambda offsets: np.subtract(offsets[:1], 1, out=offsets[:1]),
    "far beyond in the middle": lambda offsets: np.copyto(offsets[2:3], 2**62),
    "out of order": lambda offsets: np.copyto(offsets[1:3], offsets[1:3][::-1].copy()),
}


@pytest.mark.parametrize("change", OFFSETS)
def test_load_refuses_offsets(change: str, folder: Path) -> None:
    spoil_offsets(folder, lambda offsets: None)
    store.load(folder)
    spoil_offsets(folder, OFFSETS[change])
    with pytest.raises(UserError, match="not a file of frames") as caught:
        store.load(folder)
    assert "offsets do not cut the frames into clips" in str(caught.value.__cause__)


def test_load_refuses_offsets_of_other_clips(dataset: Dataset, folder: Path) -> None:
    other = store.save(make_dataset((7, 3, 2), seed=1), folder.with_name("other"))
    (other / "train.safetensors").replace(folder / "train.safetensors")
    manifest = json.loads((folder / "dataset.json").read_text())
    manifest["files"]["train.safetensors"]["bytes"] = (folder / "train.safetensors").stat().st_size
    (folder / "dataset.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="not a file of frames") as caught:
        store.load(folder)
    assert "do not belong to these clips" in str(caught.value.__cause__)


@pytest.mark.parametrize("length", [2**63, 2**40, None])
def test_load_refuses_a_header_longer_than_its_file(length: int | None, folder: Path) -> None:
    path = folder / "train.safetensors"
    claimed = path.stat().st_size - 7 if length is None else length
    path.write_bytes(claimed.to_bytes(8, "little") + path.read_bytes()[8:])
    with pytest.raises(UserError, match="not a file of frames") as caught:
        store.load(folder)
    assert "longer than the file" in str(caught.value.__cause__)


@pytest.mark.parametrize("name", ["../clips.parquet", "/etc/hostname", "a/b", "."])
def test_load_refuses_file_names_outside_of_the_folder(name: str, folder: Path) -> None:
    manifest = json.loads((folder / "dataset.json").read_text())
    manifest["files"][name] = {"bytes": 1, "sha256": ""}
    (folder / "dataset.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="not a description"):
        store.load(folder)


CLIPS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "without splits": lambda table: table.drop(columns="split"),
    "without labels": lambda table: table.drop(columns="y"),
    "with words as labels": lambda table: table.assign(y_a="good"),
    "with numbers as ids": lambda table: table.assign(id=7),
    "without texts": lambda table: table.assign(text=None),
    "of more clips than it can hold": lambda table: table.iloc[[0] * 10**6],
}


@pytest.mark.parametrize("change", CLIPS)
def test_load_refuses_a_table_of_clips(change: str, folder: Path) -> None:
    path = folder / "clips.parquet"
    CLIPS[change](pd.read_parquet(path)).to_parquet(path, index=False)
    manifest = json.loads((folder / "dataset.json").read_text())
    manifest["files"][path.name] = {"bytes": path.stat().st_size, "sha256": files.sha256(path)}
    (folder / "dataset.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="not a table of clips") as caught:
        store.load(folder)
    assert caught.value.file == path


@pytest.mark.parametrize(
    "change", [{"files": []}, {"files": {"clips.parquet": "x"}}, {"dims": 3}, {"content": "x"}, {"family": "x"}]
)
def test_load_refuses_a_manifest_of_another_form(change: dict[str, object], folder: Path) -> None:
    manifest = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps(manifest | change))
    with pytest.raises(UserError, match="not a description"):
        store.load(folder)


def test_load_refuses_a_newer_format(folder: Path) -> None:
    manifest = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps(manifest | {"format": store.FORMAT + 1}))
    with pytest.raises(UserError, match="newer mugkit"):
        store.load(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": "x"}', "null"])
def test_load_refuses_a_damaged_manifest(text: str, folder: Path) -> None:
    (folder / "dataset.json").write_text(text)
    with pytest.raises(UserError, match="not a description"):
        store.load(folder)


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("reviews", "mugkit prepare reviews"),
        ("sims", "mugkit prepare sims --source PATH"),
        ("my-data", "--store-as my-data"),
    ],
)
def test_load_of_unprepared_data_says_how_to_prepare_it(name: str, fix: str) -> None:
    with pytest.raises(UserError, match=f"'{name}' is not prepared") as caught:
        store.load(name)
    assert fix in str(caught.value.fix)


def test_made_up_data_can_be_learned_from_text_and_frames() -> None:
    """Least squares from each modality of the made-up data predicts its labels on test."""
    made = make_dataset((200, 10, 100), seed=5)
    for modality, sequences in made.train.sequences.items():
        means = [
            np.array([s[i].mean(axis=0) for i in range(len(s))]) for s in (sequences, made.test.sequences[modality])
        ]
        weights, *_ = np.linalg.lstsq(means[0], made.train.labels, rcond=None)
        assert np.corrcoef(means[1] @ weights, made.test.labels)[0, 1] > 0.8
    values = {"awful": -3, "bad": -2, "weak": -1, "okay": 0, "decent": 1, "good": 2, "superb": 3}
    read_off = [next(values[word] for word in text.split() if word in values) for text in made.test.text]
    assert np.corrcoef(read_off, made.test.labels)[0, 1] > 0.8
    assert make_dataset(seed=5).fingerprint == make_dataset(seed=5).fingerprint != make_dataset(seed=6).fingerprint
