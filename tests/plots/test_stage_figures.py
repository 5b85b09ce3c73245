"""Figures of the three stages: their numbers by hand, and that each is drawn."""

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
from mugkit.plots import stage_figures
from mugkit.training.label_sources.source import LearnedLabels
from mugkit.training.pretrain import SavedRepresentations


def representations(clips: int = 40, shift: float = 0.0, seed: int = 0) -> SavedRepresentations:
    """Random x_m, x_m′ = x_m plus a shift, predictions off by one from y."""
    draw = torch.Generator().manual_seed(seed)
    x = {m: torch.randn(clips, 6, generator=draw) for m in MODALITIES}
    y = torch.randn(clips, generator=draw)
    return SavedRepresentations(x, {m: v + shift for m, v in x.items()}, dict.fromkeys(MODALITIES, y + 1), y)


@pytest.mark.parametrize("rho", [1.0, 3.0])
@pytest.mark.parametrize("correction", [-1.0, 0.0, 0.5])
def test_corrected_equals_equation_28_in_float64(rho: float, correction: float) -> None:
    noisy = torch.linspace(-rho, rho, 9)
    for residual, scale in (("paper", 1.0), ("scaled", 1 / rho)):
        expected = rho * np.tanh(noisy.double().numpy() * scale + correction)
        found = stage_figures.corrected(noisy, correction, rho, residual).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_plot_mucn_draws_the_curves_it_is_given() -> None:
    curves = stage_figures.mucn_curves(1.0)
    paper, _ = stage_figures.plot_mucn(curves).axes
    middle = curves[(curves["residual"] == "paper") & (curves["correction"] == 0)]
    drawn = next(line for line in paper.lines if line.get_label() == "y′ = 0")
    np.testing.assert_array_equal(drawn.get_ydata(), middle["corrected"])


def test_losses_of_guesses_by_hand() -> None:
    # The median of 0, 1, 5 is 1; distances 1, 0, 4. The mean, 2, would be worse: 2, 1, 3.
    assert stage_figures.constant_loss(np.array([0.0, 1.0, 5.0])) == pytest.approx(5 / 3)
    # Ten clips in batches of four: two of four clips, one of two.
    assert stage_figures.chance_loss(10, 4) == pytest.approx(5 / 3 * np.log(2))


def test_plot_losses_draws_terms_and_both_references() -> None:
    losses = {f"{kind}_{m}": 1.0 for kind in ("projected", "contrastive") for m in MODALITIES}
    history = [{"epoch": e, "multimodal": 2.0 - e, **losses} for e in range(2)]
    left, right = stage_figures.plot_losses(history, constant=1.7, chance=4.2).axes
    np.testing.assert_array_equal(left.lines[0].get_xydata(), [[1, 2.0], [2, 1.0]])
    assert list(left.lines[-1].get_ydata()) == [1.7, 1.7]
    assert list(right.lines[-1].get_ydata()) == [4.2, 4.2]


def test_gap_table_separates_shifted_from_equal_and_bars_have_its_heights() -> None:
    table = stage_figures.gap_measures({"equal": representations(), "shifted": representations(shift=50.0)})
    rows = table.set_index(["network", "modality"])
    for m in MODALITIES:
        assert rows.loc[("equal", m), ["probe", "retrieval", "distance"]].tolist() == [50, 100, 0]
        assert rows.loc[("shifted", m), "probe"] > 80
        assert rows.loc[("shifted", m), "projected_loss"] == pytest.approx(1.0)
        assert rows.loc[("equal", m), "label_x"] == pytest.approx(rows.loc[("equal", m), "label_projected"])
    probe, retrieval, distance = stage_figures.plot_gap(table).axes
    for axes, column in ((probe, "probe"), (retrieval, "retrieval"), (distance, "distance")):
        assert [bar.get_height() for bar in axes.patches] == pytest.approx(table[column].tolist())
    assert retrieval.lines[-1].get_ydata()[0] == pytest.approx(100 / 32)


