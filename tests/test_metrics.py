"""Each convention against hand-worked numbers, scikit-learn and scipy, and properties that follow from its name."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error

from mugkit import metrics
from mugkit.data.schema import LABEL_SCALE
from mugkit.errors import UserError

# Six clips, one of them neutral, worked out by hand below.
TRUTH = np.array([1.0, 2.0, -1.0, -2.0, 0.0, 3.0])
PREDICTION = np.array([0.5, -0.4, -1.2, 0.3, -0.1, 4.0])

PAIRS = st.lists(st.tuples(st.floats(-4, 4, width=32), st.floats(-3, 3, width=32)), min_size=2, max_size=30)
REPEATABLE = settings(derandomize=True, deadline=None, max_examples=50)


def arrays(pairs: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    prediction, truth = np.array(pairs, np.float32).T
    return prediction, truth


def random_pair(seed: int = 1111, scale: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth = np.round(generator.uniform(-scale, scale, 400) * 5) / 5
    return truth + generator.normal(0, 0.5 * scale, 400), truth


# --- regression


def test_mae_six_clips_by_hand() -> None:
    # |differences|: 0.5, 2.4, 0.2, 2.3, 0.1, 1.0
    assert metrics.mae(PREDICTION, TRUTH) == pytest.approx(6.5 / 6)


def test_regression_random_labels_equals_scipy_and_sklearn() -> None:
    prediction, truth = random_pair()
    assert metrics.mae(prediction, truth) == pytest.approx(mean_absolute_error(truth, prediction))
    assert metrics.corr(prediction, truth) == pytest.approx(np.corrcoef(truth, prediction)[0, 1])


@pytest.mark.parametrize(
    ("prediction", "truth"), [([0.3, 0.3, 0.3], [1, 2, 3]), ([1, 2, 3], [0.1, 0.1, 0.1]), ([1.0], [2.0])]
)
def test_corr_constant_or_single_value_is_nan_without_warning(
    prediction: list[float], truth: list[float], recwarn: pytest.WarningsRecorder
) -> None:
    assert math.isnan(metrics.corr(np.array(prediction), np.array(truth)))
    assert not recwarn.list


# --- classes of MOSI and MOSEI


@pytest.mark.parametrize(
    ("value", "acc7_class"),
    [(0.5, 0), (1.5, 2), (2.5, 2), (-0.5, 0), (-1.5, -2), (-2.5, -2), (0.51, 1), (3.4, 3), (-9.0, -3)],
)
def test_acc7_class_of_one_value_rounds_half_to_even(value: float, acc7_class: int) -> None:
    truth = np.arange(-3.0, 4.0)
    expected = [100.0 if label == acc7_class else 0.0 for label in truth]
    assert [metrics.acc7(np.array([value]), np.array([label])) for label in truth] == expected


def test_acc5_labels_beyond_two_count_as_two() -> None:
    prediction, truth = np.array([2.0, 1.6, -3.0, 1.4]), np.array([3.0, 2.6, -2.0, 2.0])
    assert metrics.acc5(prediction, truth) == 75.0
    assert metrics.acc7(prediction, truth) == 0.0


# --- two classes: neutral clips


def test_acc2_f1_non0_by_hand() -> None:
    # Without the neutral clip: truth + + − − +, predicted + − − + +. Both classes: precision = recall.
    # Positive F1 2/3 (3 clips), negative F1 1/2 (2 clips): (3 · 2/3 + 2 · 1/2) / 5 = 0.6.
    assert metrics.acc2_f1_non0(PREDICTION, TRUTH) == pytest.approx((60.0, 60.0))


def test_acc2_f1_has0_by_hand() -> None:
    # The neutral clip is positive here and predicted −: truth + + − − + +, predicted + − − + − +.
    # Positive: precision 2/3, recall 2/4, F1 4/7; negative: precision 1/3, recall 1/2, F1 2/5.
    expected = 100 * (4 * 4 / 7 + 2 * 2 / 5) / 6
    assert metrics.acc2_f1_has0(PREDICTION, TRUTH) == pytest.approx((50.0, expected))


def test_mag_drops_neutral_clips_everywhere() -> None:
    kept = TRUTH != 0
    assert metrics.mag_mae(PREDICTION, TRUTH) == pytest.approx(6.4 / 5)
    expected = stats.pearsonr(PREDICTION[kept], TRUTH[kept]).statistic
    assert metrics.mag_corr(PREDICTION, TRUTH) == pytest.approx(expected)
    assert metrics.mag_acc2_f1(PREDICTION, TRUTH) == pytest.approx((60.0, 60.0))


def test_prediction_of_exactly_zero_is_negative_in_non0_and_positive_in_mag() -> None:
    prediction, truth = np.array([0.0, 1.0, -1.0]), np.array([1.0, 1.0, -1.0])
    assert metrics.acc2_f1_non0(prediction, truth)[0] == pytest.approx(200 / 3)
    assert metrics.mag_acc2_f1(prediction, truth)[0] == 100.0


def test_only_neutral_clips_leave_nothing_to_score(recwarn: pytest.WarningsRecorder) -> None:
    prediction, truth = np.array([0.5, -0.5]), np.zeros(2)
    values = [*metrics.acc2_f1_non0(prediction, truth), *metrics.mag_acc2_f1(prediction, truth)]
    values += [metrics.mag_mae(prediction, truth), metrics.mag_corr(prediction, truth)]
    values += [metrics.misa_f1_non0(prediction, truth)]
    assert all(math.isnan(value) for value in values)
    assert metrics.acc2_f1_has0(prediction, truth)[0] == 50.0
    assert not recwarn.list


def test_f1_swapped_arguments_weight_by_predictions() -> None:
    # truth + + + + −, predicted + + − − −:
    prediction, truth = np.array([1.0, 1.0, -1.0, -1.0, -1.0]), np.array([1.0, 1.0, 1.0, 1.0, -1.0])
    # +: precision 1, recall 1/2, F1 2/3; −: precision 1/3, recall 1, F1 1/2.
    assert metrics.acc2_f1_non0(prediction, truth)[1] == pytest.approx(100 * (4 * 2 / 3 + 1 * 1 / 2) / 5)
    assert metrics.misa_f1_non0(prediction, truth) == pytest.approx(100 * (2 * 2 / 3 + 3 * 1 / 2) / 5)


def test_two_classes_random_labels_equal_sklearn() -> None:
    prediction, truth = random_pair()
    kept = truth != 0
    assert 0 < kept.sum() < len(truth)
    conventions = [
        (metrics.acc2_f1_non0, truth[kept] > 0, prediction[kept] > 0),
        (metrics.acc2_f1_has0, truth >= 0, prediction >= 0),
        (metrics.mag_acc2_f1, truth[kept] >= 0, prediction[kept] >= 0),
    ]
    for convention, actual, predicted in conventions:
        expected = accuracy_score(actual, predicted), f1_score(actual, predicted, average="weighted")
        assert convention(prediction, truth) == pytest.approx(tuple(100 * value for value in expected))


# --- SIMS


@pytest.mark.parametrize("precision", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("value", "of_three", "of_five"),
    [
        (-2.0, 0, 0),
        (-0.7, 0, 0),
        (-0.69, 0, 1),
        (-0.1, 0, 1),
        (-0.09, 1, 2),
        (0.0, 1, 2),
        (0.1, 1, 2),
        (0.11, 2, 3),
        (0.7, 2, 3),
        (0.71, 2, 4),
        (5.0, 2, 4),
    ],
)
def test_sims_cuts_belong_to_the_lower_class(value: float, of_three: int, of_five: int, precision: type) -> None:
    three, five = (-1.0, 0.0, 1.0), (-1.0, -0.4, 0.0, 0.4, 1.0)  # a label inside each class
    hits = [metrics.sims_acc3(np.array([value], precision), np.array([label], precision)) for label in three]
    assert hits == [100.0 * (i == of_three) for i in range(3)]
    hits = [metrics.sims_acc5(np.array([value], precision), np.array([label], precision)) for label in five]
    assert hits == [100.0 * (i == of_five) for i in range(5)]


def test_sims_mae_and_corr_clip_first() -> None:
    prediction, truth = np.array([2.0, -3.0, 0.5]), np.array([0.8, -1.0, 0.0])
    assert metrics.sims_mae(prediction, truth) == pytest.approx((0.2 + 0.0 + 0.5) / 3)
    expected = np.corrcoef([1.0, -1.0, 0.5], truth)[0, 1]
    assert metrics.sims_corr(prediction, truth) == pytest.approx(expected)
    assert metrics.sims_corr(prediction, truth) != pytest.approx(metrics.corr(prediction, truth))


def test_sims_acc2_counts_neutral_clips_as_negative() -> None:
    prediction, truth = np.array([0.2, -0.2, 0.0, 0.5]), np.array([0.0, 0.0, 0.0, 0.5])
    # truth − − − +, predicted + − − +: −: precision 1, recall 2/3, F1 4/5; +: precision 1/2, recall 1, F1 2/3.
    assert metrics.sims_acc2_f1(prediction, truth) == pytest.approx((75.0, 100 * (3 * 4 / 5 + 2 / 3) / 4))


def test_sims_classes_random_labels_equal_pandas_cut() -> None:
    prediction, truth = random_pair(scale=1.0)
    for accuracy, cuts in ((metrics.sims_acc3, [-0.1, 0.1]), (metrics.sims_acc5, [-0.7, -0.1, 0.1, 0.7])):
        bins = [-np.inf, *cuts, np.inf]
        same = pd.cut(prediction, bins, labels=False) == pd.cut(truth, bins, labels=False)
        assert accuracy(prediction, truth) == pytest.approx(100 * same.mean())


# --- evaluate


@pytest.mark.parametrize("family", list(LABEL_SCALE))
def test_evaluate_every_family_has_its_headline_and_known_directions(family: str) -> None:
    result = metrics.evaluate(PREDICTION, TRUTH, family)
    assert set(metrics.HEADLINE[family]) <= set(result) <= set(metrics.HIGHER_IS_BETTER)
    assert all(isinstance(value, float) for value in result.values())


def test_evaluate_mosi_holds_the_papers_convention() -> None:
    expected = {"Acc7": 100 / 3, "Acc5": 50.0, "Acc2": 60.0, "F1": 60.0, "Acc2_has0": 50.0}
    # Rounded predictions 0, 0, −1, 0, 0, 3(2): Acc7 hits −1, 0, 3; Acc5 the same three.
    expected["Acc7"] = 50.0
    expected |= {"F1_has0": 100 * (16 / 7 + 4 / 5) / 6, "MAE": 6.5 / 6}
    expected["Corr"] = np.corrcoef(PREDICTION, TRUTH)[0, 1]
    assert metrics.evaluate(PREDICTION, TRUTH, "mosi") == pytest.approx(expected)


def test_evaluate_sims_holds_mmsas_convention() -> None:
    prediction, truth = np.array([0.2, -0.2, 0.0, 5.0]), np.array([0.0, 0.0, 0.0, 0.5])
    expected = {"Acc2": 75.0, "F1": 100 * (3 * 4 / 5 + 2 / 3) / 4, "Acc3": 50.0, "Acc5": 25.0, "MAE": 0.9 / 4}
    expected["Corr"] = np.corrcoef([0.2, -0.2, 0.0, 1.0], truth)[0, 1]
    assert metrics.evaluate(prediction, truth, "sims") == pytest.approx(expected)


def test_evaluate_unknown_family_names_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'mosei'"):
        metrics.evaluate(PREDICTION, TRUTH, "moseii")


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


# --- properties


@REPEATABLE
@given(PAIRS)
def test_conventions_agree_without_neutral_labels_and_zero_predictions(pairs: list[tuple[float, float]]) -> None:
    prediction, truth = arrays([(p or 1.0, t or 1.0) for p, t in pairs])
    expected = pytest.approx(metrics.acc2_f1_has0(prediction, truth))
    assert metrics.acc2_f1_non0(prediction, truth) == expected
    assert metrics.mag_acc2_f1(prediction, truth) == expected
    assert metrics.sims_acc2_f1(prediction, truth) == expected
    assert metrics.mag_mae(prediction, truth) == pytest.approx(metrics.mae(prediction, truth))


# --- undefined


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
