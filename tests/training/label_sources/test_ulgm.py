"""ULGM worked out by hand on four clips with two-dim features."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from label_cases import Given, batch_of, labelled, reps_of

from mugkit.config import hyperparameters
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.training.label_sources.ulgm import ULGM, generated, relative_distance

Y = [0.5, 1.0, -1.0, -2.0]
HP = hyperparameters("mosi", "smoke")
# In every modality C⁺ = (3, 0), the mean of the first two, and C⁻ = (−3, 0).
FIRST = [[4.0, 0.0], [2.0, 0.0], [-2.0, 0.0], [-4.0, 0.0]]
EVERYBODY = dict.fromkeys("lavm", FIRST)


def after_first_epoch(made_up: Callable[..., Dataset], y: list[float] = Y) -> ULGM:
    source = ULGM(labelled(made_up, y), HP)
    source.after_step(Given(), reps_of(EVERYBODY), batch_of([0, 1, 2, 3], source.y), 0)
    return source


@pytest.fixture
def source(made_up: Callable[..., Dataset]) -> ULGM:
    return after_first_epoch(made_up)


def show(source: ULGM, clip: int, features: dict[str, list[float]], epoch: int = 1) -> None:
    source.after_step(Given(), reps_of({m: [f] for m, f in features.items()}), batch_of([clip], source.y), epoch)


def test_relative_distance_by_hand() -> None:
    centre = torch.tensor([3.0, 0.0]), torch.tensor([-3.0, 0.0])
    features = torch.tensor([[3.0, 8.0], [3.0, 2.5], [-3.0, 2.5], [0.0, 7.0]])
    # distances to C⁺ and C⁻: 8, 10; 2.5, 6.5; 6.5, 2.5; equal
    assert relative_distance(features, centre).tolist() == pytest.approx([0.25, 1.6, -8 / 13, 0])


def test_relative_distance_at_the_centre_itself_is_finite() -> None:
    centre = torch.tensor([3.0, 0.0]), torch.tensor([-3.0, 0.0])
    assert torch.isfinite(relative_distance(torch.tensor([[3.0, 0.0]]), centre)).all()


def test_generated_is_mean_of_ratio_and_shift() -> None:
    y, delta_s, delta_m = torch.tensor([0.5, -1.0]), torch.tensor([1.6, 0.5]), torch.tensor([0.25, -0.5])
    # ½·6.4·0.5 + ½·(0.5 + 1.35);  ½·(−1)·(−1) + ½·(−1 + 1)
    assert generated(y, delta_s, delta_m).tolist() == pytest.approx([2.525, 0.5])


def test_first_epoch_leaves_labels_at_y(source: ULGM) -> None:
    assert all(source.values[m].tolist() == Y for m in MODALITIES)
    assert all(source.features[m].tolist() == FIRST for m in "lavm")


def test_second_epoch_by_hand(source: ULGM) -> None:
    show(source, 0, {"m": [3.0, 8.0], "l": [3.0, 2.5], "a": [-3.0, 2.5], "v": [3.0, 0.1]})
    # n = 2: a third of 0.5 and two thirds of ŷ. l: ŷ = 2.525. a: δ = −8/13, ŷ = ½·(−32/13)·0.5 + ½·(0.5 − 8/13 − 0.25).
    a = 0.5 * (-32 / 13) * 0.5 + 0.5 * (0.25 - 8 / 13)
    expected = {"l": 0.5 / 3 + 2 / 3 * 2.525, "a": 0.5 / 3 + 2 / 3 * a, "v": 0.5 / 3 + 2 / 3 * 3.0}  # v: clamped
    for m in MODALITIES:
        assert source.values[m].tolist() == pytest.approx([expected[m], *Y[1:]], rel=1e-5)


def test_labels_come_from_the_centres_before_the_step(source: ULGM) -> None:
    # The clip's new features must not be in the centres that judge them: then C⁺ would not be (3, 0).
    show(source, 0, {"m": [3.0, 8.0], "l": [3.0, 2.5], "a": [3.0, 8.0], "v": [3.0, 8.0]})
    assert source.values["l"][0].item() == pytest.approx(0.5 / 3 + 2 / 3 * 2.525, rel=1e-5)
    assert source.features["l"].tolist() == [[3.0, 2.5], *FIRST[1:]]


def test_modality_like_the_fusion_keeps_y(source: ULGM) -> None:
    show(source, 2, {m: [-3.0, 2.5] for m in "lavm"})
    assert source.values["a"][2].item() == pytest.approx(-1.0)


def test_centres_of_a_modality_follow_its_own_labels(source: ULGM) -> None:
    source.values["a"][1] = -0.5  # clip 1 sounds negative: C⁺ = (4, 0) and C⁻ = (−4/3, 0) for a alone
    positive, negative = source._centres("a")
    assert positive.tolist() == [4, 0]
    assert negative.tolist() == pytest.approx([-4 / 3, 0])
    for m in "lvm":
        assert [c.tolist() for c in source._centres(m)] == [[3, 0], [-3, 0]]


def test_zero_counts_as_positive(made_up: Callable[..., Dataset]) -> None:
    source = after_first_epoch(made_up, [0.0, 1.0, -1.0, -2.0])
    assert source._centres("m")[0].tolist() == [3, 0]


@pytest.mark.parametrize("y", [[1.0, 2.0, 0.0, 3.0], [-1.0, -2.0, -0.5, -3.0]])
def test_one_class_alone_moves_nothing(made_up: Callable[..., Dataset], y: list[float]) -> None:
    source = after_first_epoch(made_up, y)
    show(source, 1, {"m": [3.0, 8.0], "l": [3.0, 2.5], "a": [-3.0, 2.5], "v": [3.0, 0.1]})
    assert all(source.values[m].tolist() == y for m in MODALITIES)


def test_dead_features_give_no_nan(made_up: Callable[..., Dataset]) -> None:
    source = ULGM(labelled(made_up, Y), HP)
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


def test_three_epochs_equal_the_definition_clip_by_clip(made_up: Callable[..., Dataset]) -> None:
    draw = torch.Generator().manual_seed(3)
    source = ULGM(labelled(made_up, torch.randn(6, generator=draw).tolist()), HP)
    reference = ByDefinition(source.y.tolist())
    for n in (1, 2, 3):
        for index in ([4, 0, 2], [1, 5, 3]):
            features = {m: torch.randn(3, 2, generator=draw).tolist() for m in "lavm"}
            source.after_step(Given(), reps_of(features), batch_of(index, source.y), n - 1)
            reference.step(index, features, n)
    for m in MODALITIES:
        assert source.values[m].tolist() == pytest.approx(reference.labels[m], rel=1e-3, abs=1e-4)
        assert source.values[m].tolist() != source.y.tolist()


def test_restored_goes_on_as_before(source: ULGM, made_up: Callable[..., Dataset]) -> None:
    features = {"m": [3.0, 8.0], "l": [3.0, 2.5], "a": [-3.0, 2.5], "v": [3.0, 0.1]}
    show(source, 0, features)
    other = ULGM(labelled(made_up, Y), HP)
    other.restore({name: {k: v.clone() for k, v in part.items()} for name, part in source.state().items()})
    for one in (source, other):
        show(one, 3, features, 2)
    for m in MODALITIES:
        assert torch.equal(source.values[m], other.values[m])
    assert all(torch.equal(source.features[m], other.features[m]) for m in "lavm")
