"""Verdict functions at their edges: what is decided, and what stays open."""

from __future__ import annotations

import pytest

from mugkit.results import verdicts


@pytest.mark.parametrize(
    ("low", "high", "sign", "expected"),
    [
        (0.1, 0.2, 1, "as claimed"),
        (0.1, 0.2, -1, "opposite"),
        (-0.2, -0.1, -1, "as claimed"),
        (-0.2, -0.1, 1, "opposite"),
        (-0.1, 0.1, 1, "open"),
        (0.0, 0.1, 1, "open"),  # an interval that ends at zero holds zero
        (-0.1, 0.0, -1, "open"),
        (None, 0.1, 1, "open"),
        (0.1, None, 1, "open"),
    ],
)
def test_interval(low: float | None, high: float | None, sign: int, expected: str) -> None:
    assert verdicts.interval(low, high, sign) == expected


@pytest.mark.parametrize(
    ("value", "p", "low", "high", "expected"),
    [
        (-0.1, 0.049, -0.2, -0.05, "as claimed"),
        (-0.1, 0.05, -0.2, -0.05, "open"),  # other clips
        (-0.1, 0.001, -0.2, 0.01, "open"),  # other seeds
        (0.1, 0.001, 0.05, 0.2, "opposite"),
        (0.1, 0.2, 0.05, 0.2, "open"),
        (0.1, 0.001, None, None, "open"),  # a single seed
        (None, None, -0.2, -0.1, "open"),
        (-0.1, None, -0.2, -0.1, "open"),
        (0.1, 0.001, -0.2, -0.1, "open"),  # numbers that contradict each other decide nothing
    ],
)
def test_difference_of_a_metric_where_less_is_better(
    value: float | None, p: float | None, low: float | None, high: float | None, expected: str
) -> None:
    assert verdicts.difference(value, p, low, high, -1) == expected


@pytest.mark.parametrize(
    ("tau", "p", "expected"),
    [
        (0.6, 0.01, "as claimed"),
        (-0.6, 0.01, "opposite"),
        (0.6, 0.05, "open"),
        (0.0, 0.01, "open"),
        (None, None, "open"),
    ],
)
def test_ordering(tau: float | None, p: float | None, expected: str) -> None:
    assert verdicts.ordering(tau, p) == expected


def test_same_counts_are_equal_or_not() -> None:
    assert verdicts.same(110_089_956, 110_089_956) == "as claimed"
    assert verdicts.same(110_089_956, 110_089_957) == "opposite"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.7, 0.9, "as claimed"), (1.1, 1.3, "opposite"), (0.9, 1.1, "open"), (0.9, 1.0, "open"), (1.0, 1.1, "open")],
)
def test_below_a_bound(low: float, high: float, expected: str) -> None:
    assert verdicts.below(low, high, 1.0) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(0.7, "as claimed"), (0.6, "as claimed"), (0.8, "as claimed"), (0.81, "opposite")]
)
def test_within_an_interval(value: float, expected: str) -> None:
    assert verdicts.within(value, 0.6, 0.8) == expected
    assert verdicts.within(value, None, 0.8) == "open"


YES, NO, OPEN = "as claimed", "opposite", "open"


@pytest.mark.parametrize(
    ("outcomes", "every", "most"),
    [
        ([YES], "supported", "supported"),
        ([YES, YES, OPEN], "undecided", "supported"),
        ([YES, YES, NO], "not supported", "supported"),
        ([YES, OPEN], "undecided", "undecided"),  # half is not most
        ([YES, NO], "not supported", "not supported"),  # most is out of reach
        ([OPEN, OPEN, NO], "not supported", "undecided"),
        ([NO], "not supported", "not supported"),
        ([OPEN], "undecided", "undecided"),
        ([], "needs data", "needs data"),
    ],
)
def test_claims_of_several_comparisons(outcomes: list[verdicts.Outcome], every: str, most: str) -> None:
    assert verdicts.every(outcomes) == every
    assert verdicts.most(outcomes) == most
    assert {every, most} <= set(verdicts.VERDICTS)


def test_verdict_of_a_metric_is_one_outcome_of_a_claim() -> None:
    assert [verdicts.as_outcome(v) for v in verdicts.VERDICTS] == [YES, NO, OPEN, OPEN]
