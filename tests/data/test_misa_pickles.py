"""The reader of MISA's and MAG-BERT's pickles, on entries written by hand and on the real file."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from held_files import entry
from held_files import misa as content

from mugkit.data import misa_pickles
from mugkit.data.pickles import load_pickle

FILE = Path("dev.pkl")


def entries(prefix: str, count: int) -> list[tuple]:
    return [entry(f"{prefix}[{number}]") for number in range(count)]


def test_a_dict_of_splits_is_taken_as_it_is() -> None:
    dataset = misa_pickles.read(
        {"train": entries("a", 3), "dev": entries("b", 2), "test": entries("c", 1)}, "mosi", FILE
    )
    assert [len(split) for split in dataset.splits.values()] == [3, 2, 1]
    assert dataset.valid.ids == ["b[0]", "b[1]"]
    assert dataset.train.text == ["a fine film"] * 3
    assert dataset.train.labels.tolist() == [1.5] * 3
    assert dataset.dims == {"a": 74, "v": 47}
    assert set(dataset.train.sequences["a"].frames.ravel()) == {3.0}
    assert set(dataset.train.sequences["v"].frames.ravel()) == {2.0}
    assert dataset.about["variant"] == "74/47, aligned"
    assert dataset.about["caveats"] == []


def test_one_list_is_split_by_a_hash_of_the_ids() -> None:
    clips = entries("video", 400)
    dataset = misa_pickles.read(clips, "mosi", FILE)
    backwards = misa_pickles.read(clips[::-1], "mosi", FILE)
    for name, share in (("train", 0.7), ("valid", 0.1), ("test", 0.2)):
        split = dataset.splits[name]
        assert len(split) / 400 == pytest.approx(share, abs=0.06)  # three standard deviations at most
        assert sorted(split.ids) == sorted(backwards.splits[name].ids)
    assert "made-up split" in dataset.about["caption"]
    assert any("made up" in caveat for caveat in dataset.about["caveats"])
    together = [clip for split in dataset.splits.values() for clip in split.ids]
    assert sorted(together) == sorted(clip for _, _, clip in clips)


def test_entries_of_other_forms() -> None:
    (ids, visual, audio, words), label, clip = entry("v[2]")
    for fields, name, text in (
        ((words, visual, audio), clip, "a fine film"),  # MAG-BERT's: the words themselves come first
        ((ids, visual, audio, [word.encode() for word in words]), clip.encode(), "a fine film"),
        ((ids, visual, audio), clip, ""),  # ids of another program's vocabulary
    ):
        parts = {split: [(fields, label, name)] for split in ("training", "development", "testing")}
        dataset = misa_pickles.read(parts, "mosi", FILE)
        assert (dataset.train.ids, dataset.train.text) == ([clip], [text])
        assert dataset.modalities == (("l", "a", "v") if text else ("a", "v"))
    ragged = ((ids, visual[:2], np.concatenate([audio, audio]), words), label, clip)
    dataset = misa_pickles.read(content(ragged), "mosi", FILE)
    assert dataset.train.sequences["a"].lengths.tolist() == [3, 3, 6]
    assert dataset.train.sequences["v"].lengths.tolist() == [3, 3, 2]
    assert dataset.about["variant"] == "74/47, unaligned"


def test_minus_infinity_in_acoustic_frames_becomes_zero_and_the_input_stays() -> None:
    clip = entry("v[2]")
    clip[0][2][1, 5] = -np.inf
    frames = misa_pickles.read(content(clip), "mosi", FILE).train.sequences["a"][2]
    assert (frames[1, 5], frames[1, 6]) == (0, 3)
    assert np.isneginf(clip[0][2][1, 5])


@pytest.mark.shared_data
def test_the_real_file_agrees_with_the_official_table(shared_data: Path) -> None:
    path = shared_data / "mosi" / "misa_dev.pkl"
    dataset = misa_pickles.read(load_pickle(path), "mosi", path)
    assert sum(len(split) for split in dataset.splits.values()) == 229
    assert dataset.dims == {"a": 74, "v": 47}
    assert dataset.about["variant"] == "74/47, aligned"
    official = pd.read_csv(shared_data / "mosi" / "valid.tsv", sep="\t")
    frame = pd.concat([split.frame() for split in dataset.splits.values()])
    assert Counter(frame["y"].round(1)) == Counter(official["label"].astype(np.float32).round(1))
    assert Counter(frame["id"].str.split("[").str[0]) == Counter(official["vid"])
