"""The gap of clouds known by construction; MMD against sums written out, and its test on known distributions."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from mugkit.evaluation.gap import discrepancy, label_probe, measure


def cloud(clips: int, dim: int, seed: int, centre: float = 0.0) -> Tensor:
    """A standard normal cloud shifted along its first axis."""
    x = torch.randn(clips, dim, generator=torch.Generator().manual_seed(seed))
    x[:, 0] += centre
    return x


def test_probe_is_at_chance_for_two_clouds_of_one_distribution() -> None:
    found = measure(cloud(600, 8, 0), cloud(600, 8, 1))
    # 1,200 fair coins: standard deviation 1.4 points.
    assert found.probe == pytest.approx(50, abs=5), "two draws of one distribution cannot be told apart"
    assert found.retrieval == pytest.approx(100 / 32, abs=3), "unrelated vectors find their clip once in 32"
    assert found.distance < 0.1


def test_probe_tells_shifted_clouds_apart_and_its_interval_stays_within_percent() -> None:
    found = measure(cloud(200, 8, 0, centre=-9), cloud(200, 8, 1, centre=9))
    assert (found.probe, found.probe_low, found.probe_high) == (100, 100, 100)
    overlapping = measure(cloud(100, 4, 0, centre=-2.2), cloud(100, 4, 1, centre=2.2))
    assert 90 < overlapping.probe_low < overlapping.probe < overlapping.probe_high <= 100


def test_equal_directions_have_no_gap_and_right_angles_the_diagonal() -> None:
    x = cloud(100, 8, 0)
    found = measure(x, x.clone())
    assert found.probe == 50, "each pair has the same vector with both answers: one is right, one wrong"
    assert (found.retrieval, found.distance) == (100, 0)
    assert measure(x, 8 * x) == found, "Eq. 10 leaves only directions"  # 8: exact in floating point
    east, north = torch.tensor([[2.0, 0.0]]).repeat(40, 1), torch.tensor([[0.0, 5.0]]).repeat(40, 1)
    assert measure(east, north).distance == pytest.approx(math.sqrt(2))


def test_retrieval_within_pools_by_hand() -> None:
    x = torch.cat([torch.eye(8).repeat(2, 1), -torch.eye(8)[:3]])  # the last three fill no pool
    projected = torch.cat([torch.eye(8).repeat(2, 1), torch.eye(8)[:3]])
    projected[[0, 1]] = projected[[1, 0]]
    # Two pools of eight; in the first, two of eight projections point at each other's clip.
    assert measure(x, projected, pool=8).retrieval == pytest.approx(100 * 14 / 16)
    assert math.isnan(measure(cloud(10, 4, 0), cloud(10, 4, 1)).retrieval)


def test_probe_does_not_recognise_clips() -> None:
    # x_m′ = −x_m of the same clip: with the clip's other vector in training, a probe would answer its opposite,
    # and score below chance in a symmetric cloud; grouped folds leave it at chance.
    x = cloud(300, 4, 3)
    assert measure(x, -x).probe == pytest.approx(50, abs=8)


def test_label_probe_finds_a_linear_label_and_nothing_in_noise() -> None:
    x = cloud(200, 5, 0)
    assert label_probe(x, x @ torch.tensor([1.0, -2.0, 0.5, 0.0, 0.0])) > 0.999
    # Held-out predictions: the in-sample r of 5 noise features would be about √(5/200) = 0.16 and positive.
    r = [label_probe(cloud(200, 5, seed), cloud(200, 1, 100 + seed)[:, 0]) for seed in range(8)]
    assert np.mean(r) < 0.05


def normal(n: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, 4)) + shift


def by_loops(sample: np.ndarray, other: np.ndarray, sigma: float) -> float:
    """The unbiased estimate, term by term."""

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return math.exp(-float(((a - b) ** 2).sum()) / (2 * sigma**2))

    within = [
        sum(k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j) / (len(x) * (len(x) - 1))
        for x in (sample, other)
    ]
    return sum(within) - 2 * sum(k(a, b) for a in sample for b in other) / (len(sample) * len(other))


@pytest.mark.parametrize("sizes", [(7, 5), (2, 9)])
def test_mmd2_equals_the_sums_written_out(sizes: tuple[int, int]) -> None:
    sample, other = normal(sizes[0], 0), normal(sizes[1], 1, shift=0.5)
    found = discrepancy(sample, other, permutations=3)
    assert found.mmd2 == pytest.approx(by_loops(sample, other, found.bandwidth), abs=1e-12)


def test_discrepancy_of_far_and_of_equal_vectors_by_hand() -> None:
    far = discrepancy(np.zeros((3, 1)), np.full((3, 1), 100.0), permutations=19)
    assert far.mmd2 == pytest.approx(2 - 2 * math.exp(-0.5))  # median distance 100: k = 1 within, exp(−1/2) between
    equal = discrepancy(np.ones((5, 2)), np.ones((6, 2)))
    assert (equal.mmd2, equal.p, equal.bandwidth) == (pytest.approx(0), 1.0, 1.0)


def test_p_holds_its_level_when_distributions_are_equal() -> None:
    p = [discrepancy(normal(20, s), normal(30, 1000 + s), permutations=99, seed=s).p for s in range(100)]
    # 100 tests at 5 %: five on average; more than twelve has a probability below 0.2 %.
    assert 0 < np.mean(np.array(p) <= 0.05) * 100 <= 12


@pytest.mark.parametrize("other", [normal(100, 1, shift=1.0), 3 * normal(100, 1)], ids=["position", "spread"])
def test_p_is_small_for_other_distributions(other: np.ndarray) -> None:
    found = discrepancy(normal(100, 0), other)
    assert found.p == 1 / 200, "no deal of 199 comes near, so the real one alone counts"
    assert found.mmd2 > 0.05
