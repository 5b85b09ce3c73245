"""The one picture of all benchmarks: how many times faster, and how cost grows with size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mugkit.experiments.outputs import save_figure
from mugkit.plots.style import ACCENT, MODALITY_COLORS, apply_style

_FASTER = "×"
_TICKS = (0.5, 1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)


def plot(record: Mapping[str, Any]) -> Figure:
    """Ratios with their quartiles and bars; then one panel for all curves of equal axes.

    Args:
        record: what `bench.json` holds.
    """
    ratios = [ratio for one in record.values() for ratio in one["ratios"] if ratio["unit"] == _FASTER]
    panels = _panels([curve for one in record.values() for curve in one["curves"]])
    figure = Figure(figsize=(7 + 3.6 * len(panels), max(3.0, 0.6 * len(ratios) + 1.4)), layout="constrained")
    axes = figure.subplots(1, 1 + len(panels), width_ratios=[7, *[3.6] * len(panels)], squeeze=False)[0]
    _draw_ratios(axes[0], ratios)
    for place, curves in zip(axes[1:], panels, strict=True):
        _draw_curves(place, curves)
    return figure


def _panels(curves: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    def labels(curve: Mapping[str, Any]) -> tuple[str, str]:
        return curve["x_label"], curve["y_label"]

    return [list(group) for _, group in groupby(sorted(curves, key=labels), key=labels)]


def _draw_ratios(axes: Axes, ratios: Sequence[Mapping[str, Any]]) -> None:
    """A dot for the median, a line for the quartiles, a stroke for the bar."""
    places = range(len(ratios))
    for place, ratio in zip(places, ratios, strict=True):
        axes.plot([ratio["lower_quartile"], ratio["upper_quartile"]], [place] * 2, color=MODALITY_COLORS["l"], lw=2)
        axes.plot(ratio["median"], place, "o", color=MODALITY_COLORS["l"])
        if ratio["bar"] is not None:
            axes.plot([ratio["bar"]] * 2, [place - 0.3, place + 0.3], color=ACCENT, lw=2)
    axes.axvline(1, color=MODALITY_COLORS["M"], lw=1, ls=":")
    axes.set_yticks(places, [ratio["name"] for ratio in ratios])
    axes.set(xscale="log", xlabel="times as fast (quartiles; stroke: bar)", ylim=(len(ratios) - 0.4, -0.6))
    axes.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
    axes.minorticks_off()
    high = max([1.0, *(x for r in ratios for x in (r["upper_quartile"], r["bar"] or 1))])
    axes.set_xlim(min([0.9, *(0.9 * ratio["lower_quartile"] for ratio in ratios)]), 1.2 * high)


def _draw_curves(axes: Axes, curves: Sequence[Mapping[str, Any]]) -> None:
    """Cost over size, both relative to the smallest, and the line that linear growth would be."""
    colors = list(MODALITY_COLORS.values())
    for number, curve in enumerate(curves):
        axes.plot(curve["x"], curve["y"], "o-", color=colors[number % len(colors)], label=curve["name"])
    largest = max(x for curve in curves for x in curve["x"])
    axes.plot([1, largest], [1, largest], ":", color=ACCENT, label="linear")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
    axes.set(xlabel=curves[0]["x_label"], ylabel=curves[0]["y_label"])
    axes.legend()


def write(record: Mapping[str, Any], folder: Path) -> None:
    """`bench.png` and `bench.svg`."""
    apply_style()
    save_figure(plot(record), folder, "bench")
