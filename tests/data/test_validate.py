"""Validation: sound data passes, and each kind of unsound data is refused with the row to look at."""

from __future__ import annotations

import dataclasses
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from made_up import changed, make_dataset, only

from mugkit.data.schema import Dataset, RaggedFrames
from mugkit.data.validate import features, split_note, validate
from mugkit.errors import UserError


def frames(dataset: Dataset, modality: str, edit: Callable[[RaggedFrames], RaggedFrames]) -> Dataset:
    sequences = dataset.test.sequences
    return changed(dataset, "test", sequences={**sequences, modality: edit(sequences[modality])})


def with_value(value: float, clip: int, frame: int) -> Callable[[RaggedFrames], RaggedFrames]:
    def edit(sequences: RaggedFrames) -> RaggedFrames:
        values = sequences.frames.copy()
        values[sequences.offsets[clip] + frame, -1] = value
        return RaggedFrames(values, sequences.offsets)

    return edit


def without_frames(sequences: RaggedFrames) -> RaggedFrames:
    offsets = sequences.offsets.copy()
    offsets[2] = offsets[1]
    return RaggedFrames(sequences.frames, offsets)


def replaced(values: Any, row: int, value: Any) -> Any:
    copy = values.copy()
    copy[row] = value
    return copy


def with_labels(row: int, value: float) -> Callable[[Dataset], Dataset]:
    return lambda d: changed(d, "test", labels=replaced(d.test.labels, row, value))


# How to spoil the data set, and the beginning of the field that is named.
UNSOUND: dict[str, tuple[Callable[[Dataset], Dataset], str]] = {
    "an id twice": (lambda d: changed(d, "test", ids=replaced(d.test.ids, 3, "test_1")), "test.id[3]"),
    "an id in two splits": (lambda d: changed(d, "test", ids=replaced(d.test.ids, 0, "train_5")), "test.id[0] (clip"),
    "an empty id": (lambda d: changed(d, "test", ids=replaced(d.test.ids, 2, "")), "test.id[2]"),
    "an empty transcript": (lambda d: changed(d, "test", text=replaced(d.test.text, 2, " \n")), "test.text[2] (clip"),
    "no transcripts in a split": (lambda d: changed(d, "test", text=[""] * 4), "test.text[0]"),
    "half a letter in an id": (lambda d: changed(d, "test", ids=replaced(d.test.ids, 1, "x\ud800")), "test.text[1]"),
    "a NaN frame": (lambda d: frames(d, "a", with_value(np.nan, 2, 0)), "test.acoustic frames[2] (clip 'test_2')"),
    "an infinite frame": (lambda d: frames(d, "v", with_value(np.inf, 3, 0)), "test.visual frames[3]"),
    "a clip without frames": (lambda d: frames(d, "v", without_frames), "test.visual frames[1]"),
    "frames in some splits": (lambda d: changed(d, "test", sequences={}), "test"),
    "frames missing in train": (lambda d: changed(d, "train", sequences={"a": d.train.sequences["a"]}), "valid"),
    "other dims": (lambda d: frames(d, "a", lambda s: RaggedFrames(s.frames[:, :3], s.offsets)), "test.acoustic fram"),
    "a label above the scale": (with_labels(1, 3.2), "test.labels[1]"),
    "a label below the scale": (with_labels(1, -3.2), "test.labels[1]"),
    "labels of another scale": (lambda d: dataclasses.replace(d, family="sims"), "train.labels["),
    "a missing label": (with_labels(0, np.nan), "test.labels[0]"),
    "a true label off the scale": (
        lambda d: changed(d, "test", true_labels={**d.test.true_labels, "v": np.full(4, 9, np.float32)}),
        "test.labels of v[0]",
    ),
    "fewer labels": (lambda d: changed(d, "test", labels=d.test.labels[:3]), "test.labels"),
    "fewer true labels": (lambda d: changed(d, "test", true_labels={"v": d.test.labels[:3]}), "test.labels of visual"),
    "fewer transcripts": (lambda d: changed(d, "test", text=d.test.text[:3]), "test.text"),
    "fewer sequences": (lambda d: frames(d, "a", lambda s: RaggedFrames(s.frames, s.offsets[:-1])), "test.acoustic fr"),
    "no clips": (lambda d: changed(d, "valid", ids=[]), "valid"),
}


