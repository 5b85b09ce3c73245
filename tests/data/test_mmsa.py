"""The reader of MMSA pickles, on contents small enough to work out by hand and on the real file."""

from __future__ import annotations

import csv
import errno
import pickle
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mugkit.data import disk, mmsa
from mugkit.data.pickles import load_pickle
from mugkit.data.schema import Dataset
from mugkit.errors import UserError

FILE = Path("unaligned_50.pkl")


def part(clips: int = 2, name: str = "train", dims: tuple[int, int] = (5, 20), **fields: Any) -> dict[str, Any]:
    """One split in MMSA's schema: clips of 4 acoustic and 3 visual frames, of which the first 2 and 3 are real."""
    audio = np.zeros((clips, 4, dims[0]), dtype=np.float32)
    audio[:, :2] = np.arange(1, 3)[None, :, None]
    return {
        "id": [f"{name}$_${clip}" for clip in range(clips)],
        "raw_text": np.array(["so good", "so bad", "so so"][:clips]),
        "audio": audio,
        "vision": np.ones((clips, 3, dims[1])),
        "audio_lengths": [2] * clips,
        "vision_lengths": [3] * clips,
        "regression_labels": np.array([1.5, -2.0, 0.0][:clips]),
    } | fields


def content(train: dict[str, Any] | None = None, **kwargs: Any) -> dict[str, Any]:
    return {"train": train or part(**kwargs), "valid": part(1, "valid", **kwargs), "test": part(1, "test", **kwargs)}


def read(train: dict[str, Any] | None = None, family: str = "mosi", **kwargs: Any) -> Dataset:
    return mmsa.read(content(train, **kwargs), family, FILE)


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in part().items() if name != key}


def test_fields_arrive_in_the_data_set() -> None:
    dataset = read()
    assert dataset.train.ids == ["train$_$0", "train$_$1"]
    assert dataset.train.text == ["so good", "so bad"]
    assert {type(text) for text in dataset.train.text} == {str}
    np.testing.assert_array_equal(dataset.train.labels, np.array([1.5, -2.0], dtype=np.float32))
    assert dataset.dims == {"a": 5, "v": 20}
    assert [len(split) for split in dataset.splits.values()] == [2, 1, 1]
    np.testing.assert_array_equal(dataset.train.sequences["a"].frames[:, 0], [1, 2, 1, 2])
    assert dataset.train.sequences["v"].lengths.tolist() == [3, 3]
    assert dataset.train.sequences["v"].frames.dtype == np.float32


def test_minus_infinity_in_audio_becomes_zero() -> None:
    fields = part()
    fields["audio"][1, 0, 3] = -np.inf
    sequences = read(fields).train.sequences["a"]
    np.testing.assert_array_equal(sequences[1], [[1, 1, 1, 0, 1], [2, 2, 2, 2, 2]])


@pytest.mark.parametrize(("key", "value"), [("audio", np.nan), ("audio", np.inf), ("vision", -np.inf)])
def test_other_values_that_are_not_finite_become_zero_and_are_counted(key: str, value: float) -> None:
    fields = part()
    fields[key][0, 0, 0] = value
    dataset = read(fields)
    assert dataset.train.sequences[key[0]].frames[0, 0] == 0
    what = {"audio": "acoustic", "vision": "visual"}[key]
    assert f"1 {what} frames with NaN or infinite values; these are set to 0" in dataset.about["caveats"]


def test_recorded_lengths_cut_frames() -> None:
    dataset = read(part(3, audio_lengths=np.array([1, 3, 4])))
    assert dataset.train.sequences["a"].lengths.tolist() == [1, 3, 4]


@pytest.mark.parametrize("length", [0, -1, 5, float("nan")])
def test_recorded_length_that_is_not_there_names_row_and_clip(length: float) -> None:
    fields = part(3, audio_lengths=np.array([1, length, 4]))
    with pytest.raises(UserError, match=rf"for clip '{re.escape(fields['id'][1])}' \(row 1\), but 1 to 4") as caught:
        read(fields)
    assert caught.value.field == "train.audio_lengths"


def test_padding_is_trimmed_where_no_lengths_are_recorded() -> None:
    audio = np.zeros((3, 6, 2))
    audio[0, [0, 2]] = 7  # padded behind, with a silent frame between
    audio[1, [4, 5], 1] = 8  # padded in front
    audio[2, 3] = -np.inf  # nothing but padding and silence
    fields = {key: value for key, value in part(3).items() if not key.endswith("_lengths")}
    sequences = read({**fields, "audio": audio}).train.sequences["a"]
    assert sequences.lengths.tolist() == [3, 2, 1]
    np.testing.assert_array_equal(sequences[0], [[7, 7], [0, 0], [7, 7]])
    np.testing.assert_array_equal(sequences[1], [[0, 8], [0, 8]])
    np.testing.assert_array_equal(sequences[2], [[0, 0]])


