"""The reader of MISA's and MAG-BERT's pickles, on entries written by hand and on the real file."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mugkit.data import misa
from mugkit.data.pickles import load_pickle
from mugkit.errors import UserError

FILE = Path("dev.pkl")


def entry(clip: str = "video[0]", words: tuple[str, ...] = ("a", "fine", "film"), label: float = 1.5) -> tuple:
    """An entry as MISA writes it: ids, Facet 47, COVAREP 74, words."""
    length = len(words)
    visual, acoustic = np.full((length, 47), 2.0), np.full((length, 74), 3.0)
    return ((np.arange(length), visual, acoustic, list(words)), np.array([[label]], dtype=np.float32), clip)


def entries(prefix: str, count: int) -> list[tuple]:
    return [entry(f"{prefix}[{number}]") for number in range(count)]


@pytest.mark.parametrize("key", ["dev", "valid"])
def test_a_dict_of_splits_is_taken_as_it_is(key: str) -> None:
    dataset = misa.read({"train": entries("a", 3), key: entries("b", 2), "test": entries("c", 1)}, "mosi", FILE)
    assert [len(split) for split in dataset.splits.values()] == [3, 2, 1]
    assert dataset.valid.ids == ["b[0]", "b[1]"]
    assert dataset.train.text == ["a fine film"] * 3
    assert dataset.train.labels.tolist() == [1.5] * 3
    assert dataset.dims == {"a": 74, "v": 47}
    assert set(dataset.train.sequences["a"].frames.ravel()) == {3.0}
    assert set(dataset.train.sequences["v"].frames.ravel()) == {2.0}
    assert dataset.about["variant"] == "74/47, aligned"
    assert dataset.about["caveats"] == []


def test_the_word_list_may_be_absent_if_the_first_field_has_the_words() -> None:
    """MAG-BERT's form."""
    (_, visual, acoustic, words), label, clip = entry()
    parts = {key: [((words, visual, acoustic), label, f"{key}{clip}")] for key in ("train", "dev", "test")}
    assert misa.read(parts, "mosi", FILE).train.text == ["a fine film"]


def test_one_list_is_split_by_a_hash_of_the_ids() -> None:
    clips = entries("video", 400)
    dataset = misa.read(clips, "mosi", FILE)
    backwards = misa.read(clips[::-1], "mosi", FILE)
    for name, share in (("train", 0.7), ("valid", 0.1), ("test", 0.2)):
        split = dataset.splits[name]
        assert len(split) / 400 == pytest.approx(share, abs=0.06)  # three standard deviations at most
        assert sorted(split.ids) == sorted(backwards.splits[name].ids)
    together = [clip for split in dataset.splits.values() for clip in split.ids]
    assert sorted(together) == sorted(clip for _, _, clip in clips)


def test_a_made_up_split_says_so() -> None:
    about = misa.read(entries("video", 100), "mosi", FILE).about
    assert "made-up split" in about["caption"]
    assert any("made up" in caveat and "too small" in caveat for caveat in about["caveats"])


def test_modalities_may_have_lengths_of_their_own() -> None:
    (ids, visual, acoustic, words), label, clip = entry()
    ragged = ((ids, visual[:2], np.concatenate([acoustic, acoustic]), words), label, clip)
    dataset = misa.read({"train": [ragged, entry("x")], "dev": entries("b", 1), "test": entries("c", 1)}, "mosi", FILE)
    assert dataset.train.sequences["a"].lengths.tolist() == [6, 3]
    assert dataset.train.sequences["v"].lengths.tolist() == [2, 3]
    assert dataset.about["variant"] == "74/47, unaligned"


def test_minus_infinity_in_acoustic_frames_becomes_zero_and_the_input_stays() -> None:
    clip = entry()
    clip[0][2][1, 5] = -np.inf
    parts = {"train": [clip], "dev": entries("b", 1), "test": entries("c", 1)}
    frames = misa.read(parts, "mosi", FILE).train.sequences["a"].frames
    assert (frames[1, 5], frames[1, 6]) == (0, 3)
    assert np.isneginf(clip[0][2][1, 5])


