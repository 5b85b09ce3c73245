"""Figures of stages 2 and 3: losses, gate, movement and accuracy of labels, validation curves, ablation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mugkit.config import MetaLearning
from mugkit.data.schema import MODALITIES, MODALITY_NAMES, Dataset
from mugkit.evaluation.tables import Row
from mugkit.experiments.experiment import Run
from mugkit.experiments.run_store import read_result
from mugkit.metrics import HIGHER_IS_BETTER
from mugkit.plots.style import ACCENT, MODALITY_COLORS, bars_by_modality, canvas
from mugkit.training.denoising import decay
from mugkit.training.label_sources.source import LearnedLabels

_LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")


def lambda_numbers(config: MetaLearning) -> dict[str, Any]:
    """λ after every epoch for the configured λ_init and two others, and the epoch at which Eq. 17 starts to apply."""
    epochs, starts = range(config.meta_epochs), sorted({config.lambda_init, 0.9, 0.95})
    curves = {str(start): [decay(start, epoch) for epoch in epochs] for start in starts}
    return {"begins": config.halfway * config.meta_epochs, "lambda": curves}


def lambda_figure(numbers: Mapping[str, Any]) -> Figure:
    """λ over epochs; shaded where Eq. 16 uses it."""
    figure = Figure(figsize=(6.5, 3))
    axes = figure.subplots()
    for start, style in zip(numbers["lambda"], ("-", "--", ":", "-."), strict=False):
        axes.plot(numbers["lambda"][start], style, label=f"λ_init = {start}", color="#333333")
    last = len(next(iter(numbers["lambda"].values()))) - 1
    axes.axvspan(numbers["begins"], last, color=ACCENT, alpha=0.15, label="Eq. 16 is in force")
    axes.set(xlabel="epoch E of stage 2", ylabel="λ", ylim=(0, 1))
    axes.legend()
    return figure


def history_numbers(learned: LearnedLabels) -> dict[str, Any]:
    """Losses and share of open gates by modality, one entry per epoch."""
    columns = ("unimodal", "pre", "post", "gate_open")
    rows = {m: learned.history[learned.history["modality"] == m] for m in MODALITIES}
    return {m: {c: [float(v) for v in rows[m][c]] for c in columns} for m in MODALITIES}


def history_figure(numbers: Mapping[str, Mapping[str, list[float]]]) -> Figure:
    """Three panels over epochs: the unimodal task, the multimodal task before the step, the gate."""
    figure, panels = canvas((11, 3.2), 1, 3)
    titles = {
        "unimodal": "unimodal denoising loss (Eqs. 14, 16)",
        "pre": "multimodal denoising loss (Eq. 20)",
        "gate_open": "share of steps with the gate open (Eq. 22)",
    }
    for axes, (column, title) in zip(panels, titles.items(), strict=True):
        for m in MODALITIES:
            axes.plot(numbers[m][column], color=MODALITY_COLORS[m], label=MODALITY_NAMES[m])
        axes.set(title=title, xlabel="epoch of stage 2", ylabel="mean absolute error")
    axes.set(ylabel="share")
    axes.set_ylim(-0.03, 1.03)
    axes.legend()
    return figure


def trajectory_numbers(dataset: Dataset, learned: LearnedLabels, clips: int = 3) -> list[dict[str, Any]]:
    """The clips whose true labels lie farthest apart (or the learned labels, if the true ones are unknown)."""
    labels: Mapping[str, Any] = dataset.train.true_labels if dataset.has_true_labels else learned.labels
    apart = np.ptp(np.stack([np.asarray(labels[m]) for m in MODALITIES]), axis=0)
    chosen = np.argsort(-apart, kind="stable")[:clips]
    return [
        {
            "text": dataset.train.text[clip],
            "y": float(dataset.train.labels[clip]),
            "true": {m: float(values[clip]) for m, values in dataset.train.true_labels.items()},
            "learned": {m: learned.trajectory[m][:, clip].tolist() for m in MODALITIES},
        }
        for clip in chosen
    ]


def trajectory_figure(clips: list[dict[str, Any]], rho: float) -> Figure:
    """y_mc over epochs for a few clips; dots at the right are true labels, the dashed line is y."""
    figure, panels = canvas((11, 3.4), 1, len(clips), sharey=True, squeeze=False)
    for axes, clip in zip(panels[0], clips, strict=True):
        axes.axhline(clip["y"], color=MODALITY_COLORS["M"], linestyle="--", label="clip's label y")
        for m in MODALITIES:
            axes.plot(clip["learned"][m], color=MODALITY_COLORS[m], label=f"learned, {MODALITY_NAMES[m]}")
            if m in clip["true"]:
                axes.plot(len(clip["learned"][m]) + 1, clip["true"][m], "o", color=MODALITY_COLORS[m], clip_on=False)
        text = clip["text"] if len(clip["text"]) <= 45 else clip["text"][:44] + "…"
        axes.set(title=f"“{text}”", xlabel="epoch of stage 2 (dots: the truth)", ylim=(-rho * 1.05, rho * 1.05))
        axes.title.set_fontsize(9)
    figure.axes[0].set_ylabel("label")
    figure.axes[0].legend(fontsize=8)
    return figure


def quality_figure(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """MAE and correlation with the true labels: copying y, and each learned variant with its spread over seeds."""
    figure, panels = canvas((11, 3.6), 1, 2)
    names = [MODALITY_NAMES[m] for m in MODALITIES]
    for axes, measure in zip(panels, ("MAE", "Corr"), strict=True):
        rows = {k: table[table["measure"] == measure].set_index("modality").loc[names] for k, table in tables.items()}
        heights = {"y_m ← y": next(iter(rows.values()))["copy"], **{k: part["mucn"] for k, part in rows.items()}}
        errors = {k: part["mucn_std"].to_numpy() for k, part in rows.items()}
        bars_by_modality(axes, heights, ("#999999", "#0072B2", "#E69F00"), errors)
        better = "lower is better" if measure == "MAE" else "higher is better"
        axes.set(ylabel=f"{measure} against true labels", title=f"{measure}: {better}")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=len(heights))
    return figure


def curve_numbers(runs: Mapping[str, Sequence[Run]]) -> dict[str, Any]:
    """Training and validation loss per epoch, and the chosen epoch, for the first seed of every system."""
    return {
        name: {"best_epoch": done[0].best_epoch}
        | {part: [row[part] for row in read_result(done[0].folder)["history"]] for part in ("train", "valid")}
        for name, done in runs.items()
    }


def curve_figure(numbers: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Training and validation loss; a dot marks the weights that early stopping kept."""
    figure, panels = canvas((9, 3.4), 1, 2)
    for (name, curves), color in zip(numbers.items(), _LINES, strict=False):
        for axes, part in zip(panels, ("train", "valid"), strict=True):
            axes.plot(curves[part], color=color, label=name)
        best = curves["best_epoch"]
        panels[1].plot(best, curves["valid"][best], "o", color=color)
    panels[0].set(title="training loss (Eq. 27)", xlabel="epoch of stage 3", ylabel="loss")
    panels[1].set(title="validation loss L_M (Eq. 26)", xlabel="epoch of stage 3", ylabel="mean absolute error")
    panels[1].legend()
    for axes in panels:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def ablation_figure(rows: Sequence[Row], metric: str, reference: str = "MUG") -> Figure:
    """One metric of every row with its spread over seeds; the line is the reference row's mean."""
    figure, axes = canvas((8, 0.5 * len(rows) + 1.2))
    values = {row.system: [float(row.metrics[metric][key] or 0) for key in ("mean", "std")] for row in rows}
    for place, (name, (mean, std)) in enumerate(values.items()):
        color = ACCENT if name == reference else "#555555"
        axes.errorbar(mean, place, xerr=std, fmt="o", color=color, capsize=4)
    axes.axvline(values[reference][0], color=ACCENT, linestyle="--", linewidth=1)
    axes.set_yticks(range(len(values)), list(values))
    axes.invert_yaxis()
    direction = "higher" if HIGHER_IS_BETTER[metric] else "lower"
    axes.set(xlabel=f"{metric} on the test split, mean ± std over seeds ({direction} is better)")
    return figure
