"""What a data set has, and refuses to be used for."""

import pytest
from made_up import changed, make_dataset, only

from mugkit.data.schema import MODALITIES
from mugkit.errors import UserError

DATA = make_dataset((4, 2, 2))


def test_modalities_are_those_that_all_splits_have_and_one_transcript_is_language() -> None:
    for modalities in ("lav", "l", "a", "av", "lv", ""):
        dataset = only(modalities, DATA)
        assert dataset.modalities == tuple(modalities)
        assert dataset.dims == {m: {"a": 5, "v": 4}[m] for m in modalities if m != "l"}
    dataset = only("a", DATA, ("test",))
    assert (dataset.train.modalities, dataset.test.modalities, dataset.modalities) == (MODALITIES, ("a",), ("a",))
    assert changed(only("", DATA), text=["", " ", "hello", ""]).train.modalities == ("l",)


def test_require_names_what_is_missing_and_what_runs() -> None:
    only("l", DATA).require({"l"}, "system 'text-only'")
    with pytest.raises(UserError) as caught:
        only("l", DATA).require(MODALITIES, "system 'mug'")
    expected = "system 'mug' needs acoustic frames and visual frames, which 'made-up' does not have"
    assert caught.value.problem == expected
    assert "--system text-only" in str(caught.value.fix)
    with pytest.raises(UserError, match="needs transcripts, which") as caught:
        only("", DATA).require("l", "notebook 03")
    assert "mugkit data describe" in str(caught.value.fix)
