"""Compares every source of unimodal labels with the true labels, and shows stage 3's result with it.

Three measures per modality, on all clips and on those whose modalities disagree: mean absolute error, Pearson's r, and
how often a label has the sign of the true label. Stage 3's result with the same labels shows whether better labels make
a better model.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import kendalltau

from mugkit.data.schema import MODALITIES, MODALITY_NAMES, Dataset
from mugkit.evaluation import comparison, formats
from mugkit.evaluation.comparison import LABELS, true_labels
from mugkit.evaluation.statistics import mean_std
from mugkit.evaluation.tables import records
from mugkit.evaluation.verdicts import ordering
from mugkit.experiments.experiment import Run
from mugkit.experiments.registry import SYSTEMS
from mugkit.plots.style import canvas
from mugkit.studies.label_payoff import TRUE, WITHOUT
from mugkit.studies.sentences import effect
from mugkit.studies.study import grid, over_seeds

Labels = Mapping[str, Float[np.ndarray, " clips"]]
# Source → its name, colour (Okabe and Ito's) and marker; MUG's three variants differ in both.
LOOKS: Mapping[str, tuple[str, str, str]] = {
    "copy": ("copies of y", "#E69F00", "o"),
    "ulgm": ("ULGM", "#56B4E9", "s"),
    "sugrm": ("SUGRM", "#CC79A7", "D"),
    "mlc": ("MLC", "#009E73", "v"),
    "mug": ("MUG", "#0072B2", "^"),
    "mug-without-multimodal-denoising": ("MUG without multimodal denoising", "#D55E00", "P"),
    "mug-without-contrastive": ("MUG without contrastive learning", "#000000", "X"),
    TRUE: ("true labels", "#000000", "*"),
    WITHOUT: ("no unimodal tasks", "0.4", ""),  # a line, as it has no labels
}
NAMES: Mapping[str, str] = {source: name for source, (name, _, _) in LOOKS.items()}
NEAR = 1.25  # the enlarged panel shows label errors up to the smallest times this


def disagreeing(true: Labels) -> Bool[np.ndarray, " clips"]:
    """Which clips have a positive true label in one modality and a negative one in another."""
    values = np.stack([true[m] for m in MODALITIES])
    return np.logical_and((values > 0).any(axis=0), (values < 0).any(axis=0))


def quality(dataset: Dataset, sources: Mapping[str, Sequence[Labels]]) -> pd.DataFrame:
    """One row per source, modality, group of clips and measure: mean and std over seeds.

    Args:
        sources: name → its labels of the training split, one mapping by modality per seed.
    """
    true = true_labels(dataset)
    groups = {"all": np.ones(len(dataset.train), dtype=bool), "disagreeing": disagreeing(true)}
    rows = []
    for (source, seeds), (group, chosen), m in product(sources.items(), groups.items(), MODALITIES):
        truth, labels = true[m][chosen], [of_seed[m][chosen] for of_seed in seeds]
        for measure, metric in LABELS.items():
            found = mean_std([metric.of(of_seed, truth) if len(truth) else None for of_seed in labels])
            place = {"source": source, "clips": group, "n_clips": len(truth), "modality": MODALITY_NAMES[m]}
            rows.append({**place, "measure": measure, **found._asdict()})
    return pd.DataFrame(rows)


def with_results(table: pd.DataFrame, runs: Mapping[str, Sequence[Run]]) -> pd.DataFrame:
    """The table with stage 3's test MAE and Corr added, for every source in `runs`."""
    place = {"clips": "test", "n_clips": None, "modality": "multimodal"}
    lines = [
        {"source": source, **place, "measure": measure, **over_seeds(done, measure)}
        for source, done in runs.items()
        for measure in ("MAE", "Corr")
    ]
    return pd.concat([table, pd.DataFrame(lines)], ignore_index=True)


def source_table(table: pd.DataFrame, clips: str = "all", measures: Sequence[str] = ("MAE",)) -> pd.DataFrame:
    """Formats one group of clips (`all` or `disagreeing`): sources as rows, modalities and measures as columns.

    For all clips, stage 3's MAE and Corr are added.
    """
    chosen = table[(table["clips"] == clips) & table["measure"].isin(measures)]
    if clips == "all":
        chosen = pd.concat([chosen, table[table["clips"] == "test"]])
    cells = zip(chosen["measure"], chosen["mean"], chosen["std"], strict=True)
    shown = grid(chosen.assign(cell=[formats.spread(*cell) for cell in cells]), "source", ["modality", "measure"])
    return shown.fillna("–").rename_axis("labels from")