@pytest.mark.parametrize("kind", UNSOUND)
def test_unsound_data_is_refused_by_row(kind: str) -> None:
    spoil, field = UNSOUND[kind]
    with pytest.raises(UserError) as caught:
        validate(spoil(make_dataset((6, 3, 4), seed=2)), "some.pkl")
    assert caught.value.file == "some.pkl"
    assert str(caught.value.field).startswith(field)
    assert caught.value.fix


def test_the_ends_of_the_scale_are_on_it() -> None:
    validate(changed(make_dataset((6, 3, 4)), "test", labels=np.array([3, -3, 0, 3.00001], np.float32)), "some.pkl")


@pytest.mark.parametrize("modalities", ["lav", "", "l", "a", "lv"])
def test_sound_data_passes_whatever_modalities_it_has(modalities: str) -> None:
    for family in ("mosi", "sims"):
        validate(only(modalities, make_dataset((6, 3, 4), family=family)), "some.pkl")


@pytest.mark.parametrize("frame", [0, 70_000, 199_999])
def test_frames_are_looked_at_in_blocks(frame: int) -> None:
    """Memory for a block, not for all frames; the frame is found whatever block it is in."""
    dataset = make_dataset((6, 3, 4))
    values = np.zeros((200_000, 50), np.float32)  # 40 MB
    sequences = RaggedFrames(values, np.array([0, 1, 70_000, 150_000, 200_000]))
    spoilt = changed(dataset, "test", sequences={"a": sequences})
    for name in ("train", "valid"):
        wide = {"a": RaggedFrames(np.zeros((9, 50), np.float32), np.arange(len(dataset.splits[name]) + 1))}
        spoilt = changed(spoilt, name, sequences=wide)
    tracemalloc.start()
    validate(spoilt, "some.pkl")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 2**20
    values[frame, 7] = np.nan
    with pytest.raises(UserError, match="is not finite") as caught:
        validate(spoilt, "some.pkl")
    row = np.searchsorted([1, 70_000, 150_000], frame, side="right")
    assert caught.value.field.startswith(f"test.acoustic frames[{row}]")
    assert f"frame {frame - sequences.offsets[row]} is" in caught.value.problem


def test_split_note_compares_with_the_paper() -> None:
    assert split_note("sims", (1368, 456, 457)) == "1368/456/457 clips, as in the paper"
    assert split_note("mosi", (10, 2, 3)) == "10/2/3 clips; the paper has 1284/229/686"


@pytest.mark.parametrize(
    ("family", "dims", "aligned", "language", "variant", "caveat"),
    [
        ("mosei", (74, 35), False, True, "74/35, unaligned", ""),
        ("mosi", (5, 20), True, True, "5/20, aligned", "not the paper's features: acoustic/visual dims 5/20 instead"),
        ("mosi", (74, 713), False, True, "other 74/713, unaligned", "not the paper's features"),
        ("mosi", (None, None), False, True, "text only", "not the paper's data: no acoustic frames, no visual frames"),
        ("mosi", (None, None), False, False, "labels only", "not the paper's data: no transcripts, no acoustic"),
        ("mosi", (74, None), False, True, "text + acoustic 74 only", "not the paper's data: no visual frames"),
        ("mosi", (None, 35), False, False, "visual 35 only", "not the paper's data"),
    ],
)
def test_variants_are_named_and_what_is_not_the_papers_is_a_caveat(
    family: str, dims: tuple[int | None, int | None], aligned: bool, language: bool, variant: str, caveat: str
) -> None:
    about = features(family, dims, aligned=aligned, language=language)
    assert (about["variant"], about["caption"]) == (variant, f"{family.upper()} ({variant})")
    assert len(about["caveats"]) == bool(caveat)
    assert all(text.startswith(caveat) for text in about["caveats"])
