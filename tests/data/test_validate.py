"""Validation: sound data passes, and each kind of unsound data is refused with the row to look at."""

from __future__ import annotations

import dataclasses
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from made_up import make_dataset

from mugkit.data.schema import Dataset, RaggedFrames
from mugkit.data.validate import features, split_note, validate
from mugkit.errors import UserError


def changed(dataset: Dataset, split: str = "test", **changes: Any) -> Dataset:
    part = dataclasses.replace(dataset.splits[split], **changes)
    return dataclasses.replace(dataset, splits={**dataset.splits, split: part})


def frames(dataset: Dataset, modality: str, edit: Callable[[RaggedFrames], RaggedFrames]) -> Dataset:
    sequences = dataset.test.sequences
    return changed(dataset, sequences={**sequences, modality: edit(sequences[modality])})


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


# Each: how to spoil the data set, the field that is named, and a part of the problem.
UNSOUND: dict[str, tuple[Callable[[Dataset], Dataset], str, str]] = {
    "an id twice": (lambda d: changed(d, ids=replaced(d.test.ids, 3, "test_1")), "test.id[3]", "is also in test"),
    "an id in two splits": (
        lambda d: changed(d, ids=replaced(d.test.ids, 0, "train_5")),
        "test.id[0] (clip 'train_5')",
        "is also in train",
    ),
    "an empty id": (lambda d: changed(d, ids=replaced(d.test.ids, 2, "")), "test.id[2]", "is empty"),
    "an empty transcript": (
        lambda d: changed(d, text=replaced(d.test.text, 2, " \n")),
        "test.text[2] (clip 'test_2')",
        "transcript is empty",
    ),
    "half a letter": (lambda d: changed(d, text=replaced(d.test.text, 1, "x\ud800")), "test.text[1]", "not valid text"),
    "a NaN frame": (
        lambda d: frames(d, "a", with_value(np.nan, clip=2, frame=0)),
        "test.acoustic frames[2] (clip 'test_2')",
        "frame 0 is not finite",
    ),
    "an infinite last frame": (
        lambda d: frames(d, "v", with_value(np.inf, clip=3, frame=-1 + int(d.test.sequences["v"].lengths[3]))),
        "test.visual frames[3] (clip 'test_3')",
        "is not finite",
    ),
    "a clip without frames": (
        lambda d: frames(d, "v", without_frames),
        "test.visual frames[1]",
        "has no frames",
    ),
    "other dims in one split": (
        lambda d: frames(d, "a", lambda s: RaggedFrames(s.frames[:, :3], s.offsets)),
        "test.acoustic frames",
        "3 dims, but 5 in train",
    ),
    "a label above the scale": (
        lambda d: changed(d, labels=replaced(d.test.labels, 1, 3.2)),
        "test.labels[1]",
        "3.2 is off the scale",
    ),
    "a label below the scale": (
        lambda d: changed(d, labels=replaced(d.test.labels, 1, -3.2)),
        "test.labels[1]",
        "-3.2 is off the scale",
    ),
    "a missing label": (
        lambda d: changed(d, labels=replaced(d.test.labels, 0, np.nan)),
        "test.labels[0]",
        "nan is off",
    ),
    "a true label off the scale": (
        lambda d: changed(d, true_labels={**d.test.true_labels, "v": np.full(4, 9, np.float32)}),
        "test.labels of v[0]",
        "9 is off the scale",
    ),
    "fewer labels": (lambda d: changed(d, labels=d.test.labels[:3]), "test.labels", "3 rows, but there are 4 ids"),
    "fewer transcripts": (lambda d: changed(d, text=d.test.text[:3]), "test.text", "3 rows, but there are 4 ids"),
    "fewer sequences": (
        lambda d: frames(d, "a", lambda s: RaggedFrames(s.frames, s.offsets[:-1])),
        "test.acoustic frames",
        "3 rows, but there are 4 ids",
    ),
    "no clips": (lambda d: changed(d, "valid", ids=[]), "valid", "has no clips"),
}


@pytest.mark.parametrize("kind", UNSOUND)
def test_unsound_data_is_refused_by_row(kind: str) -> None:
    spoil, field, problem = UNSOUND[kind]
    with pytest.raises(UserError) as caught:
        validate(spoil(make_dataset((6, 3, 4), seed=2)), "some.pkl")
    assert caught.value.file == "some.pkl"
    assert field in str(caught.value.field)
    assert problem in caught.value.problem
    assert caught.value.fix


