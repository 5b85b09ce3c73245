"""The rule at its edges: what is decided, what is too small to matter, and what stays open."""

from collections.abc import Sequence
from typing import Any

import pytest
from scipy.stats import norm
from scipy.stats import t as student

from mugkit.evaluation import verdicts

YES, NO, NONE, OPEN = "as claimed", "opposite", "no effect", "open"


def difference(
    low: float | None, high: float | None, seeds: tuple[float | None, float | None] | None = None, metric: str = "MAE"
) -> dict[str, Any]:
    """A difference in the middle of its interval over clips; that over seeds is the same unless given."""
    middle = None if low is None or high is None else (low + high) / 2
    near, far = seeds or (low, high)
    ends = {"clips_low": low, "clips_high": high, "seeds_low": near, "seeds_high": far, "seeds": 5}
    return {"metric": metric, "difference": middle, **ends}


@pytest.mark.parametrize(
    ("low", "high", "size", "expected"),
    [
        (0.1, 0.2, 0.5, YES),  # beyond zero, however small
        (-0.2, -0.1, 0.5, NO),
        (-0.1, 0.4, 0.5, NONE),  # excludes the size
        (-0.1, 0.5, 0.5, OPEN),  # an interval that ends at the size holds it
        (-9.0, 0.4, 0.5, NONE),  # what it may be on the other side does not matter
        (0.0, 0.1, 0.05, OPEN),  # an interval that ends at zero holds zero
        (0.0, 0.0, 0.5, NONE),
        (-0.1, 0.1, 0.0, OPEN),  # without a size, nothing is too small
    ],
)
def test_interval_on_either_side(low: float, high: float, size: float, expected: str) -> None:
    assert verdicts.interval(low, high, 1, size) == expected
    assert verdicts.interval(-high, -low, -1, size) == expected
    assert verdicts.interval(low, None, 1, size) == verdicts.interval(float("nan"), high, 1, size) == OPEN


@pytest.mark.parametrize(
    ("low", "high", "of_amounts"),  # about, over, under a size of 0.5
    [
        (0.6, 0.9, (YES, YES, NO)),
        (0.4, 0.9, (YES, OPEN, OPEN)),
        (0.1, 0.4, (NONE, NONE, YES)),
        (-0.1, 0.4, (NONE, NONE, OPEN)),
        (-0.1, 0.9, (OPEN, OPEN, OPEN)),
        (-0.2, -0.1, (NO, NO, NO)),
    ],
)
def test_interval_of_a_claim_that_says_how_much(low: float, high: float, of_amounts: tuple[str, str, str]) -> None:
    found = [verdicts.interval(low, high, 1, 0.5, amount=amount) for amount in ("about", "over", "under")]
    assert found == list(of_amounts)


@pytest.mark.parametrize(
    ("clips", "seeds", "expected"),
    [
        ((0.02, 0.08), (0.01, 0.09), YES),
        ((0.02, 0.08), (-0.01, 0.11), OPEN),  # other seeds
        ((-0.01, 0.11), (0.02, 0.08), OPEN),  # other clips
        ((0.02, 0.08), (None, None), OPEN),  # a single seed
        ((-0.009, 0.009), (-0.02, 0.02), OPEN),  # seeds do not exclude the size
        ((0.001, 0.003), (-0.001, 0.005), NONE),  # clips say yes, seeds do not; both exclude the size
    ],
)
def test_a_difference_is_decided_over_clips_and_over_seeds(
    clips: tuple[float, float], seeds: tuple[float | None, float | None], expected: str
) -> None:
    assert verdicts.judge(difference(*clips, seeds), 1) == expected


def test_size_of_interest_is_the_metric_s_unless_the_claim_names_one() -> None:
    found = difference(-0.3, 0.7, metric="Acc2")
    assert verdicts.judge(found, 1) == OPEN  # 0.5 points
    assert verdicts.judge(found, 1, size=1.0) == NONE
    assert [verdicts.size_of(name) for name in ("MAE", "Corr", "Acc7", "F1", "sign %")] == [0.01, 0.005, 0.5, 0.5, 0.5]


@pytest.mark.parametrize(("seeds", "curve"), [((0.19, 0.21), norm), ((0.05, 0.35), student(4))])
def test_many_together_widen_both_intervals_by_bonferroni(seeds: tuple[float, float], curve: Any) -> None:
    found = difference(0.1, 0.3, seeds)  # of five seeds
    wider = curve.ppf(1 - 0.025 / 10) / curve.ppf(1 - 0.025)
    half = wider * max(0.1, (seeds[1] - seeds[0]) / 2)
    assert verdicts.hull(found, together=10) == pytest.approx((0.2 - half, 0.2 + half))
    assert verdicts.hull(found) == pytest.approx((min(0.1, seeds[0]), max(0.3, seeds[1])))


@pytest.mark.parametrize(
    ("found", "together", "expected"),
    [
        (difference(-0.08, -0.02), 1, "closer"),  # less MAE is better
        (difference(0.02, 0.08, metric="Corr"), 1, "closer"),
        (difference(-0.004, -0.002), 1, "closer, by less than 0.01"),
        (difference(0.02, 0.04), 1, "farther"),
        (difference(-0.004, 0.004), 1, "no difference above 0.01"),
        (difference(-0.02, 0.004), 1, "undecided"),
        (difference(None, None), 1, "undecided"),
        (difference(-0.08, -0.005, (-0.06, -0.02)), 1, "closer"),
        (difference(-0.08, -0.005, (-0.06, -0.02)), 20, "undecided"),
    ],
)
def test_words_follow_the_same_rule(found: dict[str, Any], together: int, expected: str) -> None:
    assert verdicts.word(found, "closer", "farther", together) == expected


def test_as_good_is_not_worse_by_the_size() -> None:
    worse, slightly_worse, either = (0.002, 0.08), (0.002, 0.008), (-0.08, 0.02)
    found = [verdicts.as_good(difference(*ends)) for ends in (worse, slightly_worse, (-0.08, 0.002), either)]
    assert found == [NO, YES, YES, OPEN]


def test_ordering_needs_a_significant_tau() -> None:
    pairs = [(0.6, 0.01), (-0.6, 0.01), (0.6, 0.05), (0.0, 0.01), (None, None)]
    assert [verdicts.ordering(tau, p) for tau, p in pairs] == [YES, NO, OPEN, OPEN, OPEN]


@pytest.mark.parametrize(
    ("outcomes", "firm", "expected"),
    [
        ([YES, YES], [False, False], "supported"),  # that all hold needs no correction
        ([YES, OPEN], (), "undecided"),
        ([OPEN, NONE], (), "not supported"),
        ([YES, NO], [True, False], "undecided"),  # one of many refutes only if it stays among all
        ([YES, NO], [False, True], "not supported"),
        ([], [], "needs data"),
    ],
)
def test_a_claim_of_every_comparison(outcomes: list[verdicts.Outcome], firm: Sequence[bool], expected: str) -> None:
    assert verdicts.every(outcomes, firm) == expected


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (["supported", "supported", "not supported"], "supported"),
        (["supported", "undecided"], "undecided"),  # half is not most
        (["supported", "not supported"], "not supported"),  # most is out of reach
        (["undecided", "undecided", "not supported"], "undecided"),
        ([], "needs data"),
    ],
)
def test_a_claim_of_most_parts(parts: list[verdicts.Verdict], expected: str) -> None:
    assert verdicts.most(parts) == expected
