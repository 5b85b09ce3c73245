"""Uncertainty of a number over seeds, and Holm's correction. `comparison` has the uncertainty over clips."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats


class Interval(NamedTuple):
    """A two-sided confidence interval; both ends are NaN if it is undefined."""

    low: float
    high: float


class MeanStd(NamedTuple):
    """Mean and sample standard deviation (n − 1) of n values; the deviation of one value is NaN."""

    mean: float
    std: float
    n: int

    def interval(self, confidence: float = 0.95) -> Interval:
        """Student's confidence interval of the mean; NaN for a single value."""
        half = stats.t.ppf((1 + confidence) / 2, max(self.n - 1, 1)) * self.std / np.sqrt(self.n)
        return Interval(float(self.mean - half), float(self.mean + half))


def mean_std(values: Sequence[float | None]) -> MeanStd:
    """Mean and deviation of one or more values, e.g. over seeds. A NaN or None among them makes both NaN."""
    array = np.asarray(values, np.float64)
    std = float(array.std(ddof=1)) if len(array) > 1 else float("nan")
    return MeanStd(float(array.mean()), std, len(array))


def t_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Student's confidence interval of the mean over seeds; NaN for a single value."""
    return mean_std(values).interval(confidence)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's correction: adjusts p of several tests so that all verdicts hold together; never lowers a p."""
    order = np.argsort(p, kind="stable")
    scaled = np.asarray(p, np.float64)[order] * np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return corrected.tolist()
