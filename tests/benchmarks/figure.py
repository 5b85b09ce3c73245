"""The picture of all benchmarks: how many times faster."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from mugkit.experiments.outputs import save_figure
from mugkit.plots.style import ACCENT, MODALITY_COLORS, apply_style

_TICKS = (0.5, 1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)


def plot(record: Mapping[str, Any]) -> Figure:
    """Of every ratio of speed in `bench.json`, a dot for the median, a line for the quartiles, a stroke for the bar."""
    ratios = [ratio for found in record.values() for ratio in found["ratios"] if ratio["unit"] == "×"]
    figure = Figure(figsize=(7, max(3.0, 0.6 * len(ratios) + 1.4)), layout="constrained")
    axes = figure.subplots()
    for place, ratio in enumerate(ratios):
        axes.plot([ratio["lower_quartile"], ratio["upper_quartile"]], [place] * 2, color=MODALITY_COLORS["l"], lw=2)
        axes.plot(ratio["median"], place, "o", color=MODALITY_COLORS["l"])
        if ratio["bar"] is not None:
            axes.plot([ratio["bar"]] * 2, [place - 0.3, place + 0.3], color=ACCENT, lw=2)
    axes.axvline(1, color=MODALITY_COLORS["M"], lw=1, ls=":")
    axes.set_yticks(range(len(ratios)), [ratio["name"] for ratio in ratios])
    axes.set(xscale="log", xlabel="times as fast (quartiles; stroke: bar)", ylim=(len(ratios) - 0.4, -0.6))
    axes.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
    axes.minorticks_off()
    high = max([1.0, *(x for r in ratios for x in (r["upper_quartile"], r["bar"] or 1))])
    axes.set_xlim(min([0.9, *(0.9 * ratio["lower_quartile"] for ratio in ratios)]), 1.2 * high)
    return figure


def write(record: Mapping[str, Any], folder: Path) -> None:
    """`bench.png` and `bench.svg`."""
    apply_style()
    save_figure(plot(record), folder, "bench")
