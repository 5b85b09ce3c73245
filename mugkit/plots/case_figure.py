"""Fig. 6: utterances whose modalities agree, and utterances whose modalities contradict each other.

The paper shows two clips. Two clips prove little, so these are drawn at random from stated pools, and `case_claims`
says how often the same happens over all clips.
"""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mugkit.data.schema import FRAME_MODALITIES, MODALITIES, MODALITY_NAMES
from mugkit.plots.style import MODALITY_COLORS


def pools(table: pd.DataFrame, rho: float) -> dict[str, list[int]]:
    """Positions of the clips from which cases are drawn; `table` is of `Utterances`, which says what disagreement is.

    'agree' holds the tenth of the clips with a clear label (|y| ≥ ρ/3) that disagree least; 'disagree' holds the tenth
    of all clips that disagree most.
    """
    clear = table[table["y"].abs() >= rho / 3 - 1e-6]
    ranked = {
        "agree": clear.sort_values("disagreement", kind="stable"),
        "disagree": table.sort_values("disagreement", ascending=False, kind="stable"),
    }
    return {name: rows.index[: max(1, round(len(rows) / 10))].tolist() for name, rows in ranked.items()}


def draw_lots(pools: Mapping[str, Sequence[int]], count: int = 2, seed: int = 1111) -> dict[str, list[int]]:
    """`count` random clips of each pool, always the same for the same pools; fewer if a pool has fewer."""
    rng = np.random.default_rng(seed)
    return {name: [int(c) for c in rng.permutation(np.sort(pool))[:count]] for name, pool in pools.items()}


def figure(cases: Sequence[Mapping[str, Any]], rho: float) -> Figure:
    """One column per case, headed by its `pool` or id: words and labels above, readings of frames below.

    Args:
        cases: of `Utterances.entry`, perhaps with the `pool` that each was drawn from.
    """
    drawn = Figure(figsize=(3.1 * len(cases), 7.2))
    drawn.set_layout_engine("constrained", wspace=0.06)
    grid = drawn.subplots(3, len(cases), squeeze=False, sharey="row", height_ratios=(1.6, 1, 1))
    for column, case in zip(grid.T, cases, strict=True):
        words = textwrap.shorten(case["text"], 130, placeholder=" …")
        column[0].set_title(f"{_heading(case)}\n" + textwrap.fill(f"“{words}”", 36), fontsize=8.5)
        labels_panel(column[0], case, rho)
        for axes, m in zip(column[1:], FRAME_MODALITIES, strict=True):
            readings_panel(axes, case, m)
    drawn.legend(*grid[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    for axes in grid[:, 1:].flat:
        axes.set_ylabel("")
    return drawn


def in_words(case: Mapping[str, Any], near: float) -> str:
    """A case in four lines: its text and y, then how far each learned label moved and whether towards the truth.

    If the true label is closer to y than `near`, y is right; a learned label within a tenth of that hardly moved.
    """
    lines = [f"{_heading(case)}: y = {case['y']:+.1f}, {textwrap.shorten(case['text'], 70, placeholder=' …')}"]
    for m in MODALITIES:
        mean, y, true = case["learned"][m]["mean"], case["y"], case["true"].get(m)
        said = f"  {MODALITY_NAMES[m]}: {mean:+.2f}, moved by {mean - y:+.2f}"
        if true is not None and abs(true - y) < near:
            said += ", where y was right"
        elif abs(mean - y) < near / 10:
            said += ", hardly anywhere"
        elif true is not None:
            said += ", towards the truth" if (mean - y) * (true - y) > 0 else ", away from the truth"
        lines.append(said)
    return "\n".join(lines)


def _heading(case: Mapping[str, Any]) -> str:
    return str(case.get("pool") or case["id"])


def labels_panel(axes: Axes, case: Mapping[str, Any], rho: float) -> None:
    """The clip's label as a line; for each modality the learned label with its range over seeds, and the true label."""
    axes.axhline(case["y"], color=MODALITY_COLORS["M"], linestyle="--", label="clip's label $y$")
    axes.axhline(0, color="#BBBBBB", linewidth=0.8)
    for place, m in enumerate(MODALITIES):
        found, color = case["learned"][m], MODALITY_COLORS[m]
        ends = [[found["mean"] - found["low"]], [found["high"] - found["mean"]]]
        name = "learned label (range over seeds)" if place == 0 else None
        axes.errorbar(place, found["mean"], ends, fmt="o", color=color, capsize=4, label=name)
        if m in case["true"]:
            name = "true label" if place == 0 else None
            axes.plot(place + 0.22, case["true"][m], "D", color=color, mfc="white", label=name)
    axes.set(xticks=range(3), xticklabels=[MODALITY_NAMES[m] for m in MODALITIES], xlim=(-0.5, 2.6), ylabel="label")
    axes.set_ylim(-1.08 * rho, 1.08 * rho)
    axes.tick_params(axis="x", labelsize=9)


def readings_panel(axes: Axes, case: Mapping[str, Any], modality: str) -> None:
    """The reading of each frame: above zero like positive clips, below zero like negative clips."""
    axes.axhline(0, color="#BBBBBB", linewidth=0.8)
    axes.set(xlabel="frame", ylabel=f"{MODALITY_NAMES[modality]}\nreading (std)")
    if modality not in case["frames"]:
        axes.text(0.5, 0.5, "no frames", transform=axes.transAxes, ha="center")
        return
    values = case["frames"][modality]
    marker = "o" if len(values) < 3 else ""  # a line through one frame would be invisible
    axes.plot(values, color=MODALITY_COLORS[modality], linewidth=1.1, marker=marker)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