def test_embed_draws_the_same_clips_everywhere_and_its_points_are_plotted() -> None:
    saved = {"one": representations(), "two": representations(seed=1)}
    first, second = (stage_figures.embed(saved, clips=12) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)
    assert all(set(part["clip"]) == set(first["clip"]) for _, part in first.groupby(["network", "modality", "kind"]))
    figure = stage_figures.plot_embedding(first[first["network"] == "one"], {("one", "a"): "probe 99 %"})
    assert [axes.get_title() for axes in figure.axes] == ["language, one", "acoustic, one\nprobe 99 %", "visual, one"]
    drawn = first.query("network == 'one' and modality == 'a' and kind != 'x_m'")[["across", "up"]]
    np.testing.assert_array_equal(figure.axes[1].collections[1].get_offsets(), drawn)


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
    numbers = stage_figures.lambda_numbers(MetaLearning(meta_epochs=4, lambda_init=0.5, halfway=0.5))
    assert numbers["begins"] == 2
    assert numbers["lambda"]["0.5"] == [0.5, 0.25, 0.125, 0.0625]
    assert numbers["lambda"]["0.9"] == pytest.approx([0.9, 0.81, 0.729, 0.6561])
    assert len(stage_figures.lambda_figure(numbers).axes[0].lines) == 3


def test_history_numbers_are_split_by_modality() -> None:
    numbers = stage_figures.history_numbers(made_up_labels(5))
    assert numbers["l"]["unimodal"] == [1.0, 2.0, 3.0]
    assert [numbers[m]["gate_open"][0] for m in MODALITIES] == [0.0, 0.5, 1.0]
    assert len(stage_figures.history_figure(numbers).axes) == 3


def test_trajectory_numbers_choose_clips_that_disagree_most() -> None:
    dataset = make_dataset(sizes=(5, 2, 2))
    true = {m: np.zeros(5, np.float32) for m in MODALITIES}
    true["a"][3], true["v"][1] = 2.5, -1.0
    train = dataclasses.replace(dataset.train, true_labels=true)
    dataset = dataclasses.replace(dataset, splits={**dataset.splits, "train": train})
    clips = stage_figures.trajectory_numbers(dataset, made_up_labels(5), clips=2)
    assert [clip["text"] for clip in clips] == [dataset.train.text[3], dataset.train.text[1]]
    assert clips[0]["true"] == {"l": 0.0, "a": 2.5, "v": 0.0}
    assert clips[0]["learned"]["a"] == pytest.approx([1.3, 1.31, 1.32])
    assert len(stage_figures.trajectory_figure(clips, 3.0).axes) == 2
    unknown = make_dataset(sizes=(5, 2, 2), true_labels=False)
    assert stage_figures.trajectory_numbers(unknown, made_up_labels(5), clips=1)[0]["true"] == {}


def test_curve_numbers_read_first_seed(tmp_path: Path) -> None:
    history = [{"epoch": 0, "train": 2.0, "valid": 1.5}, {"epoch": 1, "train": 1.0, "valid": 1.7}]
    write_json(tmp_path / "result.json", {"history": history})
    runs = [Run(RunSpec("mug", "d", 1), tmp_path, {}, {}, 0, True)]
    numbers = stage_figures.curve_numbers({"mug": runs})
    assert numbers == {"mug": {"best_epoch": 0, "train": [2.0, 1.0], "valid": [1.5, 1.7]}}
    marker = stage_figures.curve_figure(numbers).axes[1].lines[1]
    assert (marker.get_xdata()[0], marker.get_ydata()[0]) == (0, 1.5)


def test_ablation_figure_marks_reference_mean() -> None:
    rows = [Row(name, "d", {"MAE": {"mean": mean, "std": 0.1, "n": 2}}) for name, mean in (("MUG", 0.7), ("MLC", 0.9))]
    axes = stage_figures.ablation_figure(rows, "MAE").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["MUG", "MLC"]
    assert any(line.get_xdata()[0] == 0.7 and line.get_linestyle() == "--" for line in axes.lines)
    assert "lower is better" in axes.get_xlabel()


def test_quality_figure_draws_copy_and_every_variant() -> None:
    places = pd.MultiIndex.from_product([("language", "acoustic", "visual"), ("MAE", "Corr")])
    table = places.to_frame(index=False, name=["modality", "measure"]).assign(copy=0.5, mucn=0.4, mucn_std=0.01)
    figure = stage_figures.quality_figure({"MUCN": table, "other": table.assign(mucn=0.3)})
    heights = [round(bar.get_height(), 3) for bar in figure.axes[0].patches]
    assert heights == [0.5] * 3 + [0.4] * 3 + [0.3] * 3
