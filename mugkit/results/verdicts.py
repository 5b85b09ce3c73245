"""What numbers say about a claim. Every verdict in the ledger comes from one of these functions.

A comparison has one of three outcomes: it is as claimed, it is the opposite, or it is open. A claim made of several
comparisons is supported if all of them (or most, where the claim says so) are as claimed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Outcome = Literal["as claimed", "opposite", "open"]
Verdict = Literal["supported", "not supported", "undecided", "needs data"]
VERDICTS: tuple[Verdict, ...] = ("supported", "not supported", "undecided", "needs data")
LEVEL = 0.05


def interval(low: float | None, high: float | None, sign: int) -> Outcome:
    """Whether an interval lies on the claimed side of zero.

    Args:
        low, high: its ends; None where it is undefined, as over a single seed.
        sign: +1 if the claim says positive, −1 if negative.
    """
    if low is None or high is None or low <= 0 <= high:
        return "open"
    return "as claimed" if low * sign > 0 else "opposite"


def difference(value: float | None, p: float | None, low: float | None, high: float | None, sign: int) -> Outcome:
    """A difference of two systems: it counts if it would be there with other clips and with other seeds.

    Args:
        value: the difference.
        p: over clips, corrected for all comparisons of the claim.
        low, high: interval over seeds.
        sign: +1 if the claim says positive, −1 if negative.
    """
    over_seeds = interval(low, high, sign)
    if value is None or p is None or p >= LEVEL or over_seeds == "open":
        return "open"
    return over_seeds if interval(value, value, sign) == over_seeds else "open"


def ordering(tau: float | None, p: float | None) -> Outcome:
    """Kendall's τ of two orders: the same order beyond chance, the reverse, or neither."""
    if tau is None or p is None or p >= LEVEL:
        return "open"
    return interval(tau, tau, 1)


def same(ours: float, theirs: float) -> Outcome:
    """Two counts, which are equal or not."""
    return "as claimed" if ours == theirs else "opposite"


def below(low: float, high: float, bound: float) -> Outcome:
    """A ratio, rate or share that is said to be below a bound, known to lie between `low` and `high`."""
    return interval(low - bound, high - bound, -1)


def within(value: float, low: float | None, high: float | None) -> Outcome:
    """Whether a number quoted by the paper lies in our interval for it."""
    if low is None or high is None:
        return "open"
    return "as claimed" if low <= value <= high else "opposite"


def every(outcomes: Sequence[Outcome]) -> Verdict:
    """A claim that all its comparisons must bear out; one to the contrary refutes it."""
    if not outcomes:
        return "needs data"
    if "opposite" in outcomes:
        return "not supported"
    return "undecided" if "open" in outcomes else "supported"


def most(outcomes: Sequence[Outcome]) -> Verdict:
    """A claim that more than half of its comparisons must bear out."""
    if not outcomes:
        return "needs data"
    if 2 * outcomes.count("as claimed") > len(outcomes):
        return "supported"
    return "not supported" if 2 * outcomes.count("opposite") >= len(outcomes) else "undecided"


def as_outcome(verdict: Verdict) -> Outcome:
    """A verdict about one metric as one comparison of a claim about several metrics."""
    return {"supported": "as claimed", "not supported": "opposite"}.get(verdict, "open")  # type: ignore[return-value]
