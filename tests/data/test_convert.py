"""Conversion to the 5 and 20 columns of MMSA's MOSI."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from features import covarep
from made_up import changed, make_dataset

from mugkit import files
from mugkit.data import store
from mugkit.data.convert import COVAREP_5, FACET_20, convert
from mugkit.data.schema import Dataset, RaggedFrames
from mugkit.errors import UserError


@pytest.fixture
def prepared() -> Dataset:
    """A stored data set whose column k has the value k, plus the frame's number in thousands."""
    dataset = make_dataset((300, 3, 4), dims=(74, 47))
    for name, split in dataset.splits.items():
        numbered = {}
        for m, sequences in split.sequences.items():
            rows, columns = (np.arange(count, dtype=np.float32) for count in sequences.frames.shape)
            numbered[m] = RaggedFrames(columns + 1000 * rows[:, None], sequences.offsets)
        dataset = changed(dataset, name, sequences=numbered)
    caption, caveats = "MOSI (74/47, aligned), made-up split", ["the split is made up"]
    about = {"variant": "74/47, aligned", "caption": caption, "caveats": caveats}
    store.save(dataclasses.replace(dataset, name="mosi", about=about), files.data_home() / "mosi")
    return store.load("mosi")


def test_columns_are_picked_and_everything_else_stays(prepared: Dataset) -> None:
    convert("mosi", "5/20", "mosi-5-20")
    converted = store.load("mosi-5-20", verify=True)
    assert converted.dims == {"a": 5, "v": 20}
    for name, split in prepared.splits.items():
        other = converted.splits[name]
        pd.testing.assert_frame_equal(other.frame(), split.frame())
        for m, columns in (("a", COVAREP_5), ("v", FACET_20)):
            before, after = split.sequences[m], other.sequences[m]
            assert np.array_equal(before.offsets, after.offsets)
            assert np.array_equal(after.frames, before.frames[:, list(columns)])


def test_caption_and_caveats_say_what_it_is(prepared: Dataset) -> None:
    convert("mosi", "5/20", "mosi-5-20")
    about = store.load("mosi-5-20").about
    assert about["caption"] == "MOSI (5/20, aligned), made-up split"
    assert "the split is made up" in about["caveats"]
    for said in ("not the paper's features: acoustic/visual dims 5/20 instead of 74/47", "not known for certain"):
        assert any(said in caveat for caveat in about["caveats"])
    convert("mosi", "5/20", "mine", visual_columns=[46, 0])
    mine = store.load("mine")
    assert mine.valid.sequences["v"].frames[0].tolist() == [46, 0]
    assert mine.about["variant"] == "other 5/2, aligned"
    assert not any("not known for certain" in caveat for caveat in mine.about["caveats"])


def test_the_lists_are_as_published() -> None:
    # The names that the SDK's author gives for Facet 4.1, without the frame's time.
    said = "anger contempt disgust joy fear negative neutral positive sadness surprise confusion frustration"
    emotions = said.split()
    shown = [f"{emotion} {what}" for what in ("evidence", "intensity") for emotion in emotions]
    units = [f"AU{unit}" for unit in (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 18, 20, 23, 24, 25, 26, 28)]
    names = ["x", "y", "width", "height", *shown, *units]
    assert (len(covarep.COLUMNS), len(names)) == (74, 47)
    assert [covarep.COLUMNS[k] for k in COVAREP_5] == ["VUV", "QOQ", "MDQ", "MCEP_14", "HMPDM_24"]
    evidence = [f"{emotion} evidence" for emotion in ("contempt", "neutral", "positive", "sadness", "confusion")]
    strong = ("contempt", "fear", "negative", "neutral", "sadness", "surprise")
    picked = ["x", "width", *evidence, *(f"{emotion} intensity" for emotion in strong)]
    assert [names[k] for k in FACET_20] == picked + [f"AU{unit}" for unit in (2, 4, 5, 6, 12, 14, 18)]


def test_converting_again_does_nothing_and_other_data_is_kept(prepared: Dataset) -> None:
    folder = convert("mosi", "5/20", "mosi-5-20")
    before = (folder / store.MANIFEST).stat().st_mtime_ns
    assert convert("mosi", "5/20", "mosi-5-20") == folder
    assert (folder / store.MANIFEST).stat().st_mtime_ns == before
    with pytest.raises(UserError, match="another source"):
        convert("mosi", "5/20", "mosi-5-20", visual_columns=[1])
    with pytest.raises(UserError, match="another source"):
        convert("mosi", "5/20", "mosi")
    convert("mosi", "5/20", "mosi-5-20", visual_columns=[1], force=True)
    assert store.load("mosi-5-20").dims == {"a": 5, "v": 1}
    assert store.load("mosi").dims == {"a": 74, "v": 47}


@pytest.mark.parametrize(
    ("name", "to", "store_as", "columns", "field"),
    [
        ("mosi", "5/21", "x", None, None),
        ("mosi", "5/20", "x", [0, 47], "visual_columns"),
        ("mosi", "5/20", "x", [-1], "visual_columns"),
        ("mosi", "5/20", "X Y", None, "store_as"),
        ("mosei", "5/20", "x", None, None),  # which is not prepared
        ("facet-35", "5/20", "x", None, "dims"),
        ("films", "5/20", "x", None, "family"),
    ],
)
def test_what_cannot_be_converted_is_refused(
    name: str, to: str, store_as: str, columns: list[int] | None, field: str | None, prepared: Dataset
) -> None:
    for other, family, dims in (("facet-35", "mosi", (74, 35)), ("films", "reviews", (74, 47))):
        store.save(make_dataset((4, 2, 2), dims=dims, family=family, name=other), files.data_home() / other)
    with pytest.raises(UserError) as caught:
        convert(name, to, store_as, visual_columns=columns)
    assert caught.value.field == field
    assert store.available() == ["facet-35", "films", "mosi"]
