"""Each convention against hand-worked numbers, numpy and scikit-learn; what is undefined, and what is refused."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import mean_absolute_error

from mugkit import metrics
from mugkit.data.schema import LABEL_SCALE
from mugkit.errors import UserError

# Six clips, one of them neutral, worked out by hand below.
TRUTH = np.array([1.0, 2.0, -1.0, -2.0, 0.0, 3.0])
PREDICTION = np.array([0.5, -0.4, -1.2, 0.3, -0.1, 4.0])


def random_pair(seed: int = 1111, scale: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth = np.round(generator.uniform(-scale, scale, 400) * 5) / 5
    return truth + generator.normal(0, 0.5 * scale, 400), truth


# Truth + + + + −, predicted + + − − −. +: precision 1, recall 1/2, F1 2/3; −: precision 1/3, recall 1, F1 1/2.
UNEQUAL = np.array([1.0, 1.0, -1.0, -1.0, -1.0]), np.array([1.0, 1.0, 1.0, 1.0, -1.0])
# Truth − − − +, predicted + − − +. −: precision 1, recall 2/3, F1 4/5; +: precision 1/2, recall 1, F1 2/3.
NEUTRAL = np.array([0.2, -0.2, 0.0, 0.5]), np.array([0.0, 0.0, 0.0, 0.5])
BEYOND = np.array([2.0, -3.0, 0.5]), np.array([0.8, -1.0, 0.0])


@pytest.mark.parametrize(
    ("metric", "prediction", "truth", "expected"),
    [
        (metrics.mae, PREDICTION, TRUTH, 6.5 / 6),  # |differences|: 0.5, 2.4, 0.2, 2.3, 0.1, 1.0
        (metrics.mag_mae, PREDICTION, TRUTH, 6.4 / 5),
        (metrics.sims_mae, *BEYOND, (0.2 + 0.0 + 0.5) / 3),
        # Without the neutral clip: truth + + − − +, predicted + − − + +. Both classes: precision = recall.
        # Positive F1 2/3 (3 clips), negative F1 1/2 (2 clips): (3 · 2/3 + 2 · 1/2) / 5 = 0.6.
        (metrics.acc2_f1_non0, PREDICTION, TRUTH, (60.0, 60.0)),
        (metrics.mag_acc2_f1, PREDICTION, TRUTH, (60.0, 60.0)),
        # The neutral clip is positive here and predicted −: truth + + − − + +, predicted + − − + − +.
        # Positive: precision 2/3, recall 2/4, F1 4/7; negative: precision 1/3, recall 1/2, F1 2/5.
        (metrics.acc2_f1_has0, PREDICTION, TRUTH, (50.0, 100 * (4 * 4 / 7 + 2 * 2 / 5) / 6)),
        (metrics.acc2_f1_non0, *UNEQUAL, (60.0, 100 * (4 * 2 / 3 + 1 * 1 / 2) / 5)),
        (metrics.misa_f1_non0, *UNEQUAL, 100 * (2 * 2 / 3 + 3 * 1 / 2) / 5),  # weighted by predictions
        (metrics.sims_acc2_f1, *NEUTRAL, (75.0, 100 * (3 * 4 / 5 + 2 / 3) / 4)),
        # Labels beyond ±2 count as ±2 in Acc5.
        (metrics.acc5, np.array([2.0, 1.6, -3.0, 1.4]), np.array([3.0, 2.6, -2.0, 2.0]), 75.0),
        (metrics.acc7, np.array([2.0, 1.6, -3.0, 1.4]), np.array([3.0, 2.6, -2.0, 2.0]), 0.0),
    ],
)
def test_metric_by_hand(metric: Callable[..., Any], prediction: np.ndarray, truth: np.ndarray, expected: Any) -> None:
    assert metric(prediction, truth) == pytest.approx(expected)


def test_correlations_and_mae_equal_numpys_on_the_clips_that_count() -> None:
    prediction, truth = random_pair()
    kept = truth != 0
    assert metrics.mae(prediction, truth) == pytest.approx(mean_absolute_error(truth, prediction))
    assert metrics.corr(prediction, truth) == pytest.approx(np.corrcoef(truth, prediction)[0, 1])
    assert metrics.mag_corr(prediction, truth) == pytest.approx(np.corrcoef(truth[kept], prediction[kept])[0, 1])
    clipped = np.corrcoef([1.0, -1.0, 0.5], BEYOND[1])[0, 1]
    assert metrics.sims_corr(*BEYOND) == pytest.approx(clipped) != pytest.approx(metrics.corr(*BEYOND))


@pytest.mark.parametrize(
    ("value", "acc7_class"),
    [(0.5, 0), (1.5, 2), (2.5, 2), (-0.5, 0), (-1.5, -2), (-2.5, -2), (0.51, 1), (3.4, 3), (-9.0, -3)],
)
def test_acc7_class_of_one_value_rounds_half_to_even(value: float, acc7_class: int) -> None:
    truth = np.arange(-3.0, 4.0)
    expected = [100.0 if label == acc7_class else 0.0 for label in truth]
    assert [metrics.acc7(np.array([value]), np.array([label])) for label in truth] == expected


def test_prediction_of_exactly_zero_is_negative_in_non0_and_positive_in_has0_and_mag() -> None:
    prediction, truth = np.array([0.0, 1.0, -1.0]), np.array([1.0, 1.0, -1.0])
    assert metrics.acc2_f1_non0(prediction, truth)[0] == pytest.approx(200 / 3)
    assert metrics.mag_acc2_f1(prediction, truth)[0] == 100.0
    assert metrics.acc2_f1_has0(prediction, truth)[0] == 100.0


def test_only_neutral_clips_leave_nothing_to_score(recwarn: pytest.WarningsRecorder) -> None:
    prediction, truth = np.array([0.5, -0.5]), np.zeros(2)
    values = [*metrics.acc2_f1_non0(prediction, truth), *metrics.mag_acc2_f1(prediction, truth)]
    values += [metrics.mag_mae(prediction, truth), metrics.mag_corr(prediction, truth)]
    values += [metrics.misa_f1_non0(prediction, truth)]
    assert all(math.isnan(value) for value in values)
    assert metrics.acc2_f1_has0(prediction, truth)[0] == 50.0
    assert not recwarn.list


@pytest.mark.parametrize("precision", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("value", "of_three", "of_five"),
    list(
        zip(
            (-2.0, -0.7, -0.69, -0.1, -0.09, 0.0, 0.1, 0.11, 0.7, 0.71, 5.0),
            (0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2),
            (0, 0, 1, 1, 2, 2, 2, 3, 3, 4, 4),
            strict=True,
        )
    ),
)
def test_sims_cuts_belong_to_the_lower_class(value: float, of_three: int, of_five: int, precision: type) -> None:
    three, five = (-1.0, 0.0, 1.0), (-1.0, -0.4, 0.0, 0.4, 1.0)  # a label inside each class
    hits = [metrics.sims_acc3(np.array([value], precision), np.array([label], precision)) for label in three]
    assert hits == [100.0 * (i == of_three) for i in range(3)]
    hits = [metrics.sims_acc5(np.array([value], precision), np.array([label], precision)) for label in five]
    assert hits == [100.0 * (i == of_five) for i in range(5)]


@pytest.mark.parametrize("family", list(metrics.HEADLINE))
def test_evaluate_every_family_has_its_headline_and_known_directions(family: str) -> None:
    result = metrics.evaluate(PREDICTION, TRUTH, family)
    assert set(metrics.HEADLINE[family]) <= set(result) <= set(metrics.HIGHER_IS_BETTER)


def test_evaluate_mosi_holds_the_papers_convention() -> None:
    # Rounded predictions 0, 0, −1, 0, 0, 3(2): Acc7 hits −1, 0, 3; Acc5 the same three.
    expected = {"Acc7": 50.0, "Acc5": 50.0, "Acc2": 60.0, "F1": 60.0, "Acc2_has0": 50.0}
    expected |= {"F1_has0": 100 * (16 / 7 + 4 / 5) / 6, "MAE": 6.5 / 6}
    expected["Corr"] = np.corrcoef(PREDICTION, TRUTH)[0, 1]
    assert metrics.evaluate(PREDICTION, TRUTH, "mosi") == pytest.approx(expected)


def test_evaluate_sims_holds_mmsas_convention() -> None:
    prediction, truth = np.array([0.2, -0.2, 0.0, 5.0]), np.array([0.0, 0.0, 0.0, 0.5])
    expected = {"Acc2": 75.0, "F1": 100 * (3 * 4 / 5 + 2 / 3) / 4, "Acc3": 50.0, "Acc5": 25.0, "MAE": 0.9 / 4}
    expected["Corr"] = np.corrcoef([0.2, -0.2, 0.0, 1.0], truth)[0, 1]
    assert metrics.evaluate(prediction, truth, "sims") == pytest.approx(expected)


@pytest.mark.parametrize(
    ("prediction", "truth", "message"),
    [
        ([], [], "no clips"),
        ([1.0], [1.0, 2.0], "one prediction a label"),
        ([[1.0], [2.0]], [[1.0], [2.0]], "one prediction a label"),
        ([1.0, math.nan], [1.0, 2.0], "prediction: 1 of 2 values are not finite"),
        ([1.0, 2.0], [math.inf, 2.0], "label: 1 of 2 values are not finite"),
    ],
)
@pytest.mark.parametrize("family", ["mosi", "sims"])
def test_evaluate_unusable_input_is_refused(prediction: list, truth: list, message: str, family: str) -> None:
    with pytest.raises(UserError, match=message):
        metrics.evaluate(np.array(prediction), np.array(truth), family)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("family", LABEL_SCALE)
def test_undefined_says_why_for_each_metric_that_is_nan_and_for_no_other(family: str) -> None:
    prediction = np.array([0.3, -0.2, 0.9, 0.1], np.float32)
    cases = {
        "all 4 labels are equal (0.5)": (prediction, np.full(4, 0.5)),
        "all 4 predictions are equal (0.1)": (np.full(4, 0.1, np.float32), prediction),
        "there is a single clip": (prediction[:1], np.array([0.5])),
    }
    for reason, (said, truth) in cases.items():
        found = metrics.undefined(said, truth, family)
        assert found.keys() == {"Corr"} == {n for n, v in metrics.evaluate(said, truth, family).items() if v != v}
        assert found["Corr"].startswith(reason)
    assert metrics.undefined(prediction, np.array([1.0, 0.0, 0.5, -1.0]), family) == {}


@pytest.mark.filterwarnings("error")
def test_undefined_neutral_clips_alone_leave_the_non0_convention_without_clips() -> None:
    found = metrics.undefined(np.array([0.3, -0.2]), np.zeros(2), "mosi")
    assert found.keys() == {"Acc2", "F1", "Corr"}
    assert "every clip is neutral" in found["Acc2"]


@pytest.mark.filterwarnings("error")
def test_corr_of_a_constant_with_rounding_errors_is_nan_without_warning() -> None:
    """scipy would warn, and return the correlation of the rounding errors."""
    almost = np.full(10, 0.7) + np.arange(10) * 2e-16
    assert np.ptp(almost) > 0
    with pytest.warns(stats.NearConstantInputWarning):
        stats.pearsonr(almost, np.arange(10.0))
    assert math.isnan(metrics.corr(almost, np.arange(10.0)))
