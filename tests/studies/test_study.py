"""Runs of many settings together: each setting gets its own back; an undefined seed makes a mean undefined."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from mugkit.config import RunSpec
from mugkit.experiments.experiment import Run
from mugkit.studies.study import by_setting, over_seeds


def test_by_setting_runs_all_together_and_gives_each_setting_its_own() -> None:
    asked: list[list[int]] = []

    def run_all(jobs: list[int]) -> list[str]:
        asked.append(jobs)
        return [f"run {job}" for job in jobs]

    found = by_setting(run_all, {"copy": [1, 2], "none": [], "mug": [3]})
    assert found == {"copy": ["run 1", "run 2"], "none": [], "mug": ["run 3"]}
    assert asked == [[1, 2, 3]]


@pytest.mark.parametrize(("last", "mean", "std"), [(0.4, 0.3, 0.1), (None, math.nan, math.nan)])
def test_over_seeds_is_undefined_where_a_seed_is(last: float | None, mean: float, std: float) -> None:
    values = (0.2, 0.3, last)
    found = over_seeds([Run(RunSpec("mug", "x", 1), Path(), {"MAE": value}, {}, 0, True) for value in values])
    assert (found["mean"], found["std"]) == pytest.approx((mean, std), nan_ok=True)
    assert found["n"] == 3
