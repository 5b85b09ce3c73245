"""Validation: sound data passes, and each kind of unsound data is refused with the row to look at."""

import dataclasses
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from made_up import changed, make_dataset, only

from mugkit.data.schema import SPLITS, Dataset, RaggedFrames, Split
from mugkit.data.validate import described, features, validate
from mugkit.errors import UserError


def in_test(**fields: Callable[[Split], Any]) -> Callable[[Dataset], Dataset]:
    """A change of fields of the test split."""
    return lambda d: changed(d, "test", **{name: change(d.test) for name, change in fields.items()})


def replaced(field: str, row: int, value: Any) -> Callable[[Dataset], Dataset]:
    def change(split: Split) -> Any:
        values = getattr(split, field).copy()
        values[row] = value
        return values

    return in_test(**{field: change})


def frames(modality: str, edit: Callable[[np.ndarray, np.ndarray], object]) -> Callable[[Dataset], Dataset]:
    """A change of one modality's frames or offsets in place."""

    def change(split: Split) -> Any:
        sequences = split.sequences[modality]
        values, offsets = sequences.frames.copy(), sequences.offsets.copy()
        edit(values, offsets)
        return {**split.sequences, modality: RaggedFrames(values, offsets)}

    return in_test(sequences=change)


# How to spoil the data set, and the beginning of the field that is named.
UNSOUND: dict[str, tuple[Callable[[Dataset], Dataset], str]] = {
    "an id twice": (replaced("ids", 3, "test_1"), "test.id[3]"),
    "an id in two splits": (replaced("ids", 0, "train_5"), "test.id[0] (clip"),
    "an empty id": (replaced("ids", 2, ""), "test.id[2]"),
    "an empty transcript": (replaced("text", 2, " \n"), "test.text[2] (clip"),
    "no transcripts in a split": (in_test(text=lambda s: [""] * 4), "test.text[0]"),
    "half a letter in an id": (replaced("ids", 1, "x\ud800"), "test.text[1]"),
    "a NaN frame": (frames("a", lambda f, o: f[o[2]].put(-1, np.nan)), "test.acoustic frames[2] (clip 'test_2')"),
    "an infinite frame": (frames("v", lambda f, o: f[o[3]].put(-1, np.inf)), "test.visual frames[3]"),
    "a clip without frames": (frames("v", lambda f, o: o.put(2, o[1])), "test.visual frames[1]"),
    "frames in some splits": (in_test(sequences=lambda s: {}), "test"),
    "frames missing in train": (lambda d: changed(d, "train", sequences={"a": d.train.sequences["a"]}), "valid"),
    "other dims": (in_test(sequences=lambda s: {"a": s.sequences["v"], "v": s.sequences["v"]}), "test.acoustic fram"),
    "a label above the scale": (replaced("labels", 1, 3.2), "test.labels[1]"),
    "a label below the scale": (replaced("labels", 1, -3.2), "test.labels[1]"),
    "labels of another scale": (lambda d: dataclasses.replace(d, family="sims"), "train.labels["),
    "a missing label": (replaced("labels", 0, np.nan), "test.labels[0]"),
    "a true label off the scale": (
        in_test(true_labels=lambda s: {**s.true_labels, "v": np.full(4, 9, np.float32)}), "test.labels of v[0]"),
    "fewer labels": (in_test(labels=lambda s: s.labels[:3]), "test.labels"),
    "fewer true labels": (in_test(true_labels=lambda s: {"v": s.labels[:3]}), "test.labels of visual"),
    "fewer transcripts": (in_test(text=lambda s: s.text[:3]), "test.text"),
    "fewer sequences": (
        in_test(sequences=lambda s: {m: RaggedFrames(x.frames, x.offsets[:-1]) for m, x in s.sequences.items()}),
        "test.acoustic frames"),
    "no clips": (lambda d: changed(d, "valid", ids=[]), "valid"),
}  # fmt: skip


@pytest.mark.parametrize("kind", UNSOUND)
def test_unsound_data_is_refused_by_row(kind: str) -> None:
    spoil, field = UNSOUND[kind]
    with pytest.raises(UserError) as caught:
        validate(spoil(make_dataset((6, 3, 4), seed=2)), "some.pkl")
    assert caught.value.file == "some.pkl"
    assert str(caught.value.field).startswith(field)
    assert caught.value.fix


@pytest.mark.parametrize("modalities", ["lav", "", "l", "a", "lv"])
def test_sound_data_passes_whatever_modalities_it_has(modalities: str) -> None:
    validate(only(modalities, make_dataset((6, 3, 4), family="sims")), "some.pkl")
    ends = np.array([3, -3, 0, 3.00001], np.float32)  # of the scale, and rounded
    validate(changed(only(modalities, make_dataset((6, 3, 4))), "test", labels=ends), "some.pkl")


@pytest.mark.parametrize("frame", [7, 70_000, 199_999])
def test_frames_are_looked_at_in_blocks(frame: int) -> None:
    """Memory for a block, not for all frames; the frame is found whatever block it is in."""
    dataset = only("l", make_dataset((6, 3, 4)))
    values = np.zeros((200_000, 50), np.float32)  # 40 MB
    offsets = np.array([0, 1, 70_000, 150_000, 200_000])
    for name, cuts in (("train", range(7)), ("valid", range(4)), ("test", offsets)):
        cut = np.array(cuts)
        dataset = changed(dataset, name, sequences={"a": RaggedFrames(values[: cut[-1]], cut)})
    tracemalloc.start()
    validate(dataset, "some.pkl")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 2**20
    values[frame, 7] = np.nan
    with pytest.raises(UserError, match="is not finite") as caught:
        validate(dataset, "some.pkl")
    row = int(np.searchsorted(offsets, frame, side="right")) - 1
    assert caught.value.field.startswith(f"test.acoustic frames[{row}]")
    assert f"frame {frame - offsets[row]} is" in caught.value.problem


@pytest.mark.parametrize(("labels", "told"), [([0.0, 0.0], True), ([0.4, -1.0], True), ([0.4, -1.5], False)])
def test_labels_on_less_than_half_of_the_scale_are_a_caveat(labels: list[float], told: bool) -> None:
    splits = {name: Split(name, ["a", "b"], ["", ""], np.array(labels, np.float32), {}) for name in SPLITS}
    caveats = described("some", "mosi", splits, {}).about["caveats"]
    assert any("scale" in caveat for caveat in caveats) == told


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
        ("mosi", (73, 5), False, False, "acoustic 73 + visual 5 only", "not the paper's data: no transcripts"),
    ],
)
def test_variants_are_named_and_what_is_not_the_papers_is_a_caveat(
    family: str, dims: tuple[int | None, int | None], aligned: bool, language: bool, variant: str, caveat: str
) -> None:
    about = features(family, dims, aligned=aligned, language=language)
    assert (about["variant"], about["caption"]) == (variant, f"{family.upper()} ({variant})")
    assert len(about["caveats"]) == bool(caveat)
    assert all(text.startswith(caveat) for text in about["caveats"])
