"""The one comparison: against the metrics themselves, scipy, and cases known by hand; then of finished runs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up import make_dataset
from scipy import stats

from mugkit import metrics
from mugkit.config import RunSpec
from mugkit.errors import UserError
from mugkit.evaluation import comparison
from mugkit.experiments.experiment import Run

RNG = np.random.default_rng(7)
TRUTH = np.round(RNG.uniform(-3, 3, 200), 1)
TRUTH[:20] = 0.0
GOOD = TRUTH + 0.5 * RNG.standard_normal((3, 200))
BAD = 0.3 * TRUTH + 1.2 * RNG.standard_normal((3, 200))


@pytest.mark.parametrize(("family", "scale"), [("mosi", 3.0), ("sims", 1.0)])
def test_metrics_as_sums_are_the_metrics_of_the_tables(family: str, scale: float) -> None:
    truth, prediction = TRUTH / 3 * scale, BAD[0] / 3 * scale  # some beyond the scale
    expected = metrics.evaluate(prediction, truth, family)
    found = {name: metric.of(prediction, truth) for name, metric in comparison.metrics_of(family).items()}
    assert found == pytest.approx({name: expected[name] for name in metrics.HEADLINE[family]})


def test_measures_of_labels_by_hand() -> None:
    labels, true = np.array([1.0, -0.5, 0.0, 2.0]), np.array([2.0, 1.0, -1.0, 0.0])
    found = {name: metric.of(labels, true) for name, metric in comparison.LABELS.items()}
    # One of three signs is right: a true label of 0 has none, a label of 0 has not the sign of −1.
    assert found == pytest.approx({"MAE": 5.5 / 4, "Corr": stats.pearsonr(labels, true)[0], "sign %": 100 / 3})
    assert np.isnan(comparison.LABELS["sign %"].of(labels, 0 * true))


@pytest.mark.parametrize("name", ["Acc7", "Acc2", "F1", "MAE", "Corr"])
def test_compare_finds_a_large_difference_and_its_direction(name: str) -> None:
    found = comparison.compare(comparison.metrics_of("mosi")[name], GOOD, BAD, TRUTH)
    sign = -1 if name == "MAE" else 1
    good, bad = (np.mean([metrics.evaluate(row, TRUTH, "mosi")[name] for row in rows]) for rows in (GOOD, BAD))
    assert found["difference"] == pytest.approx(good - bad)
    for which in ("clips", "seeds"):
        low, high = sorted((sign * found[f"{which}_low"], sign * found[f"{which}_high"]))
        assert 0 < low < sign * found["difference"] < high
    assert (found["clips"], found["seeds"]) == (200, 3)


def test_compare_interval_of_mae_is_that_of_another_method() -> None:
    near = GOOD + 0.05 * RNG.standard_normal((3, 200))
    found = comparison.compare(comparison.metrics_of("mosi")["MAE"], GOOD, near, TRUTH)
    by_clip = (np.abs(GOOD - TRUTH) - np.abs(near - TRUTH)).mean(0)
    normal = stats.norm.interval(0.95, by_clip.mean(), by_clip.std() / np.sqrt(200))
    assert (found["clips_low"], found["clips_high"]) == pytest.approx(normal, abs=0.05 * (normal[1] - normal[0]))


def test_compare_leaves_out_what_is_undefined() -> None:
    known = comparison.metrics_of("mosi")
    single = comparison.compare(known["MAE"], GOOD, BAD[:1], TRUTH)  # as many seeds as both have
    assert (single["seeds"], single["seeds_low"]) == (1, None)
    assert single["clips_low"] is not None
    assert comparison.compare(known["MAE"], GOOD[0], BAD[0], TRUTH) == single  # no axis of seeds: one seed
    constant = comparison.compare(known["Corr"], np.ones((2, 200)), BAD[:2], TRUTH)
    assert constant["difference"] is constant["clips_low"] is None


DATASET = make_dataset(sizes=(4, 40, 40))


@pytest.fixture
def run_with(tmp_path: Path) -> Callable[..., Run]:
    """Makes a finished run that is wrong by so much on every clip, stored in an order that is not the data set's."""

    def make(system: str, seed: int, wrong: float | np.ndarray) -> Run:
        place = tmp_path / f"{system}-{seed}"
        place.mkdir()
        parts = [
            pd.DataFrame({"split": name, "id": split.ids, "prediction": split.labels + wrong})
            for name, split in DATASET.splits.items()
            if name != "train"
        ]
        pd.concat(parts).sample(frac=1, random_state=seed).to_parquet(place / "predictions.parquet", index=False)
        return Run(RunSpec(system, DATASET.name, seed), place, {}, {}, 0, True)

    return make


@pytest.mark.parametrize("split", ["valid", "test"])
def test_predictions_are_in_the_order_of_the_clips(split: str, run_with: Callable[..., Run]) -> None:
    folders = [run_with("mug", seed, 0.5 * seed).folder for seed in (1, 2)]
    labels = DATASET.splits[split].labels
    read = comparison.predictions(folders, DATASET, split)
    np.testing.assert_allclose(read, [labels + 0.5, labels + 1.0], atol=1e-6)


def test_true_labels_of_data_that_have_none_are_refused() -> None:
    with pytest.raises(UserError, match="'made-up' has no true unimodal labels"):
        comparison.true_labels(make_dataset(true_labels=False))


def test_of_runs_pairs_the_seeds_that_both_have(run_with: Callable[..., Run]) -> None:
    ours = [run_with("mug", seed, 0.1 * seed) for seed in (3, 1, 2)]
    theirs = [run_with("copy", seed, 0.1 * seed + 0.5) for seed in (2, 3, 4)]
    found = comparison.of_runs(ours, theirs, DATASET)
    assert found["seeds"] == 2
    ends = [found[key] for key in ("difference", "clips_low", "clips_high", "seeds_low", "seeds_high")]
    assert ends == pytest.approx([-0.5] * 5, abs=1e-5)
    with pytest.raises(UserError, match="no seed in common"):
        comparison.of_runs(ours[1:2], theirs, DATASET)


def test_against_says_who_is_better_than_the_reference(run_with: Callable[..., Run]) -> None:
    wrong = {"mug": 0.5, "copy": 0.25, "mug-without-unimodal": 0.75, "mug-true-labels": 0.504}
    runs = {name: [run_with(name, seed, by) for seed in (1, 2)] for name, by in wrong.items()}
    runs["mlc"] = [run_with("mlc", seed, 0.5 + np.tile([0.1 * seed, -0.1], 20)) for seed in (1, 2)]
    table = comparison.against(DATASET, runs, "mug")
    assert table[table["metric"] == "MAE"].set_index("system")["verdict"].to_dict() == {
        "y_mc ← y": "better than MUG",
        "W/O Unimodal Tasks": "worse than MUG",
        "MUG (With True Label)": "worse than MUG, by less than 0.01",
        "MLC": "undecided",
    }
    assert set(table["metric"]) == {"MAE", "Acc2"}
