"""Labels of every source against the truth: measures worked out by hand, groups of clips, stage 3's result beside."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from made_study import two_seeds
from made_up import make_dataset

from mugkit.config import RunSpec
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.experiments.experiment import Run
from mugkit.studies import label_table


@pytest.fixture
def dataset() -> Dataset:
    """Four training clips with known labels; the last two have modalities that disagree."""
    data = make_dataset((4, 2, 2))
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


def test_stage_3_stands_beside_labels_and_the_anchors_beside_the_sources(dataset: Dataset) -> None:
    table = label_table.quality(dataset, {"copy": [dict(dataset.train.true_labels)]})
    run = Run(RunSpec("copy", "x", 1), Path(), {"MAE": 1.25, "Corr": None}, {}, 0, True)
    runs = {name: [run] for name in ("copy", label_table.TRUE, label_table.WITHOUT)}
    points = label_table.quality_against_result(label_table.with_results(table, runs))
    assert [(point["labels"], point["result"]) for point in points] == [(0.0, 1.25), (0.0, 1.25), (None, 1.25)]
    axes = label_table.draw_quality_against_result(points).axes[0]
    assert len(axes.containers) == 2  # what has no labels is a line
    assert 1.25 in [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == "--"]
    others = label_table.source_table(table, "disagreeing", ("MAE", "sign %"))
    assert others.columns.tolist() == [(m, k) for m in ("language", "acoustic", "visual") for k in ("MAE", "sign %")]


def test_points_of_sources_with_networks_of_their_own_are_hollow() -> None:
    points = [point("mug", 0.5, 0.9), point("sugrm", 0.9, 1.1, "its own")]
    left, right = label_table.draw_quality_against_result(points).axes
    mug, sugrm = left.containers
    assert len(right.containers) == 1  # SUGRM's labels are far from the truth
    assert (mug.lines[0].get_xdata()[0], mug.lines[0].get_ydata()[0]) == (0.5, 0.9)
    assert mug.lines[0].get_markerfacecolor() == mug.lines[0].get_color()
    assert sugrm.lines[0].get_markerfacecolor() == "white"


def point(source: str, labels: float, result: float, network: str = "MUG's") -> dict[str, object]:
    return {"source": source, "labels": labels, "result": result, "std": 0.1, "network": network}


@pytest.mark.parametrize(
    ("results", "said"),
    [
        ((0.1, 0.2, 0.3, 0.4, 0.5, 0.6), "agree beyond chance"),
        ((0.6, 0.5, 0.4, 0.3, 0.2, 0.1), "opposite beyond chance"),
        ((0.1, 0.6, 0.2, 0.3, 0.5, 0.4), "no more than"),
    ],
)
def test_orders_of_labels_and_results_are_told_with_the_anchors_beside_best_and_worst(
    results: tuple[float, ...], said: str, tmp_path: Path
) -> None:
    data, names = make_dataset((6, 4, 60)), ["copy", "ulgm", "mlc", "mug", *list(label_table.NAMES)[5:7]]
    points = [point(name, 0.1 * i, result) for i, (name, result) in enumerate(zip(names, results, strict=True))]
    points.append(point("sugrm", 9.0, 0.0, "its own"))  # its height is not due to labels alone
    wrong = {**dict(zip(names, results, strict=True)), label_table.TRUE: 0.05, label_table.WITHOUT: 0.9}
    runs = {name: two_seeds(data, tmp_path / name, by) for name, by in wrong.items()}
    text = label_table.better_model("made up", points, runs, data)
    assert said in text
    assert "6 sources" in text
    assert "knowing the true labels lowers MAE by 0.050" in text
    assert "leaving out the unimodal tasks raises MAE by 0.300" in text


def test_sources_are_listed_by_their_distance_to_the_truth(dataset: Dataset) -> None:
    zeros, exact = dict.fromkeys(MODALITIES, np.zeros(4, np.float32)), dict(dataset.train.true_labels)
    text = label_table.which_are_right("made up", label_table.quality(dataset, {"copy": [zeros], "mug": [exact]}))
    assert text.count("MUG 0.000, copies of y") == 2