def test_labels_of_single_modalities_become_true_labels() -> None:
    labels = {
        f"regression_labels_{m}": np.array([[value], [-value]]) for m, value in (("T", 0.2), ("A", 0.4), ("V", 0.6))
    }
    extra = {name: values[:1] for name, values in labels.items()}
    whole = {"train": part(**labels), "valid": part(1, "valid", **extra), "test": part(1, "test", **extra)}
    dataset = mmsa.read(whole, "sims", FILE)
    assert dataset.has_true_labels
    found = {m: values.tolist() for m, values in dataset.train.true_labels.items()}
    assert found == {m: [np.float32(v), np.float32(-v)] for m, v in (("l", 0.2), ("a", 0.4), ("v", 0.6))}
    assert not read().has_true_labels


@pytest.mark.parametrize(
    ("keys", "modalities"), [(("raw_text",), "av"), (("audio",), "lv"), (("vision",), "la"), (("audio", "vision"), "l")]
)
def test_a_file_without_a_modality_is_read_as_what_it_is(keys: tuple[str, ...], modalities: str) -> None:
    parts = {name: part(2, name) for name in ("train", "valid", "test")}
    kept = {name: {k: v for k, v in fields.items() if k not in keys} for name, fields in parts.items()}
    dataset = mmsa.read(kept, "mosi", FILE)
    assert dataset.modalities == tuple(modalities)
    assert "only" in dataset.about["variant"]
    assert any("not the paper's data" in caveat for caveat in dataset.about["caveats"])


@pytest.mark.parametrize("key", ["id", "regression_labels"])
def test_a_missing_field_is_named(key: str) -> None:
    with pytest.raises(UserError, match="is missing") as caught:
        read(without(key))
    assert (caught.value.file, caught.value.field) == (FILE, f"train.{key}")
    assert caught.value.fix


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("audio", np.zeros((2, 5)), "shape (clips, frames, dim)"),
        ("audio", [np.zeros((2, 5)), np.zeros((3, 5))], "shape (clips, frames, dim)"),
        ("vision", "nothing", "shape (clips, frames, dim)"),
        ("vision", np.zeros((2, 0, 20)), "is empty"),
        ("audio_lengths", [1, 2, 3], "has 3 rows for 2 clips"),
        ("audio_lengths", ["a", "b"], "not an array of numbers"),
        ("regression_labels", [[1.0], [2.0, 3.0]], "not an array of numbers"),
        ("raw_text", [1, 2], "not a list of strings"),
        ("raw_text", 5, "not a list of strings"),
        ("id", [None, None], "not a list of strings"),
    ],
)
def test_a_field_of_another_form_is_refused(key: str, value: Any, problem: str) -> None:
    with pytest.raises(UserError) as caught:
        read(part(**{key: value}))
    assert problem in caught.value.problem
    assert caught.value.field == f"train.{key}"


@pytest.mark.parametrize(
    ("family", "dims", "variant", "paper"),
    [
        ("mosi", (74, 47), "74/47, unaligned", True),
        ("mosi", (5, 20), "5/20, unaligned", False),
        ("mosei", (74, 35), "74/35, unaligned", True),
        ("sims", (33, 709), "33/709, unaligned", True),
        ("mosi", (12, 7), "other 12/7, unaligned", False),
        ("mosi", (73, 5), "custom 73/5, unaligned", False),
        ("mosi", (74, 35), "74/35, unaligned", False),
    ],
)
def test_the_variant_is_told_from_the_dims(family: str, dims: tuple[int, int], variant: str, paper: bool) -> None:
    about = read(family=family, dims=dims).about
    assert about["variant"] == variant
    assert bool(about["caveats"]) is not paper
    assert paper or "not the paper's features" in about["caveats"][0]


def test_a_file_without_lengths_and_with_equal_padding_is_aligned() -> None:
    fields = {key: value for key, value in part().items() if not key.endswith("_lengths")}
    assert read({**fields, "vision": np.ones((2, 4, 20))}).about["variant"] == "5/20, aligned"
    assert read(fields).about["variant"] == "5/20, unaligned"


@pytest.mark.parametrize(
    ("found", "known"),
    [
        (content(), True),
        ({"train": {}, "test": {}}, False),
        ([1], False),
        (None, False),
        ({"train": [], "valid": [], "test": []}, False),
    ],
)
def test_the_schema_is_recognised(found: Any, known: bool) -> None:
    assert mmsa.recognises(found) is known


# --- files larger than memory ---------------------------------------------------------------------


def random_part(name: str, clips: int, dtype: str, order: str) -> dict[str, Any]:
    rng = np.random.default_rng(len(name))
    audio = np.asarray(rng.standard_normal((clips, 9, 4)), dtype, order=order)
    audio[:, 1, 2] = -np.inf
    vision = np.asarray(rng.standard_normal((clips, 5, 3)), dtype, order=order)
    return part(clips, name) | {
        "raw_text": [f"clip {clip}" for clip in range(clips)],
        "regression_labels": np.zeros(clips),
        "audio": audio,
        "vision": vision,
        "audio_lengths": rng.integers(1, 6, clips),
        "vision_lengths": rng.integers(1, 6, clips).tolist(),
    }


