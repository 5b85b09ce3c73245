"""What a data set has and refuses to be used for; any sound data set survives reading, storing and opening.

Any field of a file may hold anything, and is read or refused.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_up import changed, make_dataset, only

from mugkit.data import mmsa, store
from mugkit.data.schema import MODALITIES, SPLITS, Dataset
from mugkit.data.validate import validate
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


# --- properties ---------------------------------------------------------------------------------------

few = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
letters = st.characters(exclude_categories=("Cs",))
sentences = st.text(letters, min_size=1, max_size=20).filter(lambda text: bool(text.strip()))
sizes = st.integers(1, 4)


@st.composite
def sound(draw: st.DrawFn) -> dict[str, Any]:
    """The content of an MMSA pickle with clips of any length, any text, some modalities labelled by people."""
    dims = {"audio": draw(sizes), "vision": draw(sizes)}
    labelled = draw(st.sets(st.sampled_from("TAV")))
    return {name: draw(one_split(name, dims, labelled)) for name in SPLITS}


@st.composite
def one_split(draw: st.DrawFn, name: str, dims: dict[str, int], labelled: set[str]) -> dict[str, Any]:
    clips = draw(sizes)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    made: dict[str, Any] = {
        "id": [f"{name}{clip}" for clip in range(clips)],
        "raw_text": draw(st.lists(sentences, min_size=clips, max_size=clips)),
        "regression_labels": rng.uniform(-3, 3, clips).astype(draw(st.sampled_from([np.float32, np.float64]))),
    }
    for key, dim in dims.items():
        longest = draw(sizes)
        made[key] = rng.standard_normal((clips, longest, dim)).astype(draw(st.sampled_from([np.float32, np.float64])))
        made[f"{key}_lengths"] = rng.integers(1, longest + 1, clips).tolist()
    return made | {f"regression_labels_{letter}": rng.uniform(-3, 3, clips) for letter in sorted(labelled)}


def read(content: dict[str, Any]) -> Dataset:
    dataset = mmsa.read(content, "mosi", Path("data.pkl"))
    validate(dataset, "data.pkl")
    return dataset


@few
@given(content=sound())
def test_sound_content_is_read_stored_and_opened_as_it_was(content: dict[str, Any]) -> None:
    dataset = read(content)
    with tempfile.TemporaryDirectory() as folder:
        opened = store.load(store.save(dataset, Path(folder) / "set"), verify=True)
        for name in SPLITS:
            given_, found = content[name], opened.splits[name]
            assert (found.ids, found.text) == (given_["id"], given_["raw_text"])
            np.testing.assert_array_equal(found.labels, given_["regression_labels"].astype(np.float32))
            for m, key in (("a", "audio"), ("v", "vision")):
                for clip, length in enumerate(given_[f"{key}_lengths"]):
                    wanted = given_[key][clip, :length].astype(np.float32)
                    np.testing.assert_array_equal(found.sequences[m][clip], wanted)
    assert opened.fingerprint == store.fingerprint(dataset)


anything = st.one_of(
    st.none(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.lists(st.one_of(st.floats(), st.text(max_size=3), st.lists(st.integers(), max_size=3)), max_size=4),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.builds(lambda shape: np.zeros(shape), st.lists(st.integers(0, 3), max_size=4)),
    st.builds(lambda n: np.array(["x"] * n, dtype=object), st.integers(0, 4)),
)
fields = ("id", "raw_text", "regression_labels", "audio", "vision", "audio_lengths", "vision_lengths")


@settings(few, max_examples=200)
@given(content=sound(), split=st.sampled_from(SPLITS), field=st.sampled_from(fields), value=anything)
def test_a_field_of_anything_is_read_soundly_or_refused_by_name(
    content: dict[str, Any], split: str, field: str, value: Any
) -> None:
    content[split][field] = value
    found, refusal = None, None
    try:
        found = read(content)
    except UserError as error:
        refusal = error
    assert refusal is None or (split in str(refusal) and refusal.fix)
    for part in found.splits.values() if found else ():
        assert len(part.ids) == len(part.text) == len(part.labels)
        assert (np.abs(part.labels) <= 3.001).all()
        assert all(np.isfinite(sequences.frames).all() for sequences in part.sequences.values())
