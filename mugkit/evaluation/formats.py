"""How a number, its spread, an interval and a difference are written: once for tables, claims and sentences."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial

COUNT = "Parameters"  # Table 6's one column
_PERCENTAGES = ("Acc", "F1", "sign", "share", "probe")


def digits(metric: str) -> int:
    """Counts are whole, percentages have one digit, everything else has three."""
    if metric == COUNT:
        return 0
    return 1 if metric.startswith(_PERCENTAGES) else 3


def known(value: float | None) -> bool:
    """Whether there is a number: neither JSON's null nor NaN."""
    return value is not None and not math.isnan(value)


def number(metric: str, value: float | None, signed: bool = False) -> str:
    """A number with the digits of its metric, or `undefined`."""
    if value is None or math.isnan(value):
        return "undefined"
    return f"{value:{'+' if signed else ''},.{digits(metric)}f}"


def spread(metric: str, mean: float | None, std: float | None) -> str:
    """`47.5 ± 0.6`; the deviation is left out where there is none."""
    return number(metric, mean) + (f" ± {number(metric, std)}" if known(mean) and known(std) else "")


def spreads(metric: str, means: Iterable[float | None], stds: Iterable[float | None]) -> list[str]:
    """A column of spreads."""
    return list(map(partial(spread, metric), means, stds))


def span(metric: str, low: float | None, high: float | None, signed: bool = True) -> str:
    """`[-0.003, +0.027]`, or `–` where it is undefined."""
    if not (known(low) and known(high)):
        return "–"
    return f"[{number(metric, low, signed)}, {number(metric, high, signed)}]"


def estimate(metric: str, value: float | None, low: float | None, high: float | None, signed: bool = True) -> str:
    """`+0.012 [-0.003, +0.027]`: a number with its interval, if it has one."""
    return number(metric, value, signed) + (f" {span(metric, low, high, signed)}" if known(low) and known(high) else "")
