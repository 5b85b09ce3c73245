"""Pictures of the data: the numbers they show, counted by hand, and that the picture shows them."""

import numpy as np
import pandas as pd
import pytest
from made_up import make_dataset

from mugkit.data.schema import Dataset, RaggedFrames, Split
from mugkit.errors import UserError
from mugkit.plots.data_figures import contradictions, label_gaps, label_gaps_figure, streams, streams_figure

# Five clips on ±3. Language: one opposite (3, −3), one neutral, one equal; acoustic equals y; visual is −y.
LABELS = pd.DataFrame(
    {
        "id": ["c", "a", "b", "d", "e"],
        "text": ["short and sour", "short and sweet", "a b c d", "two words", "nothing said"],
        "y": [3.0, -3.0, 1.2, 0.6, 0.0],
        "y_l": [-3.0, 3.0, 1.2, 0.0, 0.6],
        "y_a": [3.0, -3.0, 1.2, 0.6, 0.0],
        "y_v": [-3.0, 3.0, -1.2, -0.6, 0.0],
    }
)


def test_label_gaps_count_every_clip_in_the_cell_of_its_two_labels_and_shares_by_hand() -> None:
    numbers = label_gaps(LABELS, 3.0)
    assert numbers["centres"] == pytest.approx([-3, -2.4, -1.8, -1.2, -0.6, 0, 0.6, 1.2, 1.8, 2.4, 3])
    joint = np.array(numbers["l"]["joint"])
    expected = np.zeros((11, 11), dtype=int)
    expected[[0, 10, 7, 5, 6], [10, 0, 7, 6, 5]] = 1  # row y_l, column y
    np.testing.assert_array_equal(joint, expected)
    language = {name: numbers["l"][name] for name in ("opposite", "equal", "neutral", "gap")}
    assert language == pytest.approx({"opposite": 2 / 5, "equal": 1 / 5, "neutral": 1 / 5, "gap": (6 + 6 + 1.2) / 5})
    assert (numbers["a"]["equal"], numbers["v"]["opposite"]) == (1, 4 / 5)


def test_label_gaps_figure_has_a_dot_for_every_occupied_cell_and_names_the_share() -> None:
    figure = label_gaps_figure(label_gaps(LABELS, 3.0))
    offsets = {tuple(np.round(point, 3)) for point in figure.axes[2].collections[0].get_offsets()}
    assert offsets == {(3, -3), (-3, 3), (1.2, -1.2), (0.6, -0.6), (0, 0)}
    assert "40 % opposite" in figure.axes[0].get_title()


def test_contradictions_are_short_sorted_by_gap_then_id() -> None:
    assert contradictions(LABELS, count=5).index.tolist() == ["a", "c"]
    assert contradictions(LABELS, count=1).index.tolist() == ["a"]
    wordy = LABELS.assign(text="word " * 12 + LABELS["text"])
    assert contradictions(wordy, count=5).empty


def _two_clips() -> Dataset:
    """Two clips; dim 0 is constant, dim 1 rises with y_a = −y_v, dim 2 falls with it."""
    frames = np.array([[5, 1, 0], [5, 3, 0], [5, -2, 0.5]], dtype=np.float32)
    frames[:, 2] += [0.1, -0.1, 0]
    sequences = RaggedFrames(frames, np.array([0, 2, 3]))
    labels = np.array([1.8, -1.8], dtype=np.float32)
    true = {"l": labels, "a": labels, "v": -labels}
    split = Split("train", ["one", "two"], ["good", "bad"], labels, {"a": sequences, "v": sequences}, true)
    return Dataset("two", "mosi", {"train": split, "valid": split, "test": split})


def test_streams_show_standardised_frames_as_dims_by_time() -> None:
    numbers = streams(_two_clips(), [1, 0])
    first, second = numbers["clips"]
    assert (first["id"], first["y"], first["v"]["label"]) == ("two", -1.8, 1.8)
    assert np.shape(second["a"]["frames"]) == (3, 2)
    column = np.array([1, 3, -2]) - 2 / 3
    standardised = column / np.sqrt((column**2).mean())
    row = numbers["dims"]["a"].index(1)
    assert second["a"]["frames"][row] == pytest.approx(standardised[:2], abs=0.006)
    assert numbers["dims"] == {"a": [1, 0, 2], "v": [2, 0, 1]}  # y_v has the other sign; constant dims lie between
    assert second["v"]["frames"][1] == [0, 0]
    panels = streams_figure(numbers).axes[:4]
    wanted = [clip[m]["frames"] for m in ("a", "v") for clip in numbers["clips"]]
    for panel, frames in zip(panels, wanted, strict=True):
        np.testing.assert_allclose(panel.images[0].get_array(), frames)
    assert panels[2].get_title() == "visual: y = -1.8, $y_v$ = +1.8"


def test_streams_are_of_the_test_split_and_without_true_labels_leave_them_out() -> None:
    numbers = streams(make_dataset(true_labels=False), [3])
    assert (numbers["clips"][0]["id"], numbers["clips"][0]["a"]["label"]) == ("test_3", None)
    assert all("y_" not in axes.get_title() for axes in streams_figure(numbers).axes[:2])
    with pytest.raises(UserError, match="no clip 16"):
        streams(make_dataset(), [0, 16])
