"""What online sources share: labels that start as y, momentum by hand, classes' centres."""

import math

import pytest
import torch
from label_cases import labelled
from made_up import make_dataset
from small import small

from mugkit.data.schema import MODALITIES
from mugkit.training.label_sources.online import MovingLabels, OnlineLabels

Y = [0.0, 1.5, -2.0, 3.0]


@pytest.fixture
def moving() -> MovingLabels:
    return MovingLabels(labelled(Y), small())


def test_labels_start_as_y_each_modality_with_its_own() -> None:
    dataset = labelled(Y)
    source = OnlineLabels(dataset, small())
    source.values["a"][1] = 9
    assert source.values["l"].tolist() == source.values["v"].tolist() == Y
    assert source.targets(torch.tensor([1, 0]))["a"].tolist() == [9, 0]
    assert source.weights(torch.tensor([1])) is None
    assert dataset.train.labels.tolist() == Y
    assert source.y.tolist() == Y


def test_move_has_momentum_over_three_epochs(moving: MovingLabels) -> None:
    # Clip 0 starts at 0 and is drawn to 3: with n = 2 by 2/3, with n = 3 by 2/4, with n = 4 by 2/5.
    values = []
    for epoch in (1, 2, 3):
        moving.move("a", torch.tensor([0]), torch.tensor([3.0]), epoch)
        values.append(moving.values["a"][0].item())
    assert values == pytest.approx([2.0, 2.5, 2.7])
    assert moving.values["a"][1:].tolist() == Y[1:]
    assert moving.values["l"].tolist() == Y


def test_move_clamps_what_is_proposed_and_leaves_labels_without_a_proposal(moving: MovingLabels) -> None:
    moving.move("v", torch.tensor([1, 2]), torch.tensor([50.0, -50.0]), 1)
    assert moving.values["v"].tolist() == pytest.approx([0, 1.5 / 3 + 2, -2 / 3 - 2, 3])
    moving.move("a", torch.tensor([0, 1]), torch.tensor([math.nan, 3.0]), 1)
    assert moving.values["a"].tolist() == pytest.approx([Y[0], Y[1] / 3 + 2, *Y[2:]])
    sims = MovingLabels(make_dataset((4, 2, 2), family="sims"), small())  # whose labels end at ±1
    sims.move("l", torch.tensor([0]), torch.tensor([50.0]), 1)
    assert sims.values["l"][0].item() == pytest.approx(sims.y[0].item() / 3 + 2 / 3)


def test_weights_are_zero_until_labels_move(moving: MovingLabels) -> None:
    index = torch.tensor([3, 0])
    assert all(moving.weights(index)[m].tolist() == [0, 0] for m in MODALITIES)
    moving.values["l"][3] = 2.0
    assert moving.weights(index)["l"].tolist() == pytest.approx([0.7615942, 0])  # tanh 1
    assert moving.weights(index)["a"].tolist() == [0, 0]
