"""Labels of every source against the truth: measures worked out by hand, groups of clips, stage 3's result beside."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mugkit.config import RunSpec
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.experiments.experiment import Run
from mugkit.studies import label_table


@pytest.fixture
def dataset(made_up: Callable[..., Dataset]) -> Dataset:
    """Four training clips with known labels; the last two have modalities that disagree."""
    data = made_up((4, 2, 2))
    true = {"l": [1.0, -1.0, 2.0, -2.0], "a": [1.0, -1.0, -1.0, 0.0], "v": [2.0, 0.0, 1.0, 1.0]}
    labels = {m: np.array(values, np.float32) for m, values in true.items()}
    train = dataclasses.replace(data.train, true_labels=labels)
    return dataclasses.replace(data, splits={**data.splits, "train": train})


def test_quality_worked_out_by_hand(dataset: Dataset) -> None:
    assert label_table.disagreeing(dataset.train.true_labels).tolist() == [False, False, True, True]
    zeros, exact = dict.fromkeys(MODALITIES, np.zeros(4, np.float32)), dict(dataset.train.true_labels)
    shifted = [{m: exact[m] + s for m in MODALITIES} for s in (0.1, 0.3)]
    table = label_table.quality(dataset, {"zeros": [zeros], "truth": [exact], "shifted": shifted})
    means = table.set_index(["source", "clips", "modality", "measure"])["mean"]
    expected = {
        ("zeros", "all", "language", "MAE"): 1.5,
        ("zeros", "disagreeing", "language", "MAE"): 2.0,
        ("zeros", "disagreeing", "acoustic", "MAE"): 0.5,
        ("zeros", "all", "visual", "Corr"): np.nan,
        ("truth", "all", "visual", "Corr"): 1.0,
        ("truth", "all", "acoustic", "sign %"): 100.0,
    }
    assert {key: means[key] for key in expected} == pytest.approx(expected, nan_ok=True)
    assert set(table[table["clips"] == "disagreeing"]["n_clips"]) == {2}
    row = table[table["source"] == "shifted"].iloc[0]
    assert (row["mean"], row["std"], row["n"]) == (pytest.approx(0.2), pytest.approx(0.2 / 2**0.5), 2)


def test_display_puts_stage_3_beside_labels(dataset: Dataset) -> None:
    table = label_table.quality(dataset, {"copy": [dict(dataset.train.true_labels)]})
    run = Run(RunSpec("copy", "x", 1), Path(), {"MAE": 1.25, "Corr": None}, {}, 0, True)
    shown = label_table.display(label_table.with_results(table, {"copy": [run], "none": [run]}))
    assert list(shown.index) == ["copy", "none"]
    assert shown.loc["copy", "multimodal"].tolist() == ["1.250", "undefined"]
    assert shown.loc["none", ("language", "MAE")] == "–"


def test_points_of_sources_with_networks_of_their_own_are_hollow() -> None:
    places = [("all", "language"), ("all", "visual"), ("test", "multimodal")]
    rows = [
        {"source": source, "clips": clips, "modality": m, "measure": "MAE", "mean": mean, "std": 0.1}
        for source, means in {"mug": (0.4, 0.6, 0.9), "sugrm": (0.8, 1.0, 1.1)}.items()
        for (clips, m), mean in zip(places, means, strict=True)
    ]
    points = label_table.quality_against_result(pd.DataFrame(rows))
    assert [(point["labels"], point["result"], point["std"]) for point in points] == [(0.5, 0.9, 0.1), (0.9, 1.1, 0.1)]
    mug, sugrm = label_table.draw_quality_against_result(points).axes[0].containers
    assert (mug.lines[0].get_xdata()[0], mug.lines[0].get_ydata()[0]) == (0.5, 0.9)
    assert mug.lines[0].get_markerfacecolor() == mug.lines[0].get_color()
    assert sugrm.lines[0].get_markerfacecolor() == "white"
    assert "network of its own" in str(sugrm.get_label())
