"""Differences of two systems in every metric: against the metrics themselves, scipy, and cases known by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mugkit import metrics
from mugkit.errors import UserError
from mugkit.results import label_sources, paired
from mugkit.statistics import sign_flip_test

RNG = np.random.default_rng(7)
TRUTH = np.round(RNG.uniform(-3, 3, 200), 1)
TRUTH[:20] = 0.0
GOOD = TRUTH + 0.5 * RNG.standard_normal((3, 200))
BAD = 0.3 * TRUTH + 1.2 * RNG.standard_normal((3, 200))


@pytest.mark.parametrize("family", ["mosi", "sims"])
def test_metrics_as_sums_are_the_metrics_of_the_tables(family: str) -> None:
    scale = 3.0 if family == "mosi" else 1.0
    truth, prediction = TRUTH / 3 * scale, BAD[0] / 3 * scale  # some beyond the scale
    expected = metrics.evaluate(prediction, truth, family)
    for name, metric in paired.metrics_of(family).items():
        assert metric.value(metric.parts(prediction, truth).sum(0)) == pytest.approx(expected[name]), name
    assert set(paired.metrics_of(family)) == set(metrics.HEADLINE[family])


def test_metrics_of_labels_are_those_of_the_label_table() -> None:
    for name, metric in paired.LABELS.items():
        expected = label_sources.MEASURES[name](BAD[0], TRUTH)
        assert metric.value(metric.parts(BAD[0], TRUTH).sum(0)) == pytest.approx(expected), name
    assert set(paired.LABELS) == set(label_sources.MEASURES)


def test_metrics_of_unknown_family_are_refused() -> None:
    with pytest.raises(UserError, match="family of data sets 'mosy'"):
        paired.metrics_of("mosy")


@pytest.mark.parametrize("name", ["Acc7", "Acc2", "F1", "MAE", "Corr"])
def test_compare_finds_a_large_difference_and_its_direction(name: str) -> None:
    found = paired.compare(paired.metrics_of("mosi")[name], GOOD, BAD, TRUTH)
    sign = -1 if name == "MAE" else 1
    expected = np.mean([metrics.evaluate(one, TRUTH, "mosi")[name] for one in GOOD])
    expected -= np.mean([metrics.evaluate(one, TRUTH, "mosi")[name] for one in BAD])
    assert found["difference"] == pytest.approx(expected)
    assert found["p"] == 1 / 2000  # the smallest that 1,999 swaps can give
    for which in ("clips", "seeds"):
        low, high = sorted((sign * found[f"{which}_low"], sign * found[f"{which}_high"]))
        assert 0 < low < sign * expected < high
    assert (found["clips"], found["seeds"]) == (200, 3)


def test_compare_interval_and_p_of_mae_are_those_of_other_methods() -> None:
    near = GOOD + 0.05 * RNG.standard_normal((3, 200))
    found = paired.compare(paired.metrics_of("mosi")["MAE"], GOOD, near, TRUTH)
    by_clip = (np.abs(GOOD - TRUTH) - np.abs(near - TRUTH)).mean(0)
    normal = stats.norm.interval(0.95, by_clip.mean(), by_clip.std() / np.sqrt(200))
    assert (found["clips_low"], found["clips_high"]) == pytest.approx(normal, abs=0.15 * (normal[1] - normal[0]))
    assert found["p"] == pytest.approx(sign_flip_test(by_clip), abs=0.05)


def test_compare_equal_systems_differ_by_nothing() -> None:
    for metric in paired.metrics_of("mosi").values():
        found = paired.compare(metric, GOOD, GOOD, TRUTH)
        assert found["difference"] == 0
        assert found["p"] == 1


def test_compare_chance_differences_are_rarely_small_p() -> None:
    p = []
    for number in range(40):
        rng = np.random.default_rng(number)
        one, other = (TRUTH + rng.standard_normal((1, 200)) for _ in range(2))
        p.append(paired.compare(paired.metrics_of("mosi")["Corr"], one, other, TRUTH, resamples=199)["p"])
    assert 0.25 < np.mean(p) < 0.75
    assert np.mean(np.array(p) < 0.05) <= 0.15


def test_compare_one_seed_has_no_interval_over_seeds() -> None:
    found = paired.compare(paired.metrics_of("mosi")["MAE"], GOOD[:1], BAD[:1], TRUTH)
    assert found["seeds_low"] is None
    assert found["seeds"] == 1
    assert found["p"] is not None


def test_compare_constant_predictions_have_no_correlation() -> None:
    found = paired.compare(paired.metrics_of("mosi")["Corr"], np.ones((2, 200)), BAD[:2], TRUTH)
    assert found["difference"] is None
    assert found["p"] is None
