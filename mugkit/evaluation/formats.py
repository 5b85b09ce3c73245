"""Formats numbers, spreads, intervals and differences; shared by tables, claims and sentences."""

import math
from collections.abc import Iterable
from typing import TypeGuard

COUNT = "Parameters"  # Table 6's only column
_PERCENTAGES = ("Acc", "F1", "sign", "share", "probe")


def digits(metric: str) -> int:
    """Decimal places of a metric: none for counts, one for percentages, three for everything else."""
    if metric == COUNT:
        return 0
    return 1 if metric.startswith(_PERCENTAGES) else 3


def known(value: float | None) -> TypeGuard[float]:
    """Whether a value is neither None (JSON's null) nor NaN."""
    return value is not None and not math.isnan(value)


def number(metric: str, value: float | None, signed: bool = False, more: int = 0) -> str:
    """A number with its metric's decimal places plus `more`, or `undefined`."""
    return f"{value:{'+' if signed else ''},.{digits(metric) + more}f}" if known(value) else "undefined"


def spread(metric: str, mean: float | None, std: float | None) -> str:
    """`47.5 ± 0.6`; the deviation is left out if it is undefined."""
    return number(metric, mean) + (f" ± {number(metric, std)}" if known(mean) and known(std) else "")


def spreads(metric: str, means: Iterable[float | None], stds: Iterable[float | None]) -> list[str]:
    """A column of spreads."""
    return [spread(metric, *pair) for pair in zip(means, stds, strict=True)]


def span(metric: str, low: float | None, high: float | None, signed: bool = True) -> str:
    """`[-0.003, +0.027]`, or `–` if it is undefined.

    A nonzero end that would round to zero gets more digits: `[-0.016, -0.0004]` does not contain zero.
    """
    if known(low) and known(high):
        return f"[{', '.join(number(metric, end, signed, _more(metric, end)) for end in (low, high))}]"
    return "–"


def _more(metric: str, end: float) -> int:
    """How many extra digits show that an end is not zero; 0 if three are too few, as for rounding errors."""
    return next((more for more in range(4) if round(end, digits(metric) + more)), 0)


def estimate(metric: str, value: float | None, low: float | None, high: float | None, signed: bool = True) -> str:
    """`+0.012 [-0.003, +0.027]`: a number with its interval, if that is defined."""
    return number(metric, value, signed) + (f" {span(metric, low, high, signed)}" if known(low) and known(high) else "")
