"""Linear probes: against the normal equations, and on data where the right answer is known."""

import numpy as np
import pytest
from made_up import changed, make_dataset
from small import bag_of_words

from mugkit.config import hyperparameters
from mugkit.data.schema import RaggedFrames
from mugkit.evaluation import probes

NETWORK = hyperparameters("mosi", "smoke").network


pytestmark = pytest.mark.usefixtures("cheap_text")


def _normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def test_frame_means_equal_a_loop_over_clips() -> None:
    sequences = RaggedFrames(_normal(0, 6, 2).astype(np.float32), np.array([0, 1, 4, 6]))
    expected = [np.mean(sequences[clip], axis=0, dtype=np.float64) for clip in range(3)]
    np.testing.assert_allclose(probes.frame_means(sequences), expected, atol=1e-12)


@pytest.mark.parametrize("sign", [1, -1], ids=["weakest penalty", "strongest penalty"])  # is best on validation
def test_ridge_predictions_solve_the_normal_equations_of_the_strength_chosen_on_validation(sign: int) -> None:
    inputs = {name: _normal(seed, 30, 3) for seed, name in enumerate(("train", "valid", "test"))}
    weights = np.array([1.0, -2.0, 0.5])
    targets = {name: values @ weights + 0.3 * _normal(9, 30) for name, values in inputs.items()}
    targets["valid"] *= sign
    predicted = probes.ridge_predictions(inputs, targets)
    mean, std = inputs["train"].mean(axis=0), inputs["train"].std(axis=0)
    x = {name: (values - mean) / std for name, values in inputs.items()}
    centred = targets["train"] - targets["train"].mean()
    by_strength = {}
    for strength in probes.STRENGTHS:
        w = np.linalg.solve(x["train"].T @ x["train"] + strength * np.eye(3), x["train"].T @ centred)
        error = np.abs(x["valid"] @ w + targets["train"].mean() - targets["valid"]).mean()
        by_strength[error] = x["test"] @ w + targets["train"].mean()
    np.testing.assert_allclose(predicted, by_strength[min(by_strength)], atol=1e-9)


def test_teachers_prefer_true_labels_where_the_clips_label_lies() -> None:
    dataset, rng = make_dataset(sizes=(200, 60, 60)), np.random.default_rng(5)
    for name, split in dataset.splits.items():
        dataset = changed(dataset, name, labels=rng.uniform(-3, 3, len(split)).astype(np.float32))
    table = probes.teachers(dataset, NETWORK)
    assert table["taught by"].tolist() == ["y", "y_l", "y", "y_a", "y", "y_v"]
    error, by_truth = table["MAE"].to_numpy()[::2], table["MAE"].to_numpy()[1::2]
    assert (by_truth < 0.7 * error).all()


def test_single_streams_judge_each_stream_and_the_constant_against_y() -> None:
    dataset = make_dataset(sizes=(100, 30, 30))
    table = probes.single_streams(dataset, NETWORK)
    words = probes.vectors(dataset, "l", NETWORK)["test"]
    np.testing.assert_array_equal(words, bag_of_words(dataset.test.text))  # the encoder's features
    assert table.index.tolist() == ["language", "acoustic", "visual", "all three", "none (a constant)"]
    assert table["dims"].tolist() == [15, 5, 4, 24, 0]
    constant = np.abs(np.median(dataset.train.labels) - dataset.test.labels).mean()
    assert table.loc["none (a constant)", "MAE"] == pytest.approx(constant)
    assert np.isnan(table.loc["none (a constant)", "Corr"])
    assert (table["MAE"].to_numpy()[:4] < constant).all()
