"""Figures of stage 1: its losses, the modality gap before and after, and what MUCN's last layer can return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from mugkit.data.schema import MODALITIES, MODALITY_NAMES
from mugkit.device import one_thread
from mugkit.evaluation import gap
from mugkit.models.losses import l2_normalise
from mugkit.models.mug import MUCN
from mugkit.plots.style import ACCENT, MODALITY_COLORS, bars_by_modality, canvas
from mugkit.training.pretrain import SavedRepresentations

Saved = Mapping[str, SavedRepresentations]  # a network's name → its representations of the training split


@torch.no_grad()
def corrected(noisy: Float[Tensor, "labels"], correction: float, rho: float, residual: str) -> Float[Tensor, "labels"]:
    """What a MUCN returns for noisy labels if its last layer always gives y′ = `correction` (Eq. 28)."""
    mucn = MUCN(1, 1, rho, residual, output_bias=True)
    for parameter in mucn.parameters():
        parameter.zero_()
    mucn.layers[-1].bias.fill_(correction)  # type: ignore[operator]
    return mucn(torch.zeros(len(noisy), 1), noisy)


def mucn_curves(rho: float) -> pd.DataFrame:
    """Eq. 28 over all labels, for three corrections: columns residual, correction, noisy, corrected."""
    noisy = torch.linspace(-rho, rho, 61)
    curves = [
        {"residual": residual, "correction": y, "noisy": noisy, "corrected": corrected(noisy, y, rho, residual)}
        for residual in ("paper", "scaled")
        for y in (-1.0, 0.0, 1.0)
    ]
    return pd.concat(map(pd.DataFrame, curves), ignore_index=True)


def plot_mucn(curves: pd.DataFrame) -> Figure:
    """One panel per variant of Eq. 28, with one curve per correction and the identity."""
    figure, panels = canvas((9, 4), 1, 2, sharey=True)
    titles = {"paper": "paper: ρ·tanh(ȳ + y′)", "scaled": "scaled: ρ·tanh(ȳ/ρ + y′)"}
    rho = float(curves["noisy"].max())
    for axes, (residual, part) in zip(panels, curves.groupby("residual"), strict=True):
        styles = zip(part.groupby("correction"), ("--", "-", "-."), (*MODALITY_COLORS.values(),), strict=False)
        for (y, line), style, color in styles:
            axes.plot(line["noisy"], line["corrected"], style, color=color, label=f"y′ = {y:+g}".replace("+0", "0"))
        axes.plot([-rho, rho], [-rho, rho], ":", color="#444444", label="the label itself")
        axes.set(title=titles[str(residual)], xlabel="noisy label ȳ (label units)", xlim=(-rho, rho))
        axes.set_ylim(-1.08 * rho, 1.08 * rho)
        axes.legend(loc="upper left")
    panels[0].set_ylabel("corrected label $y_{mc}$ (label units)")
    return figure


def plot_losses(history: Sequence[Mapping[str, float]], constant: float, chance: float) -> Figure:
    """Stage 1's terms of Eq. 12 over epochs (`history` as it stores it) beside `constant_loss` and `chance_loss`."""
    table = pd.DataFrame(list(history))
    figure, (left, right) = canvas((9, 4), 1, 2)
    epochs = table["epoch"] + 1
    left.plot(epochs, table["multimodal"], color=MODALITY_COLORS["M"], linewidth=2.5, label="$L_M$, from $x$")
    for m, marker in zip(MODALITIES, "osD", strict=True):
        style: dict[str, Any] = {"color": MODALITY_COLORS[m], "marker": marker, "markersize": 4}
        left.plot(epochs, table[f"projected_{m}"], **style, label=f"$L_{{m'}}$, {MODALITY_NAMES[m]}")
        right.plot(epochs, table[f"contrastive_{m}"], **style, label=MODALITY_NAMES[m])
    left.axhline(constant, color=ACCENT, linestyle="--", label="best constant")
    right.axhline(chance, color=ACCENT, linestyle="--", label="chance: mean of log n")
    left.set(title="predictive losses (Eqs. 6, 9)", xlabel="epoch", ylabel="mean absolute error (label units)")
    right.set(title="contrastive losses $L^c_m$ (Eq. 11)", xlabel="epoch", ylabel="cross-entropy (nats)")
    for axes in (left, right):
        axes.set_ylim(bottom=0)
        axes.legend()
    return figure


def constant_loss(labels: np.ndarray) -> float:
    """L1 of the best prediction that ignores its input: the mean distance to the median label."""
    return float(np.abs(labels - np.median(labels)).mean())


def chance_loss(clips: int, batch_size: int) -> float:
    """L^c (Eq. 11) of a projection that picks at random: log n for a batch of n clips, mean over an epoch's batches."""
    return float(np.log([len(batch) for batch in torch.arange(clips).split(batch_size)]).mean())


def gap_measures(saved: Saved) -> pd.DataFrame:
    """`gap.measure` for every network and modality, and what the projection still says about y.

    Columns: network, modality, probe, probe_low, probe_high (%), retrieval (%), pool, distance; label_x and
    label_projected, Pearson's r of y and a linear probe on x_m and x_m′; projected_loss, the L1 of ŷ_m′ (Eq. 9).
    """
    return pd.DataFrame([_gap_row(name, reps, m) for name, reps in saved.items() for m in MODALITIES])


def _gap_row(name: str, reps: SavedRepresentations, modality: str) -> dict[str, Any]:
    x, projected, y = reps.unimodal[modality], reps.projected[modality], reps.labels
    correlations = {"label_x": gap.label_probe(x, y), "label_projected": gap.label_probe(projected, y)}
    loss = float((reps.projected_prediction[modality] - y).abs().mean())
    place = {"network": name, "modality": modality}
    return {**place, **asdict(gap.measure(x, projected)), **correlations, "projected_loss": loss}


