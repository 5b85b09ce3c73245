"""How robust sources of unimodal labels are: to disagreeing modalities, and to noise in the clips' labels.

Two questions: Are labels wrong on those clips whose modalities disagree? And what happens to the labels, and to stage
3, if training sees only noisier labels of clips?
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mugkit.config import RunSpec, repeated
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.evaluation import comparison, formats
from mugkit.evaluation.comparison import LABELS, Rows
from mugkit.evaluation.statistics import mean_std
from mugkit.evaluation.tables import records
from mugkit.evaluation.verdicts import hull, word
from mugkit.experiments import noise
from mugkit.experiments.experiment import Run
from mugkit.plots.style import canvas
from mugkit.studies.label_table import Labels
from mugkit.studies.sentences import grouped
from mugkit.studies.study import by_setting, grid, over_seeds

Runs = Mapping[tuple[str, float], Sequence[Run]]  # (system, k) → one run per seed
SeenLabels = Mapping[tuple[str, float], Mapping[str, Rows]]  # … → by modality, one row per seed
SOURCES = ("copy", "ulgm", "mug")
LEVELS = (0.0, 2.0)  # k of `mugkit.experiments.noise`
BINS = (-0.01, 0.01, 0.2, 0.4, 0.6, 2.0)  # edges of the bins of disagreement, as a share of 2ρ
WORDS = {
    "against_copy": ("closer", "farther"),
    "test_change": ("better", "worse"),
    "test_against_copy": ("better", "worse"),
}
ENDS = ("difference", "clips_low", "clips_high", "seeds_low", "seeds_high", "seeds")
_LOOKS = dict(zip(SOURCES, ("o-", "s--", "D-."), strict=True))


def disagreement(true: Labels) -> Float[np.ndarray, " clips"]:
    """How far apart a clip's modalities are: the largest of its true unimodal labels minus the smallest."""
    spread = np.ptp(np.stack([true[m] for m in MODALITIES]).astype(np.float64), axis=0)
    return spread.round(4)  # 1.6 − 0.4 and 1.2 − 0 are not equal in float32, and an edge of a bin may be 1.2


def by_disagreement(dataset: Dataset, sources: Mapping[str, Sequence[Labels]]) -> pd.DataFrame:
    """Label MAE, mean over modalities, in bins of disagreement; `sources` as for `label_table.quality`.

    Returns:
        One row per source and bin that has clips: source, bin (in units of the labels), clips, mean, std, n over seeds.
    """
    true, rho = dataset.train.true_labels, dataset.label_scale
    *edges, _ = (2 * rho * edge for edge in BINS[2:])  # in units of the labels
    names = ["0", *(f"to {edge:.1f}" for edge in edges), f"over {edges[-1]:.1f}"]
    place = np.asarray(pd.cut(disagreement(true) / (2 * rho), BINS, labels=names))
    rows = []
    for source, seeds in sources.items():
        errors = [_errors(dataset, labels) for labels in seeds]
        for name in names:
            if (clips := place == name).any():
                found = mean_std([float(of_seed[clips].mean()) for of_seed in errors])._asdict()
                rows.append({"source": source, "bin": name, "clips": int(clips.sum()), **found})
    return pd.DataFrame(rows)


def bin_table(table: pd.DataFrame) -> pd.DataFrame:
    """Formats the bins: sources as rows, bins with their numbers of clips as columns."""
    cells = formats.spreads("MAE", table["mean"], table["std"])
    heads = [f"{name} ({clips} clips)" for name, clips in zip(table["bin"], table["clips"], strict=True)]
    return grid(table.assign(cell=cells, head=heads), "source", "head").rename_axis(columns=None)


def jobs(dataset: str, profile: str) -> dict[tuple[str, float], list[tuple[RunSpec, float]]]:
    """Every source at every level of noise, one run per study seed: (system, k) → jobs for `noise.run_all`."""
    cells = [(system, k) for system in SOURCES for k in LEVELS]
    return {(s, k): [(spec, k) for spec in repeated(s, dataset, profile, {})] for s, k in cells}


def study(dataset: Dataset, profile: str) -> tuple[Runs, SeenLabels]:
    """Runs all of `jobs`; returns the runs and the training labels that they used."""
    wanted = jobs(dataset.name, profile)
    runs = by_setting(noise.run_all, wanted)
    works = {cell: [noise.work(*job) for job in group] for cell, group in wanted.items()}
    return runs, {cell: comparison.training_labels(group) for cell, group in works.items()}


