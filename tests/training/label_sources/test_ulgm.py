"""ULGM worked out clip by clip in Python's own numbers, and where its rule has no answer."""

import math

import pytest
import torch
from label_cases import Given, batch_of, labelled, reps_of

from mugkit.config import hyperparameters
from mugkit.data.schema import MODALITIES
from mugkit.training.label_sources.ulgm import ULGM

Y = [0.5, 1.0, -1.0, -2.0]
HP = hyperparameters("mosi", "smoke")
# In every modality C⁺ = (3, 0), the mean of the first two, and C⁻ = (−3, 0).
FIRST = [[4.0, 0.0], [2.0, 0.0], [-2.0, 0.0], [-4.0, 0.0]]
EVERYBODY = dict.fromkeys("lavm", FIRST)


def after_first_epoch(y: list[float] = Y) -> ULGM:
    source = ULGM(labelled(y), HP)
    source.after_step(Given(), reps_of(EVERYBODY), batch_of([0, 1, 2, 3], source.y), 0)
    return source


@pytest.fixture
def source() -> ULGM:
    return after_first_epoch()


def show(source: ULGM, clip: int, features: dict[str, list[float]], epoch: int = 1) -> None:
    source.after_step(Given(), reps_of({m: [f] for m, f in features.items()}), batch_of([clip], source.y), epoch)


def test_zero_counts_as_positive() -> None:
    source = after_first_epoch([0.0, 1.0, -1.0, -2.0])
    assert source.centres_of("m")[0].tolist() == [3, 0]


@pytest.mark.parametrize("y", [[1.0, 2.0, 0.0, 3.0], [-1.0, -2.0, -0.5, -3.0]])
def test_one_class_alone_moves_nothing(y: list[float]) -> None:
    source = after_first_epoch(y)
    show(source, 1, {"m": [3.0, 8.0], "l": [3.0, 2.5], "a": [-3.0, 2.5], "v": [3.0, 0.1]})
    assert all(source.values[m].tolist() == y for m in MODALITIES)


def test_dead_features_give_no_nan() -> None:
    source = ULGM(labelled(Y), HP)
    dead = dict.fromkeys("lavm", [[0.0, 0.0]] * 4)
    for epoch in (0, 1, 2):
        source.after_step(Given(), reps_of(dead), batch_of([0, 1, 2, 3], source.y), epoch)
    assert all(torch.isfinite(source.values[m]).all() for m in MODALITIES)


class ByDefinition:
    """ULGM clip by clip, in Python's own numbers."""

    def __init__(self, y: list[float]) -> None:
        self.labels: dict[str, list[float]] = {m: list(y) for m in "lavm"}
        self.stored: dict[str, list[list[float]]] = {m: [[]] * len(y) for m in "lavm"}

    def delta(self, m: str, features: list[float]) -> float:
        distances = []
        for positive in (True, False):
            members = [f for f, label in zip(self.stored[m], self.labels[m], strict=True) if (label >= 0) is positive]
            distances.append(math.dist(features, [sum(column) / len(members) for column in zip(*members, strict=True)]))
        return (distances[1] - distances[0]) / (distances[0] + 1e-8)

    def step(self, index: list[int], features: dict[str, list[list[float]]], n: int) -> None:
        deltas = [{m: self.delta(m, features[m][row]) for m in "lavm"} if n > 1 else {} for row in range(len(index))]
        for clip, delta in zip(index, deltas, strict=True):
            for m in "lav" if delta else "":
                y = self.labels["m"][clip]
                made = 0.5 * y * delta[m] / (delta["m"] + 1e-8) + 0.5 * (y + delta[m] - delta["m"])
                self.labels[m][clip] *= (n - 1) / (n + 1)
                self.labels[m][clip] += 2 / (n + 1) * min(max(made, -3.0), 3.0)
        for row, clip in enumerate(index):
            for m in "lavm":
                self.stored[m][clip] = features[m][row]


def test_three_epochs_equal_the_definition_clip_by_clip() -> None:
    draw = torch.Generator().manual_seed(3)
    source = ULGM(labelled(torch.randn(6, generator=draw).tolist()), HP)
    reference = ByDefinition(source.y.tolist())
    for n in (1, 2, 3):
        for index in ([4, 0, 2], [1, 5, 3]):
            features = {m: torch.randn(3, 2, generator=draw).tolist() for m in "lavm"}
            source.after_step(Given(), reps_of(features), batch_of(index, source.y), n - 1)
            reference.step(index, features, n)
    for m in MODALITIES:
        assert source.values[m].tolist() == pytest.approx(reference.labels[m], rel=1e-3, abs=1e-4)
        assert source.values[m].tolist() != source.y.tolist()
