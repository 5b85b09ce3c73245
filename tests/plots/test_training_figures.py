"""Numbers behind the figures of stages 2 and 3."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from made_up import make_dataset

from mugkit.config import MetaLearning, RunSpec
from mugkit.data.schema import MODALITIES
from mugkit.evaluation.tables import Row
from mugkit.experiments.experiment import Run
from mugkit.files import write_json
from mugkit.plots import training_figures
from mugkit.training.label_sources.source import LearnedLabels


def made_up_labels(clips: int, epochs: int = 3) -> LearnedLabels:
    """Labels of modality number k: k + clip/10 after epoch e, plus e/100."""
    base = torch.arange(clips) / 10
    paths = {m: torch.stack([k + base + e / 100 for e in range(epochs)]) for k, m in enumerate(MODALITIES)}
    rows = [
        {"modality": m, "unimodal": 1.0 + e, "pre": 2.0, "post": 3.0, "gate_open": k / 2}
        for k, m in enumerate(MODALITIES)
        for e in range(epochs)
    ]
    return LearnedLabels({m: p[-1] for m, p in paths.items()}, paths, pd.DataFrame(rows))


def test_lambda_numbers_follow_equation_18() -> None:
    numbers = training_figures.lambda_numbers(MetaLearning(meta_epochs=4, lambda_init=0.5, halfway=0.5))
    assert numbers["begins"] == 2
    assert numbers["lambda"]["0.5"] == [0.5, 0.25, 0.125, 0.0625]
    assert numbers["lambda"]["0.9"] == pytest.approx([0.9, 0.81, 0.729, 0.6561])
    assert len(training_figures.lambda_figure(numbers).axes[0].lines) == 3


def test_history_numbers_are_split_by_modality() -> None:
    numbers = training_figures.history_numbers(made_up_labels(5))
    assert numbers["l"]["unimodal"] == [1.0, 2.0, 3.0]
    assert [numbers[m]["gate_open"][0] for m in MODALITIES] == [0.0, 0.5, 1.0]
    assert len(training_figures.history_figure(numbers).axes) == 3


def test_trajectory_numbers_choose_clips_that_disagree_most() -> None:
    dataset = make_dataset(sizes=(5, 2, 2))
    true = {m: np.zeros(5, np.float32) for m in MODALITIES}
    true["a"][3], true["v"][1] = 2.5, -1.0
    train = dataclasses.replace(dataset.train, true_labels=true)
    dataset = dataclasses.replace(dataset, splits={**dataset.splits, "train": train})
    clips = training_figures.trajectory_numbers(dataset, made_up_labels(5), clips=2)
    assert [clip["text"] for clip in clips] == [dataset.train.text[3], dataset.train.text[1]]
    assert clips[0]["true"] == {"l": 0.0, "a": 2.5, "v": 0.0}
    assert clips[0]["learned"]["a"] == pytest.approx([1.3, 1.31, 1.32])
    assert len(training_figures.trajectory_figure(clips, 3.0).axes) == 2
    unknown = make_dataset(sizes=(5, 2, 2), true_labels=False)
    assert training_figures.trajectory_numbers(unknown, made_up_labels(5), clips=1)[0]["true"] == {}


def test_curve_numbers_read_first_seed(tmp_path: Path) -> None:
    history = [{"epoch": 0, "train": 2.0, "valid": 1.5}, {"epoch": 1, "train": 1.0, "valid": 1.7}]
    write_json(tmp_path / "result.json", {"history": history})
    runs = [Run(RunSpec("mug", "d", 1), tmp_path, {}, {}, 0, True)]
    numbers = training_figures.curve_numbers({"mug": runs})
    assert numbers == {"mug": {"best_epoch": 0, "train": [2.0, 1.0], "valid": [1.5, 1.7]}}
    marker = training_figures.curve_figure(numbers).axes[1].lines[1]
    assert (marker.get_xdata()[0], marker.get_ydata()[0]) == (0, 1.5)


def test_ablation_figure_marks_reference_mean() -> None:
    rows = [Row(name, "d", {"MAE": {"mean": mean, "std": 0.1, "n": 2}}) for name, mean in (("MUG", 0.7), ("MLC", 0.9))]
    axes = training_figures.ablation_figure(rows, "MAE").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["MUG", "MLC"]
    assert any(line.get_xdata()[0] == 0.7 and line.get_linestyle() == "--" for line in axes.lines)
    assert "lower is better" in axes.get_xlabel()


def test_quality_figure_draws_copy_and_every_variant() -> None:
    places = pd.MultiIndex.from_product([("language", "acoustic", "visual"), ("MAE", "Corr")])
    table = places.to_frame(index=False, name=["modality", "measure"]).assign(copy=0.5, mucn=0.4, mucn_std=0.01)
    figure = training_figures.quality_figure({"MUCN": table, "other": table.assign(mucn=0.3)})
    heights = [round(bar.get_height(), 3) for bar in figure.axes[0].patches]
    assert heights == [0.5] * 3 + [0.4] * 3 + [0.3] * 3