def gap_table(table: pd.DataFrame) -> pd.DataFrame:
    """The gap table, formatted for people."""
    probes, labels = table[["probe", "probe_low", "probe_high"]], table[["label_x", "label_projected"]]
    shown = {
        "network": table["network"],
        "modality": table["modality"].map(dict(MODALITY_NAMES)),
        "probe, % [95 %]": [f"{probe:.0f} [{low:.0f}, {high:.0f}]" for probe, low, high in probes.to_numpy()],
        "retrieval, %": table["retrieval"].map("{:.0f}".format),
        "distance of means": table["distance"].map("{:.2f}".format),
        "r of y with x_m, x_m′": [f"{x:.2f}, {projected:.2f}" for x, projected in labels.to_numpy()],
        "L1 of ŷ_m′": table["projected_loss"].map("{:.2f}".format),
    }
    return pd.DataFrame(shown).set_index("network")


def plot_gap(table: pd.DataFrame) -> Figure:
    """Probe, retrieval and distance of means as bars, one group per modality, with the value for no gap or chance."""
    figure, panels = canvas((11, 3.6), 1, 3)
    pool = int(table["pool"].iloc[0])
    _bars(panels[0], table, "probe", 50.0, "linear probe tells $x_m$ from $x_{m'}$ (%)", "no gap: 50 %")
    _bars(panels[1], table, "retrieval", 100 / pool, f"$x_{{m'}}$ finds its clip among {pool} (%)", "chance")
    _bars(panels[2], table, "distance", 0.0, "distance of the two means (unit vectors)", "no gap: 0")
    handles, labels = panels[2].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    return figure


# Okabe and Ito again: before training, then without, with and with more contrastive learning.
_NETWORK_COLORS = ("#BBBBBB", "#56B4E9", "#0072B2", ACCENT)


def _bars(axes: Axes, table: pd.DataFrame, column: str, reference: float, label: str, meaning: str) -> None:
    heights, errors = {}, {}
    for name, rows in table.groupby("network", sort=False):
        heights[str(name)] = rows[column].to_numpy()
        if column == "probe":
            errors[str(name)] = np.abs(rows[["probe_low", "probe_high"]].to_numpy().T - heights[str(name)])
    bars_by_modality(axes, heights, _NETWORK_COLORS, errors)
    axes.axhline(reference, color="#444444", linestyle="--", linewidth=1)
    white = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1}
    axes.annotate(meaning, (2.45, reference), (0, 4), textcoords="offset points", ha="right", fontsize=8, bbox=white)
    axes.set_ylabel(label)


def embed(saved: Saved, clips: int = 100, modalities: Sequence[str] = MODALITIES) -> pd.DataFrame:
    """t-SNE of x_m and x_m′ together, on unit vectors; columns network, modality, kind, clip, across, up.

    The clips of the training split are drawn at random, the same for every network.
    """
    total = len(next(iter(saved.values())).labels)
    chosen = np.sort(np.random.default_rng(0).permutation(total)[:clips])
    parts = [_embedding(reps, m, chosen).assign(network=name) for name, reps in saved.items() for m in modalities]
    return pd.concat(parts, ignore_index=True)


def _embedding(reps: SavedRepresentations, modality: str, chosen: np.ndarray) -> pd.DataFrame:
    from sklearn.manifold import TSNE

    vectors = torch.cat([l2_normalise(part[modality][chosen]) for part in (reps.unimodal, reps.projected)]).numpy()
    tsne = TSNE(perplexity=min(30, len(chosen) / 2), init="pca", random_state=0)
    with one_thread():
        flat = tsne.fit_transform(vectors)
    kind = np.repeat(["x_m", "x_m′"], len(chosen))
    columns = {"modality": modality, "kind": kind, "clip": np.tile(chosen, 2), "across": flat[:, 0], "up": flat[:, 1]}
    return pd.DataFrame(columns)


def plot_embedding(points: pd.DataFrame, notes: Mapping[tuple[str, str], str] | None = None) -> Figure:
    """One row per network, one column per modality (networks of one modality side by side); x_m as circles, x_m′ as
    crosses. `notes` are second lines of titles by (network, modality)."""
    networks, modalities = (list(dict.fromkeys(points[name])) for name in ("network", "modality"))
    down, across = (len(networks), len(modalities)) if len(modalities) > 1 else (1, len(networks))
    figure, panels = canvas((3 * across, 2.7 * down), down, across, squeeze=False)
    grid = panels.reshape(len(networks), len(modalities))
    for row, name in zip(grid, networks, strict=True):
        for axes, m in zip(row, modalities, strict=True):
            part = points[(points["network"] == name) & (points["modality"] == m)]
            _scatter(axes, part, MODALITY_COLORS[m])
            note = (notes or {}).get((name, m), "")
            axes.set_title(f"{MODALITY_NAMES[m]}, {name}" + (f"\n{note}" if note else ""), fontsize=9.5)
    grid[0][0].legend(loc="best", markerscale=1.4)
    return figure


def _scatter(axes: Axes, part: pd.DataFrame, color: str) -> None:
    unimodal, projected = part[part["kind"] == "x_m"], part[part["kind"] != "x_m"]
    axes.scatter(unimodal["across"], unimodal["up"], s=14, facecolors="none", edgecolors=color, label="$x_m$")
    axes.scatter(projected["across"], projected["up"], s=14, color="#444444", marker="x", lw=0.8, label="$x_{m'}$")
    axes.set(xticks=[], yticks=[], xlabel="t-SNE 1", ylabel="t-SNE 2")
