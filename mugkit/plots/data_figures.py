"""Figures of the data: how far labels disagree (the topic of the paper's Fig. 1), and what a clip's frames look like.

Every figure is drawn from a dict of plain numbers, so the JSON file beside it holds what it shows.
"""

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mugkit.data.agreement import agreement
from mugkit.data.schema import FRAME_MODALITIES, MODALITIES, MODALITY_NAMES, Dataset, RaggedFrames
from mugkit.errors import UserError
from mugkit.evaluation.probes import frame_means
from mugkit.plots.style import MODALITY_COLORS, canvas

CELLS = 11  # per side: the grids of reviews (0.6 on ±3) and CH-SIMS (0.2 on ±1) have one value per cell
MOMENT_FRAMES = 100_000  # enough for a mean and a standard deviation; MOSEI has millions of frames


def label_gaps(labels: pd.DataFrame, scale: float) -> dict[str, Any]:
    """Numbers of Fig. 1: where clips lie in the plane of y and y_m, and how often the two disagree.

    Args:
        labels: one row per clip, columns y, y_l, y_a, y_v.
        scale: ρ, the half-width of the label scale.

    Returns:
        `clips`, `scale`, `centres` (of 11 cells per side), and for each modality `joint` (clips; row y_m, column y),
        the shares `equal`, `opposite`, `neutral` of all clips, and `gap`, the mean |y_m − y| in units of the labels.
    """
    statistics = agreement(labels, scale)
    edges = np.linspace(-1.1, 1.1, CELLS + 1) * scale
    centres = [_round(centre) for centre in (edges[1:] + edges[:-1]) / 2]
    numbers: dict[str, Any] = {"clips": len(labels), "scale": scale, "centres": centres}
    for m in MODALITIES:
        joint, *_ = np.histogram2d(labels[f"y_{m}"], labels["y"], bins=(edges, edges))
        shares = {name: float(statistics[f"{name}(y_{m})"]) for name in ("equal", "opposite", "neutral", "gap")}
        numbers[m] = {"joint": joint.astype(int).tolist(), **shares, "gap": scale * shares["gap"]}
    return numbers


def label_gaps_figure(numbers: dict[str, Any]) -> Figure:
    """One panel per modality: a dot in every occupied cell, its area the number of clips; opposite signs shaded."""
    figure, panels = canvas((11.5, 4), 1, len(MODALITIES), sharex=True, sharey=True)
    figure.set_layout_engine("constrained", wspace=0.08)
    largest = max(np.max(numbers[m]["joint"]) for m in MODALITIES)
    limit = 1.1 * numbers["scale"]
    for axes, m in zip(panels, MODALITIES, strict=True):
        _gap_panel(axes, np.array(numbers["centres"]), np.array(numbers[m]["joint"]) / largest, MODALITY_COLORS[m])
        for side in (-limit, limit):
            axes.fill_between([0, side], 0, -side, color="0.82", linewidth=0, zorder=0)
        axes.set(xlim=(-limit, limit), ylim=(-limit, limit))
        axes.set_title(
            f"{MODALITY_NAMES[m]}: {100 * numbers[m]['opposite']:.0f} % opposite sign\n"
            f"{100 * numbers[m]['equal']:.0f} % equal, mean distance {numbers[m]['gap']:.2f}"
        )
        axes.set(xlabel="the clip's label $y$", ylabel=f"true {MODALITY_NAMES[m]} label $y_{m}$")
    return figure


def _gap_panel(axes: Axes, centres: np.ndarray, share: np.ndarray, color: str) -> None:
    row, column = share.nonzero()
    axes.scatter(centres[column], centres[row], s=260 * share[row, column], color=color, alpha=0.85, zorder=3)
    axes.plot(centres[[0, -1]], centres[[0, -1]], color="black", linestyle="--", linewidth=1, zorder=2)
    axes.set_aspect("equal")