def broken(number: int) -> Any:
    (ids, visual, acoustic, words), label, clip = entry()
    return [
        ((ids, visual), label, clip),
        ((ids, visual, acoustic, words), label),
        ((ids, visual[0], acoustic, words), label, clip),
        ((ids, "pictures", acoustic, words), label, clip),
        ((ids, visual, acoustic, words), np.zeros((1, 2)), clip),
        ((ids, visual, acoustic, 7), label, clip),
        None,
    ][number]


@pytest.mark.parametrize("number", range(7))
def test_an_entry_of_another_form_is_named(number: int) -> None:
    parts = {"train": entries("a", 2), "dev": [entry(), broken(number)], "test": entries("c", 1)}
    with pytest.raises(UserError, match="not a MISA entry") as caught:
        misa.read(parts, "mosi", FILE)
    assert (caught.value.file, caught.value.field) == (FILE, "dev[1]")


def test_word_ids_without_words_are_data_without_transcripts() -> None:
    (ids, visual, acoustic, _), label, _ = entry()
    parts = {name: [((ids, visual, acoustic), label, name)] for name in ("train", "dev", "test")}
    dataset = misa.read(parts, "mosi", FILE)
    assert dataset.modalities == ("a", "v")
    assert dataset.about["caveats"] == ["not the paper's data: no transcripts"]


def test_ids_and_words_may_be_bytes() -> None:
    (ids, visual, acoustic, words), label, _ = entry()
    parts = {
        name: [((ids, visual, acoustic, [word.encode() for word in words]), label, name.encode())]
        for name in ("training", "development", "testing")
    }
    dataset = misa.read(parts, "mosi", FILE)
    assert (dataset.train.ids, dataset.train.text) == (["training"], ["a fine film"])


def test_frames_of_different_dims_are_refused() -> None:
    (ids, visual, acoustic, words), label, _ = entry()
    other = ((ids, visual[:, :35], acoustic, words), label, "other")
    with pytest.raises(UserError, match="35 and 47 dims") as caught:
        misa.read({"train": [entry(), other], "dev": entries("b", 1), "test": entries("c", 1)}, "mosi", FILE)
    assert caught.value.field == "train.visual"


def test_a_list_too_short_to_split_is_refused() -> None:
    with pytest.raises(UserError, match="has no clips"):
        misa.read([entry()], "mosi", FILE)


@pytest.mark.parametrize(
    ("found", "known"),
    [
        (entries("a", 1), True),
        ({"train": entries("a", 1), "dev": entries("b", 1), "test": entries("c", 1)}, True),
        ({"train": entries("a", 1), "test": entries("c", 1)}, False),
        ([], False),
        ([1, 2], False),
        ("text", False),
        ({"train": {}, "valid": {}, "test": {}}, False),
    ],
)
def test_the_form_is_recognised(found: Any, known: bool) -> None:
    assert misa.recognises(found) is known


@pytest.mark.shared_data
def test_the_real_file_agrees_with_the_official_table(shared_data: Path) -> None:
    path = shared_data / "mosi" / "misa_dev.pkl"
    dataset = misa.read(load_pickle(path), "mosi", path)
    assert sum(len(split) for split in dataset.splits.values()) == 229
    assert dataset.dims == {"a": 74, "v": 47}
    assert dataset.about["variant"] == "74/47, aligned"
    with (shared_data / "mosi" / "valid.tsv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    labels = np.concatenate([split.labels for split in dataset.splits.values()])
    assert Counter(labels.round(1).tolist()) == Counter(np.float32([row["label"] for row in rows]).round(1).tolist())
    videos = Counter(clip.split("[")[0] for split in dataset.splits.values() for clip in split.ids)
    assert videos == Counter(row["vid"] for row in rows)
