"""Differences between systems: paired over clips, Bonferroni, verdicts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mugkit.config import RunSpec
from mugkit.data.schema import Dataset
from mugkit.engine import Run
from mugkit.results import comparison


def run_with(folder: Path, dataset: Dataset, system: str, seed: int, predicted: np.ndarray) -> Run:
    """A finished run whose test predictions are given, stored in an order that is not the data set's."""
    folder.mkdir()
    table = pd.DataFrame({"split": "test", "id": dataset.test.ids, "prediction": predicted})
    table.iloc[::-1].to_parquet(folder / "predictions.parquet", index=False)
    return Run(RunSpec(system, dataset.name, seed), folder, {}, {}, 0, True)


@pytest.fixture
def dataset(made_up: Callable[..., Dataset]) -> Dataset:
    return made_up(sizes=(4, 2, 40))


def test_predictions_follow_order_of_data_set(dataset: Dataset, tmp_path: Path) -> None:
    values = np.arange(40.0)
    run = run_with(tmp_path / "a", dataset, "mug", 1, values)
    np.testing.assert_array_equal(comparison.predictions([run], dataset), values[None])


def test_against_constant_extra_error_is_found_exactly(dataset: Dataset, tmp_path: Path) -> None:
    y = dataset.test.labels
    runs = {
        "mug": [run_with(tmp_path / f"m{s}", dataset, "mug", s, y + 0.5) for s in (1, 2)],
        "copy": [run_with(tmp_path / f"c{s}", dataset, "copy", s, y - 0.75) for s in (1, 2)],
    }
    row = comparison.against(dataset, runs, "mug").iloc[0]
    assert row["difference"] == pytest.approx(0.25, abs=1e-6)
    assert (row["clips_low"], row["clips_high"], row["seeds_low"], row["seeds_high"]) == pytest.approx(
        (0.25,) * 4, abs=1e-6
    )
    assert row["verdict"] == "worse than MUG"


def test_against_differences_that_cancel_are_undecided(dataset: Dataset, tmp_path: Path) -> None:
    y, swing = dataset.test.labels, np.tile([0.1, -0.1], 20)
    runs = {
        "mug": [run_with(tmp_path / "mug", dataset, "mug", 1, y + 0.5 + swing)],
        "copy": [run_with(tmp_path / "copy", dataset, "copy", 1, y + 0.5 - swing)],
    }
    row = comparison.against(dataset, runs, "mug").iloc[0]
    assert row["difference"] == pytest.approx(0, abs=1e-6)
    assert row["clips_low"] < -0.02 < 0.02 < row["clips_high"]
    assert row["verdict"] == "undecided"


def test_against_two_rows_widens_each_interval(dataset: Dataset, tmp_path: Path) -> None:
    y, rng = dataset.test.labels, np.random.default_rng(1)
    names = ("mug", "copy", "mug-without-unimodal")
    runs = {n: [run_with(tmp_path / n, dataset, n, 1, y + rng.standard_normal(40))] for n in names}
    both = comparison.against(dataset, runs, "mug")
    alone = comparison.against(dataset, {n: runs[n] for n in names[:2]}, "mug")
    assert both["level"].tolist() == [0.975, 0.975]
    assert alone["level"].tolist() == [0.95]
    assert both["clips_high"][0] - both["clips_low"][0] > alone["clips_high"][0] - alone["clips_low"][0]


def test_against_small_p_is_corrected_for_the_number_of_rows(dataset: Dataset, tmp_path: Path) -> None:
    y = dataset.test.labels
    runs = {"mug": [run_with(tmp_path / f"m{s}", dataset, "mug", s, y) for s in (1, 2)]}
    for name in ("copy", "mug-without-unimodal", "mug-true-labels"):
        runs[name] = [run_with(tmp_path / f"{name}{s}", dataset, name, s, y + 0.1) for s in (1, 2)]
    table = comparison.against(dataset, runs, "mug")
    assert (table["p"] < 0.001).all()
    np.testing.assert_allclose(table["p_corrected"], 3 * table["p"])


def test_against_one_lucky_seed_is_undecided(dataset: Dataset, tmp_path: Path) -> None:
    # Every clip is worse on average, but only because of one seed of two.
    y = dataset.test.labels
    runs = {
        "mug": [run_with(tmp_path / f"m{s}", dataset, "mug", s, y + 0.5) for s in (1, 2)],
        "copy": [run_with(tmp_path / f"c{s}", dataset, "copy", s, y + e) for s, e in ((1, 0.5), (2, 0.9))],
    }
    row = comparison.against(dataset, runs, "mug").iloc[0]
    assert row["clips_low"] > 0.19
    assert row["seeds_low"] < 0 < row["seeds_high"]
    assert row["verdict"] == "undecided"


def test_display_shows_sign_and_verdict(dataset: Dataset, tmp_path: Path) -> None:
    y = dataset.test.labels
    runs = {
        n: [run_with(tmp_path / f"{n}{s}", dataset, n, s, y + e) for s in (1, 2)]
        for n, e in (("mug", 0.5), ("copy", 0.25))
    }
    shown = comparison.display(comparison.against(dataset, runs, "mug"))
    assert shown.loc["y_mc ← y"].tolist() == [
        "-0.250", "0.000", "[-0.250, -0.250]", "[-0.250, -0.250]", "better than MUG",
    ]  # fmt: skip