def contradictions(labels: pd.DataFrame, count: int) -> pd.DataFrame:
    """The `count` sentences of at most twelve words with the widest gap whose own label has the opposite sign of y."""
    opposite = labels[labels["y"] * labels["y_l"] < 0]
    short = opposite[[len(text.split()) <= 12 for text in opposite["text"]]]
    # Rounded, so that float noise does not decide the order of equal gaps; the id does.
    gap = (short["y"] - short["y_l"]).abs().round(3)
    ranked = short.assign(gap=gap).sort_values(["gap", "id"], ascending=[False, True])
    return ranked.head(count).drop(columns="gap").set_index("id")


def streams(dataset: Dataset, clips: list[int]) -> dict[str, Any]:
    """Frames of the test clips at some positions, each dim standardised over the frames of the training split.

    Dims are ordered by the correlation of their mean over a training clip with the label (y_m where it is known,
    else y): dims that rise with the label come first, dims that fall with it last, the rest between them.

    Returns:
        A list `clips` of {id, text, y, and for each of a and v: `label` (y_m) and `frames` (dim × length)}, and
        `dims`: for each modality the dims' numbers in the order shown.

    Raises:
        UserError: if a position is outside the split.
    """
    split, train = dataset.test, dataset.train
    if wrong := [clip for clip in clips if not 0 <= clip < len(split)]:
        raise UserError(f"no clip {wrong[0]}", field="clips", fix=f"test has positions 0 to {len(split) - 1}")
    dims = {m: _by_signal(train.sequences[m], train.true_labels.get(m, train.labels)) for m in FRAME_MODALITIES}
    shown = [{"id": split.ids[clip], "text": split.text[clip], "y": _round(split.labels[clip])} for clip in clips]
    for m, order in dims.items():
        mean, std = _moments(train.sequences[m])
        for clip, entry in zip(clips, shown, strict=True):
            frames = ((split.sequences[m][clip] - mean) / std)[:, order].T
            label = _round(split.true_labels[m][clip]) if m in split.true_labels else None
            entry[m] = {"label": label, "frames": frames.round(2).tolist()}
    return {"clips": shown, "dims": {m: order.tolist() for m, order in dims.items()}}


def _moments(sequences: RaggedFrames) -> tuple[np.ndarray, np.ndarray]:
    step = -(-len(sequences.frames) // MOMENT_FRAMES)
    frames = sequences.frames[::step].astype(np.float64)
    std = frames.std(axis=0)
    return frames.mean(axis=0), np.where(std > 0, std, 1.0)


def _by_signal(sequences: RaggedFrames, label: Float[np.ndarray, "clips"]) -> np.ndarray:
    """Dims by falling correlation of clip mean and label; a constant dim has correlation 0."""
    means = frame_means(sequences)
    std = means.std(axis=0)
    covariance = (means - means.mean(axis=0)).T @ (label - label.mean())
    return np.argsort(-covariance / np.where(std > 0, std, np.inf), kind="stable")


def streams_figure(numbers: dict[str, Any]) -> Figure:
    """One column per clip, one row per modality: dims down, frames across, colour the standardised value."""
    clips = numbers["clips"]
    figure, panels = canvas((5.5 * len(clips), 6.4), len(FRAME_MODALITIES), len(clips), squeeze=False)
    figure.set_layout_engine("constrained", wspace=0.08)
    for row, m in enumerate(FRAME_MODALITIES):
        for axes, clip in zip(panels[row], clips, strict=True):
            image = axes.imshow(clip[m]["frames"], aspect="auto", cmap="PuOr", vmin=-3, vmax=3, interpolation="nearest")
            axes.grid(False)
            own = "" if clip[m]["label"] is None else f", $y_{m}$ = {clip[m]['label']:+.1f}"
            axes.set_title(f"{MODALITY_NAMES[m]}: y = {clip['y']:+.1f}{own}")
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.set(xlabel="frame", ylabel="dim: falls … rises with the label")
    figure.colorbar(image, ax=panels, label="standardised value", shrink=0.6)
    return figure


def _round(value: float) -> float:
    """Rounds a float32 label: JSON and titles need no more precision than the labels' grid."""
    return round(float(value), 4)