@pytest.mark.parametrize("family", ["mosi", "sims"])
def test_sound_data_passes(family: str) -> None:
    validate(make_dataset((6, 3, 4), family=family), "some.pkl")


@pytest.mark.parametrize("modalities", ["", "l", "a", "lv"])
def test_missing_modalities_are_sound(modalities: str) -> None:
    dataset = make_dataset((6, 3, 4))
    for name, split in dataset.splits.items():
        text = split.text if "l" in modalities else [""] * len(split)
        kept = {m: sequences for m, sequences in split.sequences.items() if m in modalities}
        dataset = changed(dataset, name, text=text, sequences=kept)
    validate(dataset, "some.pkl")


def test_frames_in_some_splits_alone_are_refused() -> None:
    dataset = make_dataset((6, 3, 4))
    with pytest.raises(UserError, match="of train and test, only one has acoustic frames and visual frames"):
        validate(changed(dataset, sequences={}), "some.pkl")
    without = changed(dataset, "train", sequences={"a": dataset.train.sequences["a"]})
    with pytest.raises(UserError, match="of train and valid, only one has visual frames"):
        validate(without, "some.pkl")


def test_transcripts_in_some_splits_alone_are_refused() -> None:
    with pytest.raises(UserError, match="the transcript is empty") as caught:
        validate(changed(make_dataset((6, 3, 4)), text=[""] * 4), "some.pkl")
    assert caught.value.field == "test.text[0] (clip 'test_0')"


@pytest.mark.parametrize("frame", [0, 69_999, 70_000, 199_999])
def test_frames_are_looked_at_in_blocks(frame: int) -> None:
    """Memory for a block, not for all frames; the frame is found whatever block it is in."""
    dataset = make_dataset((6, 3, 4))
    values = np.zeros((200_000, 50), np.float32)  # 40 MB
    sequences = RaggedFrames(values, np.array([0, 1, 70_000, 150_000, 200_000]))
    spoilt = changed(dataset, sequences={"a": sequences})
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


def test_the_ends_of_the_scale_are_on_it() -> None:
    dataset = make_dataset((6, 3, 4))
    validate(changed(dataset, labels=np.array([3, -3, 0, 3.00001], np.float32)), "some.pkl")


def test_labels_of_another_data_set_are_noticed() -> None:
    """MOSI's labels under the name of SIMS."""
    with pytest.raises(UserError, match="off the scale"):
        validate(dataclasses.replace(make_dataset((6, 3, 4)), family="sims"), "some.pkl")


def test_split_note_compares_with_the_paper() -> None:
    assert split_note("sims", (1368, 456, 457)) == "1368/456/457 clips, as in the paper"
    assert split_note("mosi", (10, 2, 3)) == "10/2/3 clips; the paper has 1284/229/686"


def test_features_of_the_paper_have_no_caveats() -> None:
    assert features("mosei", (74, 35), aligned=False) == {
        "variant": "74/35, unaligned",
        "caption": "MOSEI (74/35, unaligned)",
        "caveats": [],
    }


def test_other_features_name_both_dims() -> None:
    about = features("mosi", (5, 20), aligned=True)
    assert about["caption"] == "MOSI (5/20, aligned)"
    assert about["caveats"] == ["not the paper's features: acoustic/visual dims 5/20 instead of 74/47"]


@pytest.mark.parametrize(
    ("dims", "language", "variant"),
    [
        ((None, None), True, "text only"),
        ((None, None), False, "labels only"),
        ((74, None), True, "text + acoustic 74 only"),
        ((None, 35), False, "visual 35 only"),
        ((74, 47), False, "acoustic 74 + visual 47 only"),
        ((33, 709), True, "33/709, unaligned"),
        ((74, 713), True, "other 74/713, unaligned"),
    ],
)
def test_variants_are_named(dims: tuple[int | None, int | None], language: bool, variant: str) -> None:
    about = features("mosi", dims, language=language)
    assert (about["variant"], about["caption"]) == (variant, f"MOSI ({variant})")
    assert len(about["caveats"]) == 1


def test_missing_modalities_are_a_caveat() -> None:
    assert features("mosi", (74, None))["caveats"] == ["not the paper's data: no visual frames"]
    everything = "not the paper's data: no transcripts, no acoustic frames, no visual frames"
    assert features("sims", (None, None), language=False)["caveats"] == [everything]
