"""What the case study and the explorer know of a clip, against values worked out by hand."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
import torch
from made_up import changed, make_dataset

from mugkit.data.schema import MODALITIES, RaggedFrames
from mugkit.errors import UserError
from mugkit.evaluation.utterances import Utterances, direction
from mugkit.training.label_sources.source import LearnedLabels


def learned(language: Sequence[float], *others: Sequence[float]) -> LearnedLabels:
    """Labels of each modality, by default those of language; after epoch e of three they are e/3 of the way."""
    values = (language, *(others or (language, language)))
    labels = {m: torch.tensor(of_modality) for m, of_modality in zip(MODALITIES, values, strict=True)}
    paths = {m: torch.stack([last * e / 3 for e in (1, 2, 3)]) for m, last in labels.items()}
    return LearnedLabels(labels, paths, pd.DataFrame())


@pytest.fixture
def three() -> Utterances:
    """Three clips; two seeds that disagree by 0.4 about the second."""
    true = {"l": [1, -2, 3], "a": [1.5, 2, 0], "v": [1, -1, -0.5]}
    known = {m: np.array(values, np.float32) for m, values in true.items()}
    dataset = changed(make_dataset((3, 2, 2)), labels=np.array([1, -2, 0], np.float32), true_labels=known)
    return Utterances(dataset, [learned([1.0, -1.0, 0.0]), learned([1.0, -1.4, 0.0])])


def test_table_without_truth_takes_the_range_of_learned_labels() -> None:
    seed = learned([1.0, -1.0, 0.0], [1.5, -0.5, 0.5], [1.0, 1.0, 0.25])
    utterances = Utterances(make_dataset((3, 2, 2), true_labels=False), [seed])
    assert utterances.table["disagreement"].tolist() == [0.5, 2.0, 0.5]
    assert "true_l" not in utterances.table
    assert utterances.entry(0)["true"] == {}


def test_table_learned_labels_are_mean_and_range_over_seeds(three: Utterances) -> None:
    assert three.table["disagreement"].tolist() == [0.5, 4.0, 3.5]  # of the true labels
    row = three.table.iloc[1]
    assert (row["learned_a"], row["low_a"], row["high_a"]) == pytest.approx((-1.2, -1.4, -1.0))
    assert row["moved"] == pytest.approx(0.8)  # each label is −1.2 on average where y is −2


def test_entry_has_the_path_of_every_epoch(three: Utterances) -> None:
    entry = three.entry(1)
    assert entry["trajectory"]["v"]["mean"] == pytest.approx([-0.4, -0.8, -1.2], abs=1e-4)
    assert entry["trajectory"]["v"]["low"][-1] == pytest.approx(entry["learned"]["v"]["low"])
    assert entry["true"] == {"l": -2, "a": 2, "v": -1}
    assert [len(entry["frames"][m]) for m in "av"] == [three.dataset.train.sequences[m].lengths[1] for m in "av"]
    for absent in (-1, 3, three.table["id"][0]):
        with pytest.raises(UserError, match="0 to 2"):
            three.entry(absent)


def test_direction_reads_the_label_off_the_dim_that_holds_it() -> None:
    """Dim 0 is the label times ten, dim 1 is constant, dim 2 swings within clips and says nothing."""
    y = np.array([-1.0, 0.0, 1.0], np.float32)
    frames = np.array([[10 * label, 7.0, swing] for label in y for swing in (-1.0, 1.0)], np.float32)
    mean, weights = direction(RaggedFrames(frames, np.array([0, 2, 4, 6])), y)
    np.testing.assert_allclose(mean, [0, 7, 0], atol=1e-6)
    assert weights[0] > 0
    np.testing.assert_allclose(weights[1:], 0, atol=1e-12)
    readings = (frames - mean) @ weights
    np.testing.assert_allclose(readings.std(), 1)
    np.testing.assert_allclose(readings[::2] / readings[4], y, atol=1e-6)
    still = RaggedFrames(np.ones((4, 2), np.float32), np.array([0, 2, 4]))
    assert direction(still, y[[0, 2]])[1].tolist() == [0, 0]  # frames that never change
