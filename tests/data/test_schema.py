"""What a data set has, and refuses to be used for."""

from __future__ import annotations

import dataclasses

import pytest
from made_up import make_dataset

from mugkit.data.schema import MODALITIES, SPLITS, Dataset
from mugkit.errors import UserError


def only(modalities: str, dataset: Dataset | None = None, splits: tuple[str, ...] = SPLITS) -> Dataset:
    """A data set with these modalities in these splits."""
    dataset = dataset or make_dataset((4, 2, 2))
    parts = dict(dataset.splits)
    for name in splits:
        split = parts[name]
        text = split.text if "l" in modalities else [""] * len(split)
        sequences = {m: s for m, s in split.sequences.items() if m in modalities}
        parts[name] = dataclasses.replace(split, text=text, sequences=sequences)
    return dataclasses.replace(dataset, splits=parts)


@pytest.mark.parametrize("modalities", ["lav", "l", "a", "av", "lv", ""])
def test_modalities_are_those_present(modalities: str) -> None:
    dataset = only(modalities)
    assert dataset.modalities == tuple(modalities)
    assert dataset.dims == {m: {"a": 5, "v": 4}[m] for m in modalities if m != "l"}


def test_a_modality_that_one_split_lacks_does_not_count() -> None:
    dataset = only("a", splits=("test",))
    assert dataset.train.modalities == MODALITIES
    assert dataset.test.modalities == ("a",)
    assert dataset.modalities == ("a",)


def test_one_transcript_is_language() -> None:
    dataset = only("")
    train = dataclasses.replace(dataset.train, text=["", " ", "hello", ""])
    assert train.modalities == ("l",)


def test_require_names_what_is_missing_and_what_runs() -> None:
    only("l").require({"l"}, "system 'text-only'")
    with pytest.raises(UserError) as caught:
        only("l").require(MODALITIES, "system 'mug'")
    expected = "system 'mug' needs acoustic frames and visual frames, which 'made-up' does not have"
    assert caught.value.problem == expected
    assert "--system text-only" in str(caught.value.fix)
    with pytest.raises(UserError, match="needs transcripts, which") as caught:
        only("").require("l", "notebook 03")
    assert "mugkit data describe" in str(caught.value.fix)