def cut_by_hand(fields: dict[str, Any], key: str) -> list[np.ndarray]:
    lengths = [int(length) for length in fields[f"{key}_lengths"]]
    clips = [np.array(clip[:length], np.float32) for clip, length in zip(fields[key], lengths, strict=True)]
    return [np.where(clip == -np.inf, np.float32(0), clip) for clip in clips] if key == "audio" else clips


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", "<f8", ">f4", ">f8"])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_mapped_files_are_read_in_blocks(
    protocol: int, dtype: str, order: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mugkit_home: Path
) -> None:
    monkeypatch.setattr(disk, "BLOCK_BYTES", 3 * 9 * 4 * np.dtype(dtype).itemsize)  # three clips of audio
    sizes = {"train": 17, "valid": 3, "test": 1}
    whole = {name: random_part(name, clips, dtype, order) for name, clips in sizes.items()}
    path = tmp_path / "some.pkl"
    path.write_bytes(pickle.dumps(whole, protocol))
    loaded = load_pickle(path, large=300)
    assert not loaded["train"]["audio"].flags.owndata
    for content in (loaded, whole):
        dataset = mmsa.read(content, "mosi", path)
        for name, fields in whole.items():
            for m, key in (("a", "audio"), ("v", "vision")):
                sequences, clips = dataset.splits[name].sequences[m], cut_by_hand(fields, key)
                assert sequences.lengths.tolist() == [len(clip) for clip in clips]
                np.testing.assert_array_equal(sequences.frames, np.concatenate(clips))
                assert isinstance(sequences.frames, np.memmap)
    assert list(mugkit_home.iterdir()) == []


def test_clips_without_lengths_are_trimmed_in_every_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "BLOCK_BYTES", 1)
    audio = np.zeros((5, 6, 2))
    for clip in range(5):
        audio[clip, clip : clip + 2] = clip + 1
    fields = {key: value for key, value in part(5).items() if not key.endswith("_lengths")}
    fields |= {"id": list("abcde"), "raw_text": list("abcde"), "regression_labels": np.zeros(5)}
    sequences = read({**fields, "audio": audio}).train.sequences["a"]
    assert sequences.lengths.tolist() == [2] * 5
    np.testing.assert_array_equal(sequences.frames[:, 0], np.repeat([1, 2, 3, 4, 5], 2))


def test_features_of_text_are_not_read(tmp_path: Path) -> None:
    class Untouchable:
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(name)

    assert len(read(part(text=Untouchable(), text_bert=Untouchable())).train) == 2


@pytest.mark.parametrize(("lengths", "frames"), [(True, 2 * 2 * 5 + 2 * 3 * 20), (False, 2 * 4 * 5 + 2 * 3 * 20)])
def test_a_disk_too_small_for_twice_the_frames_is_refused(
    lengths: bool, frames: int, monkeypatch: pytest.MonkeyPatch, mugkit_home: Path
) -> None:
    def fields(clips: int, name: str) -> dict[str, Any]:
        return {k: v for k, v in part(clips, name).items() if lengths or not k.endswith("_lengths")}

    whole = {"train": fields(2, "train"), "valid": fields(1, "valid"), "test": fields(1, "test")}
    needed = 2 * 4 * 2 * frames  # scratch and store; float32; train, and as much again in valid and test
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 0, needed))
    mmsa.read(whole, "mosi", FILE)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 0, needed - 1))
    with pytest.raises(UserError, match="too full") as caught:
        mmsa.read(whole, "mosi", FILE)
    assert caught.value.file == mugkit_home


def test_a_disk_that_fills_up_is_told(monkeypatch: pytest.MonkeyPatch, mugkit_home: Path) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(disk.tempfile, "TemporaryFile", full)
    with pytest.raises(UserError, match="too full"):
        read()
    assert list(mugkit_home.iterdir()) == []


@pytest.mark.shared_data
def test_the_real_file_agrees_with_the_official_table(shared_data: Path) -> None:
    path = shared_data / "mosi" / "mosi_lite_unaligned.pkl"
    dataset = mmsa.read(load_pickle(path), "mosi", path)
    assert dataset.dims == {"a": 73, "v": 5}
    assert dataset.about["caption"] == "MOSI text + acoustics + timing"
    for name, split in dataset.splits.items():
        with (shared_data / "mosi" / f"{name}.tsv").open(encoding="utf-8") as stream:
            official = {row["id"]: float(row["label"]) for row in csv.DictReader(stream, delimiter="\t")}
        ours = {clip.replace("$_$", "_"): label for clip, label in zip(split.ids, split.labels, strict=True)}
        assert ours == pytest.approx(official, abs=1e-6)
        assert set(split.sequences["a"].lengths) == {1}
        assert split.sequences["v"].lengths.max() <= 50
