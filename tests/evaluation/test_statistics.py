"""Means and intervals against hand-worked numbers, scipy and a bootstrap written out in numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from mugkit import metrics
from mugkit.errors import UserError
from mugkit.evaluation import statistics


def pair(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1111)
    truth = random.uniform(-3, 3, n)
    return truth + random.normal(0, 1, n), truth


def test_mean_std_three_values_by_hand() -> None:
    assert statistics.mean_std([1.0, 2.0, 6.0]) == pytest.approx((3.0, math.sqrt(7.0), 3))


def test_mean_std_one_value_has_no_deviation() -> None:
    mean, std, n = statistics.mean_std([4.5])
    assert (mean, n) == (4.5, 1)
    assert math.isnan(std)


def test_mean_std_undefined_metric_of_one_seed_stays_undefined() -> None:
    assert math.isnan(statistics.mean_std([1.0, math.nan]).mean)


def test_t_interval_five_seeds_equals_scipy() -> None:
    values = [47.1, 46.9, 48.2, 47.5, 46.4]
    expected = stats.t.interval(0.9, df=4, loc=np.mean(values), scale=stats.sem(values))
    assert statistics.t_interval(values, confidence=0.9) == pytest.approx(expected)


def test_t_interval_five_seeds_uses_the_textbook_quantile() -> None:
    low, high = statistics.t_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert (high - low) / 2 == pytest.approx(2.776 * math.sqrt(2.5 / 5), rel=1e-3)
    assert (high + low) / 2 == pytest.approx(3.0)


def test_t_interval_one_seed_is_nan() -> None:
    assert all(math.isnan(end) for end in statistics.t_interval([1.0]))


def test_bootstrap_of_a_metric_agrees_with_one_written_out() -> None:
    prediction, truth = pair()
    random = np.random.default_rng(7)
    picks = random.integers(0, len(truth), (4000, len(truth)))
    expected = np.percentile(np.abs(prediction - truth)[picks].mean(axis=1), [2.5, 97.5])
    found = statistics.bootstrap(metrics.mae, prediction, truth, resamples=4000)
    assert found == pytest.approx(tuple(expected), abs=0.02)
    assert found.low < metrics.mae(prediction, truth) < found.high


def test_bootstrap_draws_clips_together() -> None:
    # Were the arrays resampled apart, the error of perfect predictions would not stay 0.
    _, truth = pair()
    assert statistics.bootstrap(metrics.mae, truth, truth) == (0.0, 0.0)


def test_bootstrap_constant_statistic_has_an_interval_of_no_width() -> None:
    _, truth = pair()
    assert statistics.bootstrap(metrics.acc7, truth, truth) == (100.0, 100.0)


def test_bootstrap_of_a_paired_difference_of_two_systems() -> None:
    prediction, truth = pair()
    worse = prediction + 0.5 * np.sign(prediction - truth)  # each error is larger by one half

    def difference(a: np.ndarray, b: np.ndarray, y: np.ndarray) -> float:
        return metrics.mae(a, y) - metrics.mae(b, y)

    assert statistics.bootstrap(difference, worse, prediction, truth) == pytest.approx((0.5, 0.5))


def test_bootstrap_same_seed_same_interval_other_seed_another() -> None:
    one, again, other = (statistics.bootstrap(metrics.mae, *pair(), seed=seed) for seed in (1, 1, 2))
    assert one == again != other


def test_bootstrap_higher_confidence_is_wider() -> None:
    narrow, wide = (statistics.bootstrap(metrics.mae, *pair(), confidence=level) for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize("lengths", [(), (3, 4), (1, 1), (0, 0)])
def test_bootstrap_unusable_arrays_are_refused(lengths: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="arrays of one length"):
        statistics.bootstrap(metrics.mae, *(np.zeros(length) for length in lengths))


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_confidence_outside_zero_and_one_is_refused(confidence: float) -> None:
    with pytest.raises(UserError, match="confidence"):
        statistics.t_interval([1.0, 2.0], confidence)
    with pytest.raises(UserError, match="confidence"):
        statistics.bootstrap(metrics.mae, *pair(), confidence=confidence)


@pytest.mark.parametrize("function", [statistics.mean_std, statistics.t_interval])
def test_no_values_are_refused(function) -> None:
    with pytest.raises(UserError, match="values"):
        function([])


# --- tests of differences


def test_holm_worked_out_by_hand() -> None:
    # Sorted: .01·4 = .04, .02·3 = .06, .03·2 = .06, .9·1 = .9; in the order given.
    assert statistics.holm([0.03, 0.01, 0.9, 0.02]) == pytest.approx([0.06, 0.04, 0.9, 0.06])


def test_holm_never_exceeds_one_and_never_reorders() -> None:
    assert statistics.holm([0.5, 0.6]) == pytest.approx([1.0, 1.0])
    assert statistics.holm([0.2]) == pytest.approx([0.2])
