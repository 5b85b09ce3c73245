"""MMD against sums written out by hand, and its test on samples whose distributions are known."""

import math

import numpy as np
import pytest

from mugkit.evaluation.mmd import discrepancy


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
