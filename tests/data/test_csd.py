"""The reader of the CMU SDK's computational sequences, on small files whose clips are worked out by hand."""

import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from held_files import LABELS, Entries, sequence

from mugkit.data import csd, csv_files
from mugkit.errors import UserError

FOLDS = {"one": "train", "two": "valid", "three": "test"}


def everywhere(intervals: Sequence[Sequence[float]], values: Any) -> Entries:
    return dict.fromkeys(FOLDS, (intervals, values))


def labels(folder: Path, intervals: Sequence[Sequence[float]] = ((0, 2), (2, 4))) -> Path:
    values = [[2.0 - clip] for clip in range(len(intervals))]
    return sequence(folder / "labels.csd", LABELS, everywhere(intervals, values))


def words(folder: Path, intervals: Sequence[Sequence[float]], tokens: Sequence[str]) -> Path:
    return sequence(folder / "words.csd", "words", everywhere(intervals, [[token.encode()] for token in tokens]))


TIMING = [[0, 0.5], [0.5, 0.9], [0.9, 1.8], [1.8, 2.4], [2.4, 3], [5, 6]]
TOKENS = ["a", "sp", "fine", "film", "indeed", "outside"]


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    return [labels(tmp_path), words(tmp_path, TIMING, TOKENS)]


def test_a_word_belongs_to_the_clip_with_its_middle(sources: list[Path]) -> None:
    dataset = csd.read(sources, "mosi", FOLDS)
    # "film" lies across the boundary at 2, its middle 2.1 in the second clip; "outside" is in none; sp is a pause.
    assert dataset.train.text == ["a fine", "film indeed"]
    assert dataset.train.ids == ["one$_$1", "one$_$2"]
    assert dataset.train.labels.tolist() == [2, 1]
    assert [split.ids[0] for split in dataset.splits.values()] == ["one$_$1", "two$_$1", "three$_$1"]
    assert dataset.modalities == ("l",)
    assert dataset.about["caption"] == "MOSI (text only)"


@pytest.mark.parametrize(
    ("clips", "text"),
    [
        ([[4, 2], [0, 2]], ["film indeed", "a fine"]),  # reversed, and out of order
        ([[0, 2], [1.2, 1.2]], ["a fine", "fine"]),  # without extent: the word that it lies in
        ([[0, 2], [0.9, 0.9]], ["a fine", "fine"]),  # at the edge of the pause before "fine"
        ([[0.5, 0.9], [7, 8], [0, 2]], ["a fine"]),  # with a pause alone, with nothing: left out
    ],
)
def test_clips_and_words_of_any_form_find_each_other(clips: list[list[float]], text: list[str], tmp_path: Path) -> None:
    order = [4, 2, 3, 0, 1, 5]
    shuffled = words(tmp_path, [TIMING[k][::-1] for k in order], [TOKENS[k] for k in order])
    dataset = csd.read([labels(tmp_path, clips), shuffled], "mosi", FOLDS)
    assert dataset.train.text == text
    if len(clips) == 3:
        assert dataset.train.ids == ["one$_$3"]
        assert "6 clips without words are left out" in dataset.about["caveats"]


def test_a_word_on_the_boundary_belongs_to_the_later_clip_alone(tmp_path: Path) -> None:
    sources = [labels(tmp_path), words(tmp_path, [[0, 1], [1.5, 2.5], [3, 4]], ["so", "very", "good"])]
    assert csd.read(sources, "mosi", FOLDS).train.text == ["so", "very good"]


def by_clip(intervals: Any, values: Any) -> Entries:
    """Entries under keys of two clips, as the SDK writes them once they are aligned to the labels."""
    halves = enumerate(zip(np.split(np.array(intervals), 2), np.split(np.array(values), 2), strict=True))
    return {f"{video}[{k}]": part for k, part in halves for video in FOLDS}


@pytest.mark.parametrize("words_by", [everywhere, by_clip])
@pytest.mark.parametrize("labels_by", [everywhere, by_clip])
def test_keys_of_clips_are_the_same_data_as_videos(
    labels_by: Callable[..., Entries], words_by: Callable[..., Entries], tmp_path: Path
) -> None:
    rated = sequence(tmp_path / "labels.csd", LABELS, labels_by([[0, 2], [2, 4]], [[1.0], [-1.0]]))
    timing, tokens = [[0, 1], [1, 2], [2, 3], [3, 4]], [[b"so"], [b"good"], [b"too"], [b"long"]]
    said = sequence(tmp_path / "words.csd", "words", words_by(timing, tokens))
    dataset = csd.read([rated, said, frames(tmp_path)], "mosi", FOLDS)
    assert dataset.train.ids == ["one$_$1", "one$_$2"]
    assert dataset.train.text == ["so good", "too long"]
    assert dataset.train.labels.tolist() == [1, -1]
    assert dataset.train.sequences["a"].lengths.tolist() == [4, 4]


