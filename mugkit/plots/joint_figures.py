"""Figures of stage 3: validation curves and the ablation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from mugkit.evaluation.tables import Row
from mugkit.experiments.experiment import Run
from mugkit.experiments.store import read_result
from mugkit.metrics import HIGHER_IS_BETTER
from mugkit.plots.style import ACCENT

_LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")


def curve_numbers(runs: Mapping[str, Sequence[Run]]) -> dict[str, Any]:
    """Training and validation loss an epoch, and the chosen epoch, of the first seed of every system."""
    return {
        name: {"best_epoch": done[0].best_epoch}
        | {part: [row[part] for row in read_result(done[0].folder)["history"]] for part in ("train", "valid")}
        for name, done in runs.items()
    }


def curve_figure(numbers: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Training and validation loss; a dot marks the weights that early stopping kept."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    panels = figure.subplots(1, 2)
    for (name, curves), color in zip(numbers.items(), _LINES, strict=False):
        for axes, part in zip(panels, ("train", "valid"), strict=True):
            axes.plot(curves[part], color=color, label=name)
        best = curves["best_epoch"]
        panels[1].plot(best, curves["valid"][best], "o", color=color)
    panels[0].set(title="training loss (Eq. 27)", xlabel="epoch of stage 3", ylabel="loss")
    panels[1].set(title="validation loss L_M (Eq. 26)", xlabel="epoch of stage 3", ylabel="mean absolute error")
    panels[1].legend()
    return figure


def ablation_figure(rows: Sequence[Row], metric: str, reference: str = "MUG") -> Figure:
    """One metric of every row with its spread over seeds; the line is the reference row's mean.

    Args:
        metric: one that is defined for any predictions, such as MAE.
    """
    figure = Figure(figsize=(8, 0.5 * len(rows) + 1.2), layout="constrained")
    axes = figure.subplots()
    values = {
        row.system: (float(row.metrics[metric]["mean"] or 0), float(row.metrics[metric]["std"] or 0)) for row in rows
    }
    for place, (name, (mean, std)) in enumerate(values.items()):
        color = ACCENT if name == reference else "#555555"
        axes.errorbar(mean, place, xerr=std, fmt="o", color=color, capsize=4)
    axes.axvline(values[reference][0], color=ACCENT, linestyle="--", linewidth=1)
    axes.set_yticks(range(len(values)), list(values))
    axes.invert_yaxis()
    direction = "higher" if HIGHER_IS_BETTER[metric] else "lower"
    axes.set(xlabel=f"{metric} on the test split, mean ± std over seeds ({direction} is better)")
    return figure