def quality_against_result(table: pd.DataFrame) -> list[dict[str, Any]]:
    """One point per source: its labels' MAE to the truth, mean over modalities; stage 3's MAE with them; the network.

    Two anchors are added to the sources: true labels, whose error is 0, and no unimodal tasks, which have no labels.
    """
    errors = table[table["measure"] == "MAE"]
    found = errors[errors["clips"] == "all"].groupby("source", sort=False)["mean"].mean()
    labels = pd.concat([found, pd.Series({TRUE: 0.0, WITHOUT: np.nan})]).rename("labels")
    results = errors[errors["clips"] == "test"].set_index("source")[["mean", "std"]].set_axis(["result", "std"], axis=1)
    points = pd.concat([labels, results], axis=1, join="inner").rename_axis("source").reset_index()
    networks = ["its own" if SYSTEMS[name].network else "MUG's" for name in points["source"]]
    return records(points.assign(network=networks))


def draw_quality_against_result(points: Sequence[Mapping[str, Any]]) -> Figure:
    """Stage 3's error (vertical, with its spread over seeds) by label error; markers of networks not MUG's are hollow.

    Left: all sources. Right: those nearest to the truth. Training without unimodal tasks is a horizontal line.
    """
    figure, (left, right) = canvas((11.5, 3.8), 1, 2)
    sources = [point for point in points if point["labels"] is not None and point["source"] != TRUE]
    limit = NEAR * min((point["labels"] for point in sources), default=0.0)
    near = [point for point in points if point["labels"] is None or (point in sources and point["labels"] <= limit)]
    for axes, shown in ((left, points), (right, near)):
        for point in shown:
            _point(axes, point)
        axes.set(xlabel="labels: mean |label − true label| over modalities")
        axes.locator_params("x", nbins=6)
    left.set(title="all", ylabel="stage 3: test MAE (± std over seeds)")
    right.set(title="the sources nearest to the truth")
    figure.legend(*left.get_legend_handles_labels(), fontsize=8, loc="outside right center")
    return figure


def _point(axes: Axes, point: Mapping[str, Any]) -> None:
    result, std, own = point["result"], point["std"], point["network"] != "MUG's"
    name, color, mark = LOOKS.get(point["source"], (point["source"], "0.4", "o"))
    name += ", network of its own" if own else ""
    if point["labels"] is None:
        axes.axhline(result, color=color, linestyle="--", label=name)
        axes.axhspan(*(result + side * (std or 0) for side in (-1, 1)), color=color, alpha=0.12)
        return
    look: dict[str, Any] = {"fmt": mark, "markersize": 13 if mark == "*" else 7, "mfc": "white" if own else color}
    axes.errorbar(point["labels"], result, yerr=std, capsize=3, color=color, label=name, **look)


def which_are_right(data: str, table: pd.DataFrame) -> str:
    """States every source's distance to the truth, the nearest first; `table` is the result of `quality`."""
    errors, said = table[table["measure"] == "MAE"], []
    for clips, name in {"all": "on all training clips", "disagreeing": "on those whose modalities disagree"}.items():
        means = errors[errors["clips"] == clips].groupby("source")["mean"].mean().sort_values()
        listed = [f"{NAMES.get(str(source), source)} {formats.number('MAE', mean)}" for source, mean in means.items()]
        said.append(f"{name} {', '.join(listed)}")
    return f"On {data}, MAE of labels to the true ones, mean over modalities, the nearest first: {'; '.join(said)}."


def better_model(
    data: str, points: Sequence[Mapping[str, Any]], runs: Mapping[str, Sequence[Run]], dataset: Dataset
) -> str:
    """Do better labels make a better model? States whether the sources on MUG's networks have the same order by label
    error and by stage 3's error, and how far the anchors are from the best and the worst source; `points` are of
    `quality_against_result`."""
    sources = [p for p in points if p["network"] == "MUG's" and p["source"] not in (TRUE, WITHOUT)]
    tau, p = kendalltau([row["labels"] for row in sources], [row["result"] for row in sources])
    known = {"as claimed": "agree beyond chance", "opposite": "are opposite beyond chance"}
    order = known.get(ordering(tau, p), "agree no more than those of so few could by chance")
    best, worst = (choose(sources, key=lambda row: row["result"])["source"] for choose in (min, max))
    knowing, leaving_out = (
        effect(comparison.of_runs(runs[ours], runs[theirs], dataset))
        for ours, theirs in ((TRUE, best), (WITHOUT, worst))
    )
    return (
        f"On {data}, the order of {len(sources)} sources on MUG's networks by label error and that by stage 3's test "
        f"MAE {order} (Kendall's τ {tau:+.2f}, p {p:.3f}). Against the best of them ({NAMES.get(best, best)}), knowing "
        f"the true labels {knowing}; against the worst ({NAMES.get(worst, worst)}), leaving out the unimodal tasks "
        f"{leaving_out}."
    )