@pytest.mark.parametrize("make", [lambda folder: words(folder, TIMING, TOKENS), lambda folder: frames(folder)])
def test_labels_at_other_times_are_named_as_the_cause(make: Callable[[Path], Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="times") as caught:
        csd.read([labels(tmp_path, [[1000, 1002], [1002, 1004]]), other := make(tmp_path)], "mosi", FOLDS)
    assert caught.value.file == other


STEPS = [[t, t + 0.5] for t in np.arange(0, 5, 0.5)]  # two frames a second


def frames(folder: Path, name: str = "COVAREP", dim: int = 74, values: np.ndarray | None = None) -> Path:
    values = np.repeat(np.arange(10.0)[:, None], dim, axis=1) if values is None else values
    return sequence(folder / f"{name}.csd", name, everywhere(STEPS, values))


def test_frames_are_cut_to_the_clips_or_averaged_over_words_on_demand(sources: list[Path], tmp_path: Path) -> None:
    sources += [frames(tmp_path), frames(tmp_path, "FACET_4.1", 47)]
    dataset = csd.read(sources, "mosi", FOLDS)
    assert dataset.dims == {"a": 74, "v": 47}
    for m in "av":
        sequences = dataset.test.sequences[m]
        assert sequences.frames.dtype == np.float32
        assert [sequences[clip][:, 3].tolist() for clip in range(2)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert (dataset.about["caption"], dataset.about["caveats"]) == ("MOSI (74/47, unaligned)", [])
    dataset = csd.read(sources, "mosi", FOLDS, align=True)
    # "a" 0–0.5: frame 0. "fine" 0.9–1.8: middles 1.25 and 1.75, frames 2 and 3. "film" 1.8–2.4: middle 2.25, frame 4.
    assert [dataset.train.sequences["a"][clip][:, 0].tolist() for clip in range(2)] == [[0, 2.5], [4, 5]]
    assert dataset.about["variant"] == "74/47, aligned"


def test_words_and_clips_without_frames_get_zeros(sources: list[Path], tmp_path: Path) -> None:
    """A frame for a clip, or a frame for each of its words."""
    late = sequence(tmp_path / "covarep.csd", "COVAREP", {"one": ([[2.4, 2.9]], np.full((1, 74), 7.0))})
    for align, first, second in ((True, [0, 0], [0, 7]), (False, [0], [7])):
        dataset = csd.read([*sources, late], "mosi", FOLDS, align=align)
        assert [dataset.train.sequences["a"][clip][:, 0].tolist() for clip in range(2)] == [first, second]
        assert [dataset.test.sequences["a"][clip][:, 0].tolist() for clip in range(2)] == [first, first]
        assert "5 clips without acoustic frames get frames of zeros" in dataset.about["caveats"]


def test_values_that_are_not_finite_become_zero(sources: list[Path], tmp_path: Path) -> None:
    values = np.ones((10, 74))
    values[0, 0], values[1, 1] = -np.inf, np.nan
    dataset = csd.read([*sources, frames(tmp_path, values=values)], "mosi", FOLDS)
    first = dataset.train.sequences["a"][0]
    assert (first[0, 0], first[1, 1], first.sum()) == (0, 0, 4 * 74 - 2)
    # −∞ is silence; NaN is a fault, in each of three videos.
    assert "3 acoustic frames with NaN or infinite values; these are set to 0" in dataset.about["caveats"]


def test_videos_are_read_one_at_a_time(tmp_path: Path, mugkit_home: Path) -> None:
    times = np.stack([np.arange(2000), np.arange(2000) + 1], 1) / 500
    folds = {f"v{k}": ("train", "valid", "test")[k % 3] for k in range(30)}
    path = sequence(tmp_path / "covarep.csd", "COVAREP", dict.fromkeys(folds, (times, np.ones((2000, 74)))))
    clips = sequence(tmp_path / "labels.csd", "labels", dict.fromkeys(folds, ([[0, 4]], [[1.0]])))
    csd.read([clips], "mosi", folds)  # imports
    tracemalloc.start()
    dataset = csd.read([clips, path], "mosi", folds)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert dataset.train.sequences["a"].lengths.tolist() == [2000] * 10
    assert peak < path.stat().st_size / 5  # 35 MB
    assert list(mugkit_home.iterdir()) == []  # the scratch file has no name


def spoken(count: int) -> tuple[list[list[float]], list[str]]:
    """Words that take as long as they have letters, with pauses between some of them."""
    rng = np.random.default_rng(5)
    tokens = [("sp" if rng.random() < 0.3 else "x" * int(rng.integers(1, 9))) for _ in range(count)]
    seconds = [0.02 if token == "sp" else 0.08 * len(token) + 0.02 * rng.random() for token in tokens]
    ends = np.cumsum(seconds)
    return np.stack([ends - seconds, ends], 1).tolist(), tokens


@pytest.mark.parametrize("late", [0, 1, -1])
def test_words_stored_beside_their_neighbours_intervals_are_put_back(late: int, tmp_path: Path) -> None:
    timing, tokens = spoken(600)
    clips = labels(tmp_path, [[timing[100][0], timing[149][1]], [timing[150][0], timing[199][1]]])
    dataset = csd.read([clips, words(tmp_path, timing, np.roll(tokens, late).tolist())], "mosi", FOLDS)
    expected = [" ".join(t for t in tokens[a:b] if t != "sp") for a, b in ((100, 150), (150, 200))]
    assert dataset.train.text == expected
    said = [caveat for caveat in dataset.about["caveats"] if "words.csd are read with the interval" in caveat]
    assert len(said) == abs(late)
    if late:
        assert ("before theirs" if late == 1 else "after theirs") in said[0]


def test_kinds_are_told_from_names_dims_and_descriptions(tmp_path: Path) -> None:
    """Those of no use are named, and of seven labels the first is sentiment."""
    rated = sequence(tmp_path / "r.csd", "All", everywhere([[0, 2], [2, 4]], np.arange(14.0).reshape(2, 7) / 7))
    said = words(tmp_path, TIMING, TOKENS)
    acoustic = sequence(tmp_path / "x.csd", "sequence", everywhere(STEPS, np.zeros((10, 74))))
    visual = sequence(tmp_path / "y.csd", "other", everywhere(STEPS, np.zeros((10, 12))), "OpenFace by somebody")
    phones = sequence(tmp_path / "p.csd", "phonemes", everywhere([[0, 1]], [[b"AH"]]))
    vectors = sequence(tmp_path / "g.csd", "glove_vectors", everywhere([[0, 1]], np.zeros((1, 300))))
    dataset = csd.read([rated, said, acoustic, visual, phones, vectors], "mosei", FOLDS)
    assert dataset.dims == {"a": 74, "v": 12}
    assert (dataset.train.text, dataset.train.labels.tolist()) == (["a fine", "film indeed"], [0, 1])
    assert "sequences that are not used: phonemes, glove_vectors" in dataset.about["caveats"]


def test_the_standard_folds_of_mosi_are_known() -> None:
    folds = csd._standard_folds("mosi")
    assert Counter(folds.values()) == {"train": 52, "valid": 10, "test": 31}
    # The first video in each of the official lists.
    assert [folds[video] for video in ("03bSnISJMiM", "WKA5OygbEKI", "c7UH_rxdZv4")] == ["train", "valid", "test"]


def test_folds_may_name_clips_and_what_they_do_not_name_is_left_out_and_counted(tmp_path: Path) -> None:
    folds = {"one$_$1": "train", "one$_$2": "valid", "two": "test"}
    dataset = csd.read([labels(tmp_path)], "mosi", folds)
    assert [split.ids for split in dataset.splits.values()] == [["one$_$1"], ["one$_$2"], ["two$_$1", "two$_$2"]]
    assert "2 clips are in no split and left out" in dataset.about["caveats"]


@pytest.mark.shared_data
def test_the_real_files_agree_with_the_official_tables(shared_data: Path) -> None:
    def plain(text: str) -> str:
        return text.lower().replace("'", "")

    folder = shared_data / "mosi"
    ours = csd.read(sorted(folder.glob("*.csd")), "mosi")
    theirs = csv_files.read(sorted(folder.glob("*.tsv")), "mosi")
    assert [len(split) for split in ours.splits.values()] == [1284, 229, 686]
    for name, split in theirs.splits.items():
        expected = dict(zip(split.ids, zip(split.text, split.labels, strict=True), strict=True))
        found = ours.splits[name]
        assert set(found.ids) == set(expected)
        assert np.abs(found.labels - np.array([expected[clip][1] for clip in found.ids])).max() < 1e-6
        same = [plain(text) == plain(expected[clip][0]) for clip, text in zip(found.ids, found.text, strict=True)]
        assert np.mean(same) > 0.85  # the rest differs in spelling and in words that are transcribed twice
    assert any("interval before theirs" in caveat for caveat in ours.about["caveats"])
