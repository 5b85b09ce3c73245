"""Sentences say what the numbers are, whichever way they come out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from made_study import difference, finished

from mugkit.config import RunSpec
from mugkit.data.schema import Dataset
from mugkit.studies import sentences

BETTER, WORSE, NONE, OPEN = difference(-0.06), difference(0.06), difference(0.001), difference(0.0, 0.02)


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (BETTER, "lowers MAE by 0.060 [0.055, 0.065]"),
        (WORSE, "raises MAE by 0.060 [0.055, 0.065]"),
        (difference(1.2, 0.4, "Acc2"), "raises Acc2 by 1.2 [0.8, 1.6]"),
        (difference(-0.004, 0.002), "lowers MAE by 0.004 [0.002, 0.006], less than 0.01"),
        (NONE, "has no effect on MAE above 0.01 (+0.001 [-0.004, +0.006])"),
        (OPEN, "has an undecided effect on MAE (+0.000 [-0.020, +0.020])"),
        (difference(0.0) | {"seeds_low": None, "seeds_high": None}, "has an undecided effect on MAE (+0.000)"),
    ],
)
def test_effect_is_told_with_the_interval_that_decides(one: dict[str, Any], said: str) -> None:
    assert sentences.effect(one) == said


def test_steps_are_those_of_systems_that_ran(made_up: Callable[..., Dataset], tmp_path: Path) -> None:
    dataset, wrong = made_up((4, 4, 30)), {"mug-without-unimodal": 0.5, "copy": 0.4, "mug": 0.2}
    runs = {name: [finished(dataset, tmp_path / name, by, RunSpec(name, "made-up", 1))] for name, by in wrong.items()}
    found = {name: changes[0]["difference"] for name, changes in sentences.steps(dataset, runs).items()}
    assert found == pytest.approx({"copies": -0.1, "MUG": -0.3, "MUG over copies": -0.2}, abs=1e-5)


def test_baselines_are_counted_by_themselves_and_together() -> None:
    close = difference(0.02, 0.019)  # beyond zero by itself, not among five
    rows = {"MISA": WORSE, "HyCon": BETTER, "MMIM": NONE, "CubeMLP": OPEN, "Self-MM": close, "y_mc ← y": WORSE}
    table = pd.DataFrame([{"system": name, **one} for name, one in rows.items()])
    text = sentences.baselines("made up", table)
    assert "better than that of 2 of 5 baselines, of 1 of them also when all are judged together" in text
    assert "worse against HyCon (-0.060 [-0.065, -0.055])" in text
    assert "y_mc" not in text
    assert sentences.baselines("made up", table[table["system"] == "y_mc ← y"]) == "On made up, no baseline has run."
