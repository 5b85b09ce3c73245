"""Figures of the three stages: losses, the modality gap, MUCN and its gate, labels, validation curves, ablations."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from mugkit.config import MetaLearning
from mugkit.data.schema import MODALITIES, MODALITY_NAMES, Dataset
from mugkit.device import one_thread
from mugkit.evaluation import gap
from mugkit.evaluation.tables import Row
from mugkit.experiments.experiment import Run
from mugkit.experiments.run_store import read_result
from mugkit.metrics import HIGHER_IS_BETTER
from mugkit.models.losses import l2_normalise
from mugkit.models.mug import MUCN
from mugkit.plots.style import ACCENT, MODALITY_COLORS, bars_by_modality, canvas
from mugkit.training.denoising import decay
from mugkit.training.label_sources.source import LearnedLabels
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
