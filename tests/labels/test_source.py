"""Label sources: each clip gets its own labels, and what a data set lacks is said."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch

from mugkit.data.schema import MODALITIES, Dataset
from mugkit.errors import UserError
from mugkit.labels import source
from mugkit.stages.meta import LearnedLabels

INDEX = torch.tensor([5, 0, 5, 2])


def test_fixed_labels_follow_index_by_modality() -> None:
    values = {m: torch.arange(6.0) + 10 * i for i, m in enumerate(MODALITIES)}
    targets = source.FixedLabels(values).targets(INDEX)
    assert {m: t.tolist() for m, t in targets.items()} == {
        "l": [5, 0, 5, 2],
        "a": [15, 10, 15, 12],
        "v": [25, 20, 25, 22],
    }


def test_copied_is_the_clips_label_for_every_modality(made_up: Callable[..., Dataset]) -> None:
    dataset = made_up((8, 4, 4))
    targets = source.copied(dataset).targets(INDEX)
    assert all(targets[m].tolist() == dataset.train.labels[INDEX].tolist() for m in MODALITIES)


def test_true_is_each_modalitys_human_label(made_up: Callable[..., Dataset]) -> None:
    dataset = made_up((8, 4, 4))
    targets = source.true(dataset).targets(INDEX)
    for m in MODALITIES:
        assert targets[m].tolist() == dataset.train.true_labels[m][INDEX].tolist()
        assert targets[m].tolist() != dataset.train.labels[INDEX].tolist()


def test_true_without_labels_is_user_error(made_up: Callable[..., Dataset]) -> None:
    with pytest.raises(UserError, match="made-up") as caught:
        source.true(made_up((8, 4, 4), true_labels=False))
    assert caught.value.field == "system"
    assert "reviews" in str(caught.value)


def test_true_with_labels_of_some_modalities_only_is_user_error(made_up: Callable[..., Dataset]) -> None:
    dataset = made_up((8, 4, 4))
    language = {"l": dataset.train.true_labels["l"]}
    train = dataclasses.replace(dataset.train, true_labels=language)
    partial = dataclasses.replace(dataset, splits={**dataset.splits, "train": train})
    with pytest.raises(UserError):
        source.true(partial)


def test_learned_is_the_last_epochs_label() -> None:
    trajectory = {m: torch.stack([torch.zeros(6), torch.arange(6.0) + i]) for i, m in enumerate(MODALITIES)}
    labels = LearnedLabels({m: t[-1] for m, t in trajectory.items()}, trajectory, pd.DataFrame())
    targets = source.learned(labels).targets(INDEX)
    assert {m: t.tolist() for m, t in targets.items()} == {"l": [5, 0, 5, 2], "a": [6, 1, 6, 3], "v": [7, 2, 7, 4]}


@pytest.mark.parametrize("make", [source.copied, source.true])
def test_source_does_not_share_memory_with_dataset(
    made_up: Callable[..., Dataset], make: Callable[[Dataset], source.FixedLabels]
) -> None:
    dataset = made_up((8, 4, 4))
    before = dataset.train.labels.copy(), dataset.train.true_labels["a"].copy()
    for values in make(dataset).values.values():
        values.zero_()
    np.testing.assert_array_equal(dataset.train.labels, before[0])
    np.testing.assert_array_equal(dataset.train.true_labels["a"], before[1])
