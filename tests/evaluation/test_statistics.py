"""Means, intervals over seeds and Holm's correction against hand-worked numbers and scipy."""

import math

import numpy as np
import pytest
from scipy import stats

from mugkit.evaluation import statistics


def test_mean_std_by_hand() -> None:
    assert statistics.mean_std([1.0, 2.0, 6.0]) == pytest.approx((3.0, math.sqrt(7.0), 3))
    assert statistics.mean_std([4.5]) == pytest.approx((4.5, math.nan, 1), nan_ok=True)
    assert math.isnan(statistics.mean_std([1.0, None]).mean)  # undefined in one seed, undefined in all


def test_t_interval_equals_scipy() -> None:
    values = [47.1, 46.9, 48.2, 47.5, 46.4]
    expected = stats.t.interval(0.9, df=4, loc=np.mean(values), scale=stats.sem(values))
    assert statistics.t_interval(values, confidence=0.9) == pytest.approx(expected)
    assert all(math.isnan(end) for end in statistics.t_interval([1.0]))  # one seed has no spread


def test_holm_worked_out_by_hand() -> None:
    # Sorted: .01·4 = .04, .02·3 = .06, .03·2 = .06, .9·1 = .9; in the order given.
    assert statistics.holm([0.03, 0.01, 0.9, 0.02]) == pytest.approx([0.06, 0.04, 0.9, 0.06])
    assert statistics.holm([0.5, 0.6]) == pytest.approx([1.0, 1.0])  # never beyond one
