"""Are the learned labels right? Their distance to true unimodal labels, beside that of y_m ← y.

Nobody could measure this on MOSI or MOSEI, which have no unimodal labels. Two intervals are given for every
difference to copying: over seeds of stages 1 and 2 (Student's t), and over clips (bootstrap of the mean over
seeds). A difference is called real only if both exclude zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from mugkit.data.schema import MODALITIES, MODALITY_NAMES, Dataset
from mugkit.errors import UserError
from mugkit.stages.meta import LearnedLabels
from mugkit.statistics import bootstrap, mean_std, t_interval

Measure = Callable[[np.ndarray, np.ndarray], float]


def mae(labels: np.ndarray, true: np.ndarray) -> float:
    """Mean |label − true label|, in the units of the labels."""
    return float(np.abs(labels - true).mean())


def correlation(labels: np.ndarray, true: np.ndarray) -> float:
    """Pearson's r of labels and true labels; NaN if either is constant."""
    return float(np.corrcoef(labels, true)[0, 1]) if np.ptp(labels) and np.ptp(true) else float("nan")


MEASURES: Mapping[str, Measure] = {"MAE": mae, "Corr": correlation}


def compare(dataset: Dataset, learned: Sequence[LearnedLabels]) -> pd.DataFrame:
    """One row a modality and measure: copying, MUCN over seeds, and their difference with both intervals.

    Args:
        learned: stage 2's labels, one per seed.

    Raises:
        UserError: the data set has no true unimodal labels.
    """
    if not dataset.has_true_labels:
        raise UserError(f"'{dataset.name}' has no true unimodal labels", fix="use reviews or sims")
    rows = [_row(dataset, learned, m, name) for m in MODALITIES for name in MEASURES]
    return pd.DataFrame(rows)


def _row(dataset: Dataset, learned: Sequence[LearnedLabels], modality: str, name: str) -> dict[str, object]:
    measure, y, true = MEASURES[name], dataset.train.labels, dataset.train.true_labels[modality]
    ours = [labels.labels[modality].numpy() for labels in learned]
    values = [measure(labels, true) for labels in ours]
    copied = measure(y, true)
    mean, std, n = mean_std(values)
    seeds = t_interval([value - copied for value in values])
    clips = _over_clips(measure, y, true, ours)
    better = -1 if name == "MAE" else 1
    return {
        "modality": MODALITY_NAMES[modality], "measure": name, "copy": copied, "mucn": mean, "mucn_std": std, "n": n,
        "difference": mean - copied, "seeds_low": seeds.low, "seeds_high": seeds.high,
        "clips_low": clips[0], "clips_high": clips[1],
        "verdict": verdict(mean - copied, (seeds.low, seeds.high), clips, better),
    }  # fmt: skip


def _over_clips(measure: Measure, y: np.ndarray, true: np.ndarray, ours: Sequence[np.ndarray]) -> tuple[float, float]:
    """Bootstrap interval over clips of (mean over seeds of the measure) − (the measure of copying)."""

    def difference(y: np.ndarray, true: np.ndarray, *ours: np.ndarray) -> float:
        return float(np.mean([measure(labels, true) for labels in ours])) - measure(y, true)

    interval = bootstrap(difference, y, true, *ours, resamples=1000)
    return interval.low, interval.high


def verdict(difference: float, seeds: tuple[float, float], clips: tuple[float, float], better: int) -> str:
    """'closer', 'farther' or 'undecided', from the signs of both intervals.

    Args:
        better: +1 if larger is better, −1 if smaller is.
    """
    above, below = all(low > 0 for low, _ in (seeds, clips)), all(high < 0 for _, high in (seeds, clips))
    if not (above or below):
        return "undecided"
    return "closer" if difference * better > 0 else "farther"


def display(table: pd.DataFrame) -> pd.DataFrame:
    """The comparison as people read it."""
    shown = pd.DataFrame(
        {
            "y_m ← y": table["copy"].map("{:.3f}".format),
            "MUCN": [f"{m:.3f} ± {s:.3f}" for m, s in zip(table["mucn"], table["mucn_std"], strict=True)],
            "difference": table["difference"].map("{:+.3f}".format),
            "95 % over seeds": _intervals(table, "seeds"),
            "95 % over clips": _intervals(table, "clips"),
            "MUCN is": table["verdict"],
        }
    )
    return shown.set_index(pd.Index(table["modality"] + ", " + table["measure"], name="labels against the truth"))


def _intervals(table: pd.DataFrame, which: str) -> list[str]:
    pairs = zip(table[f"{which}_low"], table[f"{which}_high"], strict=True)
    return [f"[{low:+.3f}, {high:+.3f}]" for low, high in pairs]
