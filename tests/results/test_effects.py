"""The rule for effects: clips and seeds must both say so, and all comparisons are judged together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mugkit import files
from mugkit.config import RunSpec
from mugkit.data.schema import Dataset
from mugkit.engine import Run
from mugkit.results import effects


def difference(p: float | None, low: float | None, high: float | None) -> dict[str, Any]:
    return {"difference": 0.0 if low is None else low, "p": p, "seeds_low": low, "seeds_high": high}


@pytest.mark.parametrize(
    ("one", "word"),
    [
        (difference(0.001, 0.1, 0.2), "above"),
        (difference(0.001, -0.2, -0.1), "below"),
        (difference(0.2, 0.1, 0.2), "neither"),  # clips do not say so
        (difference(0.001, -0.1, 0.2), "neither"),  # seeds do not say so
        (difference(0.001, None, None), "neither"),  # a single seed
        (difference(None, None, None), "neither"),  # undefined
    ],
)
def test_decide_needs_clips_and_seeds(one: dict[str, Any], word: str) -> None:
    assert effects.decide([one], "below", "above", "neither") == [word]


def test_decide_corrects_for_the_number_of_comparisons() -> None:
    clear, weak = difference(0.001, 0.1, 0.2), difference(0.03, 0.1, 0.2)
    assert effects.decide([weak], "b", "a", "n") == ["a"]
    assert effects.decide([clear, weak, weak], "b", "a", "n") == ["a", "n", "n"]  # 0.03 · 2 is not below 0.05


def test_decide_nothing() -> None:
    assert effects.decide([], "b", "a", "n") == []


def test_interval_says_the_difference_and_what_is_known_around_it() -> None:
    assert effects.interval(difference(0.1, 0.25, 0.5)) == "+0.250 [+0.250, +0.500]"
    assert effects.interval(difference(0.1, None, None)) == "+0.000"
    assert effects.interval({"difference": None, "seeds_low": None, "seeds_high": None}) == "undefined"


@pytest.fixture
def runs(made_up: Callable[..., Dataset], tmp_path: Path) -> tuple[Dataset, list[Run], list[Run]]:
    """Two runs that are wrong by 0.5 everywhere, and two that are right; clips lie in another order on disk."""
    dataset = made_up((4, 6, 8))
    made = []
    for i, wrong in enumerate((0.5, -0.5, 0.0, 0.0)):
        parts = [
            pd.DataFrame({"split": name, "id": split.ids, "prediction": split.labels + wrong})
            for name, split in dataset.splits.items()
        ]
        folder = tmp_path / str(i)
        folder.mkdir()
        pd.concat(parts).sample(frac=1, random_state=i).to_parquet(folder / "predictions.parquet")
        made.append(Run(RunSpec("mug", "made-up", i), folder, {}, {}, 0, False))
    return dataset, made[:2], made[2:]


@pytest.mark.parametrize("split", ["valid", "test"])
def test_predicted_is_in_the_order_of_the_clips(runs: tuple[Dataset, list[Run], list[Run]], split: str) -> None:
    dataset, wrong, _ = runs
    labels = dataset.splits[split].labels
    np.testing.assert_allclose(effects.predicted(wrong, dataset, split), [labels + 0.5, labels - 0.5], atol=1e-6)


def test_test_error_is_the_paired_difference_of_mae(runs: tuple[Dataset, list[Run], list[Run]]) -> None:
    dataset, wrong, right = runs
    found = effects.test_error(wrong, right, dataset)
    assert found["difference"] == pytest.approx(0.5, abs=1e-6)
    assert (found["clips"], found["seeds"]) == (8, 2)
    assert found["seeds_low"] == pytest.approx(0.5, abs=1e-5)


def test_records_undefined_numbers_become_null(tmp_path: Path) -> None:
    table = pd.DataFrame({"field": ["a", "b"], "mean": [0.5, np.nan], "n": [2, 3], "word": ["x", None]})
    rows = effects.records(table)
    assert rows == [
        {"field": "a", "mean": 0.5, "n": 2, "word": "x"},
        {"field": "b", "mean": None, "n": 3, "word": None},
    ]
    files.write_json(tmp_path / "rows.json", rows)  # refuses NaN
