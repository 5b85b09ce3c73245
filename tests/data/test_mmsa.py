"""The reader of MMSA pickles, on contents small enough to work out by hand and on the real file."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from held_files import dump, part
from held_files import mmsa as content

from mugkit.data import disk, mmsa
from mugkit.data.pickles import load_pickle
from mugkit.data.schema import SPLITS, Dataset

FILE = Path("unaligned_50.pkl")


def read(family: str = "mosi", **train: Any) -> Dataset:
    return mmsa.read(content(**train), family, FILE)


def unmeasured(name: str, *missing: str, **fields: Any) -> dict[str, Any]:
    """A split without recorded lengths, and without other fields."""
    kept = part(name, **fields).items()
    return {key: value for key, value in kept if not key.endswith("_lengths") and key not in missing}


def test_fields_arrive_in_the_data_set() -> None:
    dataset = read(audio_lengths=np.array([1, 3, 2]), text=object(), text_bert=object())
    assert dataset.train.text == ["so good", "so bad", "so so"]
    assert {type(text) for text in dataset.train.text} == {str}
    np.testing.assert_array_equal(dataset.train.labels, np.array([1.5, -2.0, 0], dtype=np.float32))
    assert dataset.dims == {"a": 5, "v": 20}
    assert [split.ids for split in dataset.splits.values()] == [[f"{s}$_${k}" for k in range(3)] for s in SPLITS]
    np.testing.assert_array_equal(dataset.train.sequences["a"].frames[:, 0], [1, 1, 2, 0, 1, 2])
    assert dataset.train.sequences["a"].lengths.tolist() == [1, 3, 2]
    assert dataset.train.sequences["v"].frames.dtype == np.float32


@pytest.mark.parametrize(("key", "value"), [("audio", np.nan), ("audio", -np.inf), ("vision", -np.inf)])
def test_values_that_are_not_finite_become_zero_and_faults_are_counted(key: str, value: float) -> None:
    """−∞ in acoustic frames is silence, not a fault."""
    fields = part("train")
    fields[key][0, 0, 0] = value
    dataset = read(**fields)
    assert dataset.train.sequences[key[0]].frames[0, 0] == 0
    what = {"audio": "acoustic", "vision": "visual"}[key]
    told = f"1 {what} frames with NaN or infinite values; these are set to 0" in dataset.about["caveats"]
    assert told != (key == "audio" and value == -np.inf)


@pytest.mark.parametrize("block", [1, 10**6])  # clip by clip, and all at once
def test_padding_is_trimmed_where_no_lengths_are_recorded(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "BLOCK_BYTES", block)
    audio = np.zeros((3, 6, 2))
    audio[0, [0, 2]] = 7  # padded behind, with a silent frame between
    audio[1, [4, 5], 1] = 8  # padded in front
    audio[2, 3] = -np.inf  # nothing but padding and silence
    whole = {name: unmeasured(name, audio=audio) for name in SPLITS}
    sequences = mmsa.read(whole, "mosi", FILE).train.sequences["a"]
    assert sequences.lengths.tolist() == [3, 2, 1]
    np.testing.assert_array_equal(sequences[0], [[7, 7], [0, 0], [7, 7]])
    np.testing.assert_array_equal(sequences[1], [[0, 8], [0, 8]])
    np.testing.assert_array_equal(sequences[2], [[0, 0]])


def test_labels_of_single_modalities_become_true_labels() -> None:
    values = {"T": 0.25, "A": 0.5, "V": 0.75}
    dataset = read("sims", **{f"regression_labels_{m}": np.array([[v], [-v], [0]]) for m, v in values.items()})
    found = {m: labels.tolist() for m, labels in dataset.train.true_labels.items()}
    assert found == {"l": [0.25, -0.25, 0], "a": [0.5, -0.5, 0], "v": [0.75, -0.75, 0]}
    assert (dataset.has_true_labels, read().has_true_labels) == (True, False)


@pytest.mark.parametrize(
    ("keys", "modalities"), [(("raw_text",), "av"), (("audio",), "lv"), (("vision",), "la"), (("audio", "vision"), "l")]
)
def test_a_file_without_a_modality_is_read_as_what_it_is(keys: tuple[str, ...], modalities: str) -> None:
    dataset = mmsa.read({name: unmeasured(name, *keys) for name in SPLITS}, "mosi", FILE)
    assert dataset.modalities == tuple(modalities)
    assert "only" in dataset.about["variant"]
    assert any("not the paper's data" in caveat for caveat in dataset.about["caveats"])


def test_a_file_without_lengths_and_with_equal_padding_is_aligned() -> None:
    for frames, variant in ((4, "5/20, aligned"), (3, "5/20, unaligned")):
        whole = {name: unmeasured(name, vision=np.ones((3, frames, 20))) for name in SPLITS}
        assert mmsa.read(whole, "mosi", FILE).about["variant"] == variant


def random_part(name: str, clips: int, dtype: str, order: str) -> dict[str, Any]:
    rng = np.random.default_rng(len(name))
    audio, vision = (np.asarray(rng.standard_normal((clips, *shape)), dtype, order=order) for shape in ((9, 4), (5, 3)))
    audio[:, 1, 2] = -np.inf
    lengths = {"audio_lengths": rng.integers(1, 6, clips), "vision_lengths": rng.integers(1, 6, clips).tolist()}
    texts, labels = ["so"] * clips, np.zeros(clips)
    return part(name, clips, raw_text=texts, regression_labels=labels, audio=audio, vision=vision, **lengths)


def cut_by_hand(fields: dict[str, Any], key: str) -> list[np.ndarray]:
    lengths = [int(length) for length in fields[f"{key}_lengths"]]
    clips = [np.array(clip[:length], np.float32) for clip, length in zip(fields[key], lengths, strict=True)]
    return [np.where(clip == -np.inf, np.float32(0), clip) for clip in clips]


@pytest.mark.parametrize(("dtype", "order", "protocol"), [("<f4", "C", 4), ("<f8", "F", 2), (">f4", "F", 5)])
def test_mapped_files_are_read_in_blocks(
    dtype: str, order: str, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mugkit_home: Path
) -> None:
    monkeypatch.setattr(disk, "BLOCK_BYTES", 3 * 9 * 4 * np.dtype(dtype).itemsize)  # three clips of audio
    sizes = {"train": 17, "valid": 3, "test": 1}
    whole = {name: random_part(name, clips, dtype, order) for name, clips in sizes.items()}
    path = dump(tmp_path / "some.pkl", whole, protocol)
    loaded = load_pickle(path, large=300)
    assert not loaded["train"]["audio"].flags.owndata
    for given in (loaded, whole):
        dataset = mmsa.read(given, "mosi", path)
        for name, fields in whole.items():
            for m, key in (("a", "audio"), ("v", "vision")):
                sequences, clips = dataset.splits[name].sequences[m], cut_by_hand(fields, key)
                assert sequences.lengths.tolist() == [len(clip) for clip in clips]
                np.testing.assert_array_equal(sequences.frames, np.concatenate(clips))
                assert isinstance(sequences.frames, np.memmap)
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