def robustness(dataset: Dataset, runs: Runs, labels: SeenLabels) -> pd.DataFrame:
    """One row per source and level: label MAE (mean over modalities) and test MAE, over seeds, with three verdicts.

    Columns: source, k, labels_mean, labels_std, test_mean, test_std, n; against_copy_difference with its intervals and
    seeds, and against_copy_verdict (are labels closer to the truth than copies of the same noisy labels?); the same for
    test_change (is stage 3 worse than with k = 0?) and test_against_copy (is it better with these labels than with
    copies?). Each question's rows are judged together.
    """
    rows = [_row(dataset, runs, labels, system, k) for system in SOURCES for k in LEVELS]
    for column, words in WORDS.items():
        differences = [row.pop(column) for row in rows]
        together = sum(map(bool, differences))
        for row, difference in zip(rows, differences, strict=True):
            row |= {f"{column}_{end}": difference.get(end) for end in ENDS}
            row[f"{column}_verdict"] = word(difference, *words, together) if difference else ""
    return pd.DataFrame(rows)


def _row(dataset: Dataset, runs: Runs, labels: SeenLabels, system: str, k: float) -> dict[str, Any]:
    done, errors = runs[system, k], _errors(dataset, labels[system, k])
    mean, std, n = mean_std(list(errors.mean(1)))
    tests = over_seeds(done)
    row = {"source": system, "k": k, "labels_mean": mean, "labels_std": std}
    row |= {"test_mean": tests["mean"], "test_std": tests["std"], "n": n}
    copied, zero = _errors(dataset, labels["copy", k]), np.zeros(errors.shape[1])
    row["against_copy"] = comparison.compare(LABELS["MAE"], errors, copied, zero) if system != "copy" else {}
    row["test_change"] = comparison.of_runs(done, runs[system, 0.0], dataset) if k else {}
    row["test_against_copy"] = comparison.of_runs(done, runs["copy", k], dataset) if system != "copy" else {}
    return row


def _errors(dataset: Dataset, labels: Mapping[str, np.ndarray]) -> Float[np.ndarray, "*seeds clips"]:
    """|label − true label|, mean over modalities; its MAE to 0 is the labels' MAE."""
    return np.mean([np.abs(labels[m] - dataset.train.true_labels[m]) for m in MODALITIES], axis=0)


def level_table(table: pd.DataFrame) -> pd.DataFrame:
    """Formats the study."""
    shown = {
        "labels from": table["source"],
        "k": table["k"].map("{:g}".format),
        "label MAE": formats.spreads("MAE", table["labels_mean"], table["labels_std"]),
        "labels, against copies": table["against_copy_verdict"],
        "test MAE": formats.spreads("MAE", table["test_mean"], table["test_std"]),
        "test, against k = 0": table["test_change_verdict"],
        "test, against copies": table["test_against_copy_verdict"],
    }
    return pd.DataFrame(shown).set_index(["labels from", "k"])


def sentence(data: str, table: pd.DataFrame) -> str:
    """Compares MUG's labels with copies of the same noisy labels, and stage 3 with each; `table` is of `robustness`.

    Brackets hold the interval that decides when all rows of a question are judged together.
    """
    said = {"labels": "against_copy", "test MAE of stage 3": "test_against_copy"}
    parts = [f"{what} {grouped(_of_mug(table, column), 'k', 'at k =')}" for what, column in said.items()]
    return f"On {data}, with noise of k raters' standard deviations, MUG against copies: {'; '.join(parts)}."


def _of_mug(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """MUG's rows of one question, in the form that `grouped` takes."""
    rows, together = table[table["source"] == "mug"], int((table[f"{column}_verdict"] != "").sum())
    differences = rows[[f"{column}_{end}" for end in ENDS]].set_axis(ENDS, axis=1)
    ends = [hull(row, together) for row in records(differences)]
    told = pd.DataFrame(ends, columns=["low", "high"], index=rows.index).assign(difference=differences["difference"])
    return told.assign(metric="MAE", k=rows["k"], verdict=rows[f"{column}_verdict"])


def draw(bins: pd.DataFrame, levels: pd.DataFrame) -> Figure:
    """Label MAE over disagreement and over noise, test MAE over noise; mean ± std over seeds."""
    figure, (left, middle, right) = canvas((11, 3.8), 1, 3)
    middle.sharey(left)
    _lines(left, bins, "bin", "")
    _lines(middle, levels, "k", "labels_")
    _lines(right, levels, "k", "test_")
    left.set(title="labels, by disagreement", xlabel="largest minus smallest true label")
    left.set(ylabel="label MAE (mean over modalities)")
    middle.set(ylabel="label MAE", title="labels, by noise")
    right.set(ylabel="test MAE", title="stage 3, by noise")
    for axes in (middle, right):
        axes.set(xlabel="noise k (raters' standard deviations)", xticks=LEVELS)
    left.legend()
    return figure


def _lines(axes: Axes, table: pd.DataFrame, x: str, of: str) -> None:
    for (system, look), color in zip(_LOOKS.items(), seaborn.color_palette("colorblind"), strict=False):
        rows = table[table["source"] == system]
        spread = rows[f"{of}std"].fillna(0)
        axes.errorbar(rows[x], rows[f"{of}mean"], yerr=spread, fmt=look, color=color, capsize=3, label=system)
