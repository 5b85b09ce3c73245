"""The reader of the CMU SDK's computational sequences, on small files whose clips are worked out by hand."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mugkit import files
from mugkit.data import csd, csv_files
from mugkit.errors import UserError

FOLDS = {"one": "train", "two": "valid", "three": "test"}
Entries = Mapping[str, tuple[Sequence[Sequence[float]], Any]]  # intervals and features by video


def write(path: Path, name: str, entries: Entries, description: str = "") -> Path:
    with h5py.File(path, "w") as file:
        for video, (intervals, values) in entries.items():
            file[f"{name}/data/{video}/intervals"] = np.array(intervals, dtype=np.float32).reshape(-1, 2)
            file[f"{name}/data/{video}/features"] = np.array(values)
        file[f"{name}/metadata/computational sequence description"] = [description.encode()]
    return path


def everywhere(intervals: Sequence[Sequence[float]], values: Any) -> Entries:
    return dict.fromkeys(FOLDS, (intervals, values))


def labels(folder: Path, intervals: Sequence[Sequence[float]] = ((0, 2), (2, 4)), **videos: Any) -> Path:
    values = [[1.0 - clip] for clip in range(len(intervals))]
    return write(folder / "labels.csd", "Opinion Segment Labels", everywhere(intervals, values) | videos)


def words(folder: Path, intervals: Sequence[Sequence[float]], tokens: Sequence[str]) -> Path:
    return write(folder / "words.csd", "words", everywhere(intervals, [[token.encode()] for token in tokens]))


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
    assert dataset.train.labels.tolist() == [1, 0]
    assert [split.ids[0] for split in dataset.splits.values()] == ["one$_$1", "two$_$1", "three$_$1"]
    assert dataset.modalities == ("l",)
    assert dataset.about["caption"] == "MOSI (text only)"


def test_intervals_out_of_order_or_reversed_are_put_right(tmp_path: Path) -> None:
    order = [4, 2, 3, 0, 1, 5]
    shuffled = words(tmp_path, [TIMING[k][::-1] for k in order], [TOKENS[k] for k in order])
    dataset = csd.read([labels(tmp_path, [[4, 2], [0, 2]]), shuffled], "mosi", FOLDS)
    assert dataset.train.text == ["film indeed", "a fine"]


def test_a_clip_without_extent_gets_the_word_that_it_lies_in(tmp_path: Path) -> None:
    sources = [labels(tmp_path, [[0, 2], [1.2, 1.2]]), words(tmp_path, TIMING, TOKENS)]
    assert csd.read(sources, "mosi", FOLDS).train.text == ["a fine", "fine"]
    edge = [labels(tmp_path, [[0, 2], [0.9, 0.9]]), sources[1]]  # where the pause ends and "fine" begins
    assert csd.read(edge, "mosi", FOLDS).train.text == ["a fine", "fine"]


def test_clips_without_words_are_left_out_and_counted(tmp_path: Path) -> None:
    sources = [labels(tmp_path, [[0.5, 0.9], [7, 8], [0, 2]]), words(tmp_path, TIMING, TOKENS)]
    dataset = csd.read(sources, "mosi", FOLDS)
    # In the first one there is a pause, in the second nothing.
    assert dataset.train.ids == ["one$_$3"]
    assert "6 clips without words are left out" in dataset.about["caveats"]


def test_without_words_the_clips_have_labels_alone(tmp_path: Path) -> None:
    dataset = csd.read([labels(tmp_path)], "mosi", FOLDS)
    assert dataset.train.text == ["", ""]
    assert (dataset.modalities, dataset.about["caption"]) == ((), "MOSI (labels only)")


def test_of_seven_labels_the_first_is_sentiment(tmp_path: Path) -> None:
    values = np.arange(14, dtype=np.float32).reshape(2, 7) / 7
    path = write(tmp_path / "CMU_MOSEI_Labels.csd", "All Labels", everywhere([[0, 2], [2, 4]], values))
    assert csd.read([path], "mosei", FOLDS).test.labels.tolist() == [0, 1]


# --- frames -----------------------------------------------------------------------------------------

STEPS = [[t, t + 0.5] for t in np.arange(0, 5, 0.5)]  # two frames a second


def frames(folder: Path, name: str = "COVAREP", dim: int = 74, values: np.ndarray | None = None) -> Path:
    values = np.repeat(np.arange(10.0)[:, None], dim, axis=1) if values is None else values
    return write(folder / f"{name}.csd", name, everywhere(STEPS, values))


def test_frames_are_cut_to_the_clips(sources: list[Path], tmp_path: Path) -> None:
    facet = frames(tmp_path, "FACET_4.1", 47)
    dataset = csd.read([*sources, frames(tmp_path), facet], "mosi", FOLDS)
    assert dataset.dims == {"a": 74, "v": 47}
    for m in "av":
        sequences = dataset.test.sequences[m]
        assert sequences.frames.dtype == np.float32
        assert [sequences[clip][:, 3].tolist() for clip in range(2)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert dataset.about["caption"] == "MOSI (74/47, unaligned)"
    assert dataset.about["caveats"] == []


def test_frames_are_averaged_over_words_on_demand(sources: list[Path], tmp_path: Path) -> None:
    dataset = csd.read([*sources, frames(tmp_path), frames(tmp_path, "FACET_4.1", 47)], "mosi", FOLDS, align=True)
    # "a" 0–0.5: frame 0. "fine" 0.9–1.8: middles 1.25 and 1.75, frames 2 and 3. "film" 1.8–2.4: middle 2.25, frame 4.
    first, second = (dataset.train.sequences["a"][clip][:, 0].tolist() for clip in range(2))
    assert (first, second) == ([0, 2.5], [4, 5])
    assert dataset.about["variant"] == "74/47, aligned"


def test_a_word_without_frames_gets_zeros(sources: list[Path], tmp_path: Path) -> None:
    late = write(tmp_path / "covarep.csd", "COVAREP", everywhere([[2.4, 2.9]], np.full((1, 74), 7.0)))
    dataset = csd.read([*sources, late], "mosi", FOLDS, align=True)
    assert [dataset.train.sequences["a"][clip][:, 0].tolist() for clip in range(2)] == [[0, 0], [0, 7]]
    assert "3 clips without acoustic frames get frames of zeros" in dataset.about["caveats"]


def test_a_video_that_a_file_lacks_gets_a_frame_of_zeros(sources: list[Path], tmp_path: Path) -> None:
    path = write(tmp_path / "covarep.csd", "COVAREP", {"one": (STEPS, np.ones((10, 74)))})
    dataset = csd.read([*sources, path], "mosi", FOLDS)
    assert dataset.train.sequences["a"].lengths.tolist() == [4, 4]
    assert dataset.test.sequences["a"].lengths.tolist() == [1, 1]
    assert not dataset.test.sequences["a"].frames.any()
    assert "4 clips without acoustic frames get frames of zeros" in dataset.about["caveats"]


def test_values_that_are_not_finite_become_zero(sources: list[Path], tmp_path: Path) -> None:
    values = np.ones((10, 74))
    values[0, 0], values[1, 1], values[2, 2] = -np.inf, np.nan, np.inf
    dataset = csd.read([*sources, frames(tmp_path, values=values)], "mosi", FOLDS)
    first = dataset.train.sequences["a"][0]
    assert (first[0, 0], first[1, 1], first[2, 2], first.sum()) == (0, 0, 0, 4 * 74 - 3)
    # −∞ is silence; the other two are faults: in each of three videos.
    assert "6 acoustic frames with NaN or infinite values; these are set to 0" in dataset.about["caveats"]


def test_videos_are_read_one_at_a_time(tmp_path: Path, mugkit_home: Path) -> None:
    videos = [f"v{k}" for k in range(30)]
    entries = {
        video: (np.stack([np.arange(2000), np.arange(2000) + 1], 1) / 500, np.ones((2000, 74))) for video in videos
    }
    path = write(tmp_path / "covarep.csd", "COVAREP", entries)
    clips = write(tmp_path / "labels.csd", "labels", {video: ([[0, 4]], [[1.0]]) for video in videos})
    folds = {video: ("train", "valid", "test")[k % 3] for k, video in enumerate(videos)}
    csd.read([clips], "mosi", folds)  # imports
    tracemalloc.start()
    dataset = csd.read([clips, path], "mosi", folds)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert dataset.train.sequences["a"].lengths.tolist() == [2000] * 10
    assert peak < path.stat().st_size / 5  # 35 MB
    assert [p.name for p in mugkit_home.iterdir()] == []  # the scratch file has no name


# --- words off their intervals ----------------------------------------------------------------------


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


# --- recognition ------------------------------------------------------------------------------------


def test_kinds_are_told_from_names_dims_and_descriptions(sources: list[Path], tmp_path: Path) -> None:
    acoustic = write(tmp_path / "x.csd", "sequence", everywhere(STEPS, np.zeros((10, 74))))
    visual = write(tmp_path / "y.csd", "other", everywhere(STEPS, np.zeros((10, 12))), "OpenFace by somebody")
    dataset = csd.read([*sources, acoustic, visual], "mosi", FOLDS)
    assert dataset.dims == {"a": 74, "v": 12}


def test_sequences_of_no_use_are_named(sources: list[Path], tmp_path: Path) -> None:
    phones = write(tmp_path / "p.csd", "phonemes", everywhere([[0, 1]], [[b"AH"]]))
    vectors = write(tmp_path / "g.csd", "glove_vectors", everywhere([[0, 1]], np.zeros((1, 300))))
    dataset = csd.read([*sources, phones, vectors], "mosi", FOLDS)
    assert dataset.train.text == ["a fine", "film indeed"]
    assert "sequences that are not used: phonemes, glove_vectors" in dataset.about["caveats"]


def test_two_sequences_of_one_kind_are_refused(sources: list[Path], tmp_path: Path) -> None:
    two = [frames(tmp_path, "FACET_4.1", 47), frames(tmp_path, "FACET_4.2", 35)]
    with pytest.raises(UserError, match="two files of visual frames") as caught:
        csd.read([*sources, *two], "mosi", FOLDS)
    assert "FACET_4.1.csd" in str(caught.value.fix)
    assert "FACET_4.2.csd" in str(caught.value.fix)


def test_without_labels_there_are_no_clips(sources: list[Path]) -> None:
    with pytest.raises(UserError, match="no file of labels"):
        csd.read(sources[1:], "mosi", FOLDS)


def test_alignment_needs_words(sources: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no file of words to align to"):
        csd.read([sources[0], frames(tmp_path)], "mosi", FOLDS, align=True)


# --- splits -----------------------------------------------------------------------------------------


def test_the_standard_folds_of_mosi_are_known() -> None:
    folds = csd._standard_folds("mosi")
    assert [list(folds.values()).count(name) for name in ("train", "valid", "test")] == [52, 10, 31]
    # The first video in each of the official lists.
    assert [folds[video] for video in ("03bSnISJMiM", "WKA5OygbEKI", "c7UH_rxdZv4")] == ["train", "valid", "test"]


def test_mosei_needs_folds(sources: list[Path]) -> None:
    with pytest.raises(UserError, match="split of each video of mosei is not known") as caught:
        csd.read(sources, "mosei")
    assert "--source" in str(caught.value.fix)


def test_videos_in_no_split_are_left_out_and_counted(sources: list[Path], tmp_path: Path) -> None:
    more = labels(tmp_path, four=([[0, 1], [1, 2], [2, 3]], [[0.0]] * 3))
    dataset = csd.read([more], "mosi", FOLDS)
    assert sum(len(split) for split in dataset.splits.values()) == 6
    assert "3 clips are in no split and left out" in dataset.about["caveats"]


def test_folds_may_name_clips(tmp_path: Path) -> None:
    folds = {"one$_$1": "train", "one$_$2": "valid", "two": "test"}
    dataset = csd.read([labels(tmp_path)], "mosi", folds)
    assert [split.ids for split in dataset.splits.values()] == [["one$_$1"], ["one$_$2"], ["two$_$1", "two$_$2"]]


def test_a_split_without_clips_is_refused(sources: list[Path]) -> None:
    with pytest.raises(UserError, match="no clip belongs to the split valid"):
        csd.read(sources, "mosi", {"one": "train", "three": "test"})


# --- damage -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"<html>moved</html>", b"\x89HDF\r\n\x1a\n" + b"\0" * 40])
def test_what_is_no_hdf5_is_refused(content: bytes, sources: list[Path], tmp_path: Path) -> None:
    (bad := tmp_path / "covarep.csd").write_bytes(content)
    assert csd.recognises(bad)
    with pytest.raises(UserError, match="not a computational sequence") as caught:
        csd.read([*sources, bad], "mosi", FOLDS)
    assert caught.value.file == bad


def test_a_file_that_is_cut_off_is_refused(sources: list[Path], tmp_path: Path) -> None:
    path = frames(tmp_path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match="not a computational sequence") as caught:
        csd.read([*sources, path], "mosi", FOLDS)
    assert caught.value.file == path


def test_hdf5_of_another_form_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.csd", "w") as file:
        file["numbers"] = [1, 2, 3]
    with pytest.raises(UserError, match="not a computational sequence"):
        csd.read([tmp_path / "other.csd"], "mosi", FOLDS)


@pytest.mark.parametrize(
    "entry",
    [([[0, 1]], np.zeros((2, 74))), ([[0, 1], [1, 2]], np.zeros((2, 70)))],
    ids=["fewer intervals", "other dims"],
)
def test_a_damaged_video_is_named(entry: tuple, sources: list[Path], tmp_path: Path) -> None:
    entries = {"one": (STEPS, np.zeros((10, 74))), "two": entry, "three": (STEPS, np.zeros((10, 74)))}
    path = write(tmp_path / "covarep.csd", "COVAREP", entries)
    with pytest.raises(UserError, match="is damaged") as caught:
        csd.read([*sources, path], "mosi", FOLDS)
    assert (caught.value.file, caught.value.field) == (path, "COVAREP/data/two")


def test_no_room_on_the_disk_is_said_before_reading(
    sources: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mugkit.data.disk.shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    with pytest.raises(UserError, match="disk is too full"):
        csd.read([*sources, frames(tmp_path)], "mosi", FOLDS)


# --- the real files ---------------------------------------------------------------------------------


@pytest.mark.shared_data
def test_the_real_files_agree_with_the_official_tables(shared_data: Path) -> None:
    folder = shared_data / "mosi"
    ours = csd.read(sorted(folder.glob("*.csd")), "mosi")
    theirs = csv_files.read(sorted(folder.glob("*.tsv")), "mosi")
    assert [len(split) for split in ours.splits.values()] == [1284, 229, 686]
    for name, split in theirs.splits.items():
        expected = dict(zip(split.ids, zip(split.text, split.labels, strict=True), strict=True))
        found = ours.splits[name]
        assert set(found.ids) == set(expected)
        assert np.abs(found.labels - np.array([expected[clip][1] for clip in found.ids])).max() < 1e-6
        same = [_plain(text) == _plain(expected[clip][0]) for clip, text in zip(found.ids, found.text, strict=True)]
        assert np.mean(same) > 0.85  # the rest differs in spelling and in words that are transcribed twice
    assert any("interval before theirs" in caveat for caveat in ours.about["caveats"])
    assert files.read_json(csd.FOLDS)["mosi"]["about"]


def _plain(text: str) -> str:
    return text.lower().replace("'", "")
