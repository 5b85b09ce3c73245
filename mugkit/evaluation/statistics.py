"""Uncertainty of a number in a table: over seeds, and over the clips of one test set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from mugkit.errors import UserError


class Interval(NamedTuple):
    """A two-sided confidence interval; both ends are NaN where it is undefined."""

    low: float
    high: float


class MeanStd(NamedTuple):
    """Mean and sample standard deviation (n − 1) of n values; the deviation of one value is NaN."""

    mean: float
    std: float
    n: int

    def interval(self, confidence: float = 0.95) -> Interval:
        """Student's confidence interval of the mean; NaN for a single value.

        Raises:
            UserError: `confidence` is not between 0 and 1.
        """
        half = stats.t.ppf((1 + _checked(confidence)) / 2, max(self.n - 1, 1)) * self.std / np.sqrt(self.n)
        return Interval(float(self.mean - half), float(self.mean + half))


def mean_std(values: Sequence[float | None]) -> MeanStd:
    """Mean and sample standard deviation, e.g. of a metric over seeds. A NaN or None among the values makes both NaN.

    Raises:
        UserError: there are no values.
    """
    array = _values(values)
    std = float(array.std(ddof=1)) if len(array) > 1 else float("nan")
    return MeanStd(float(array.mean()), std, len(array))


def t_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Confidence interval of the mean over seeds, by Student's t; NaN for a single value.

    Raises:
        UserError: there are no values, or `confidence` is not between 0 and 1.
    """
    return mean_std(values).interval(confidence)


def bootstrap(
    statistic: Callable[..., float],
    *arrays: np.ndarray,
    confidence: float = 0.95,
    seed: int = 1111,
    resamples: int = 1000,
) -> Interval:
    """Confidence interval of a statistic over clips: clips are drawn with replacement, together in all arrays.

    Percentiles of the resampled statistic, not the corrected (BCa) interval, which is undefined when a statistic
    does not vary, as an accuracy of 100 % does not. The interval is NaN when the statistic is NaN in any resample.

    Args:
        statistic: a function of as many vectors as there are arrays, e.g. `metrics.mae`, or the difference of two
            systems' metrics on the same clips.
        arrays: vectors of one length, e.g. predictions and labels.
        confidence: the interval's level, between 0 and 1.
        seed: the resamples drawn.
        resamples: how many are drawn.

    Raises:
        UserError: no arrays, unequal or too small lengths, or `confidence` is not between 0 and 1.
    """
    lengths = {len(array) for array in arrays}
    if len(lengths) != 1 or min(lengths) < 2:
        found = f"lengths {[len(array) for array in arrays]}"
        raise UserError(f"the bootstrap needs arrays of one length, two or more: {found}", field="arrays")
    options: dict[str, Any] = {"paired": True, "vectorized": False, "method": "percentile"}
    options |= {"n_resamples": resamples, "confidence_level": _checked(confidence)}
    result = stats.bootstrap(arrays, statistic, rng=np.random.default_rng(seed), **options)
    return Interval(float(result.confidence_interval.low), float(result.confidence_interval.high))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's correction: p of each of several tests such that all verdicts hold together; never below its own p."""
    order = np.argsort(p, kind="stable")
    scaled = np.asarray(p, np.float64)[order] * np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return corrected.tolist()


def _values(values: Sequence[float | None]) -> np.ndarray:
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or not len(array):
        raise UserError(f"needs a list of one or more numbers, got shape {array.shape}", field="values")
    return array


def _checked(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise UserError(f"{confidence} is not between 0 and 1", field="confidence", fix="95 % is 0.95")
    return confidence
