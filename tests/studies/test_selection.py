"""Tuning on the test set: by hand on few models, and on coin flips, where every gain is illusion."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from mugkit.studies.selection import candidates, sign_hits, tuning_gain


def _inputs(dims: int = 4) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    inputs = {name: rng.standard_normal((20, dims)) for name in ("train", "valid", "test")}
    return inputs, {"train": inputs["train"] @ np.arange(1.0, dims + 1)}


def test_candidates_with_all_dims_are_one_ridge_regression() -> None:
    inputs, targets = _inputs()
    predicted = candidates(inputs, targets, count=3, width=9)
    mean, std = inputs["train"].mean(axis=0), inputs["train"].std(axis=0)
    model = Ridge(100.0).fit((inputs["train"] - mean) / std, targets["train"])
    for row in predicted["test"]:
        np.testing.assert_allclose(row, model.predict((inputs["test"] - mean) / std), atol=1e-9)


def test_candidates_see_different_dims_and_the_same_ones_for_the_same_seed() -> None:
    inputs, targets = _inputs()
    first, again, other = (candidates(inputs, targets, 5, 2, seed)["valid"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    assert len(np.unique(first.round(6), axis=0)) > 1


def test_sign_hits_drop_neutral_clips_and_count_zero_as_negative() -> None:
    hits = sign_hits(np.array([[1.0, 0.0, -1.0, 5.0], [-1.0, 0.0, 1.0, 5.0]]), np.array([2.0, -1.0, 1.0, 0.0]))
    assert hits.tolist() == [[True, True, False], [False, True, True]]


def test_tuning_gain_finds_the_model_that_is_really_better() -> None:
    test = np.zeros((6, 10), bool)
    test[4] = True  # right everywhere; the others are wrong everywhere
    numbers = tuning_gain(test, test, repeats=5)
    assert numbers["counts"] == [1, 2, 4, 6]
    assert all(numbers[name][-1] == 100 for name in numbers if "_" in name)


def test_tuning_gain_on_coin_flips_is_illusion() -> None:
    rng = np.random.default_rng(3)
    numbers = tuning_gain(rng.random((64, 200)) < 0.5, rng.random((64, 200)) < 0.5, repeats=100)
    # The best of 64 means of 100 coins lies about 2.4 deviations of 5 points above one half.
    assert numbers["peeked_reported"][-1] == pytest.approx(50 + 2.4 * 5, abs=2.5)
    assert numbers["peeked_reported"] == sorted(numbers["peeked_reported"])
    for name in ("peeked_fresh", "honest_reported", "honest_fresh"):
        assert numbers[name][-1] == pytest.approx(50, abs=5), name
