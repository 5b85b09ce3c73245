"""Compares two systems, or two sources of labels, on the same clips and seeds.

Every metric of the tables is a function of a few sums over clips (hits; errors; products of prediction and truth). A
bootstrapped metric is therefore the same function of weighted sums, where a clip's weight is how often it was drawn,
and thousands of resamples are one matrix product.

A difference has two intervals. The bootstrap over clips, of the mean over seeds, asks whether it would hold with other
clips. Student's interval over the paired seeds asks whether it would hold with other seeds. `verdicts` judges both.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from mugkit.data.schema import MODALITIES, Dataset, SplitName
from mugkit.device import one_thread
from mugkit.errors import UserError
from mugkit.evaluation import formats
from mugkit.evaluation.statistics import t_interval
from mugkit.evaluation.tables import records
from mugkit.evaluation.verdicts import word, written
from mugkit.experiments.experiment import Run
from mugkit.experiments.registry import SYSTEMS, Experiment
from mugkit.training.label_sources import source
from mugkit.training.label_sources.source import LearnedLabels

Values = Float[np.ndarray, " clips"]
Rows = Float[np.ndarray, "seeds clips"]
Sums = Float[np.ndarray, "... parts"]
Parts = Callable[[Values, Values], Float[np.ndarray, "clips parts"]]
RESAMPLES, SEED = 1999, 1111


@dataclass(frozen=True)
class Metric:
    """A metric as a function of sums over clips.

    Attributes:
        parts: prediction and truth → the terms to sum, one row per clip.
        value: sums → the metric; NaN if it is undefined.
    """

    name: str
    parts: Parts
    value: Callable[[Sums], Float[np.ndarray, "..."]]

    def of(self, prediction: Values, truth: Values) -> float:
        """Computes the metric from one prediction (or label) per clip."""
        parts = self.parts(np.asarray(prediction, np.float64), np.asarray(truth, np.float64))
        return float(self.value(parts.sum(0)))


def _errors(prediction: Values, truth: Values) -> Float[np.ndarray, "clips 2"]:
    return np.stack([np.abs(prediction - truth), np.ones_like(truth)], axis=1)


def _classes(prediction: Values, truth: Values) -> Float[np.ndarray, "clips 2"]:
    """Hits among the seven classes of labels within ±3."""
    predicted, true = (np.round(np.clip(values, -3, 3)) for values in (prediction, truth))
    return np.stack([100.0 * (predicted == true), np.ones_like(truth)], axis=1)


def _signs(prediction: Values, truth: Values) -> Float[np.ndarray, "clips 2"]:
    known = (truth != 0).astype(float)
    return np.stack([100.0 * known * (np.sign(prediction) == np.sign(truth)), known], axis=1)


def _cells(prediction: Values, truth: Values) -> Float[np.ndarray, "clips 4"]:
    """True and false positives, false and true negatives; clips labelled 0 are negative."""
    said, is_so = prediction > 0, truth > 0
    return np.stack([said & is_so, said & ~is_so, ~said & is_so, ~said & ~is_so], axis=1).astype(float)


def _cells_without_neutral(prediction: Values, truth: Values) -> Float[np.ndarray, "clips 4"]:
    return _cells(prediction, truth) * (truth != 0)[:, None]


def _products(prediction: Values, truth: Values) -> Float[np.ndarray, "clips 6"]:
    p, t = prediction - prediction.mean(), truth - truth.mean()  # centred, so that sums of squares stay exact
    return np.stack([np.ones_like(t), p, t, p * p, t * t, p * t], axis=1)


def _within_one(parts: Parts) -> Parts:
    return lambda prediction, truth: parts(np.clip(prediction, -1, 1), np.clip(truth, -1, 1))


def _mean(sums: Sums) -> Float[np.ndarray, "..."]:
    return _ratio(sums[..., 0], sums[..., 1])


def _accuracy(sums: Sums) -> Float[np.ndarray, "..."]:
    return 100 * _ratio(sums[..., 0] + sums[..., 3], sums.sum(-1))


def _weighted_f1(sums: Sums) -> Float[np.ndarray, "..."]:
    tp, fp, fn, tn = np.moveaxis(sums, -1, 0)
    of_class = [2 * hits / np.maximum(2 * hits + fp + fn, 1e-12) for hits in (tp, tn)]  # an empty class has F1 0
    return 100 * _ratio((tp + fn) * of_class[0] + (tn + fp) * of_class[1], sums.sum(-1))


def _pearson(sums: Sums) -> Float[np.ndarray, "..."]:
    n, p, t, pp, tt, pt = np.moveaxis(sums, -1, 0)
    variances = np.maximum(n * pp - p * p, 0) * np.maximum(n * tt - t * t, 0)
    return _ratio(n * pt - p * t, np.sqrt(variances))


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full_like(np.asarray(above, float), np.nan), where=below > 0)


def _by_name(*metrics: Metric) -> Mapping[str, Metric]:
    return {metric.name: metric for metric in metrics}


_MOSI = _by_name(
    Metric("Acc7", _classes, _mean),
    Metric("Acc2", _cells_without_neutral, _accuracy),
    Metric("F1", _cells_without_neutral, _weighted_f1),
    Metric("MAE", _errors, _mean),
    Metric("Corr", _products, _pearson),
)
# As in MMSA, SIMS's metrics clip predictions and labels to ±1; Acc2 and F1 need only signs, which clipping keeps.
_SIMS = _by_name(
    Metric("MAE", _within_one(_errors), _mean),
    Metric("Corr", _within_one(_products), _pearson),
    Metric("Acc2", _cells, _accuracy),
    Metric("F1", _cells, _weighted_f1),
)
LABELS = _by_name(_MOSI["MAE"], _MOSI["Corr"], Metric("sign %", _signs, _mean))


def metrics_of(family: str) -> Mapping[str, Metric]:
    """The metrics for predictions on a family of data sets, by the paper's convention for that family."""
    return _SIMS if family == "sims" else _MOSI


# --- two systems


@lru_cache(maxsize=2)
def _draws(clips: int) -> Float[np.ndarray, "resamples clips"]:
    """How often each resample draws each clip."""
    rng = np.random.default_rng(SEED)
    return rng.multinomial(clips, np.full(clips, 1 / clips), size=RESAMPLES).astype(np.float32)


def resampled(
    name: str, parts: Float[np.ndarray, "seeds clips parts"], difference: Callable[[Sums], Float[np.ndarray, "..."]]
) -> dict[str, Any]:
    """The mean over seeds and both 95 % intervals of a difference that is a function of sums over clips (of `parts`).

    Returns:
        metric, difference, clips_low, clips_high, seeds_low, seeds_high, clips, seeds. Undefined values are None (the
        correlation of a constant, the spread of a single seed).
    """
    seeds, clips, _ = parts.shape
    by_seed = difference(parts.sum(1))
    with one_thread():
        sums = _draws(clips) @ parts.transpose(1, 0, 2).reshape(clips, -1)
    low, high = np.quantile(difference(sums.reshape(RESAMPLES, seeds, -1)).mean(-1), (0.025, 0.975))
    numbers = {"difference": by_seed.mean(), "clips_low": low, "clips_high": high}
    numbers["seeds_low"], numbers["seeds_high"] = t_interval(list(by_seed))
    finite = {key: float(value) if np.isfinite(value) else None for key, value in numbers.items()}
    return {"metric": name, **finite, "clips": clips, "seeds": seeds}


def compare(metric: Metric, ours: Rows, theirs: Rows, truth: Values) -> dict[str, Any]:
    """Our metric minus theirs, of predictions or labels, as `resampled` returns it.

    Rows (seeds) are paired in order; rows without a partner are ignored. An array of one dimension is one row.
    """
    pairs = zip(np.atleast_2d(ours), np.atleast_2d(theirs), strict=False)
    parts = np.stack([np.concatenate([metric.parts(x, truth) for x in pair], axis=1) for pair in pairs])

    def difference(sums: Sums) -> Float[np.ndarray, "..."]:
        mine, yours = np.split(sums, 2, axis=-1)
        return metric.value(mine) - metric.value(yours)

    return resampled(metric.name, parts, difference)


# --- finished runs


def predictions(folders: Sequence[Path], dataset: Dataset, split: SplitName = "test") -> Rows:
    """ŷ of one split: one row per run, with clips in the data set's order."""
    rows = []
    for folder in folders:
        table = pd.read_parquet(folder / "predictions.parquet").query("split == @split").set_index("id")
        rows.append(table.loc[dataset.splits[split].ids, "prediction"].to_numpy())
    return np.stack(rows)


def true_labels(dataset: Dataset, split: SplitName = "train") -> dict[str, Values]:
    """The true unimodal labels of a split, by modality.

    Raises:
        UserError: if the data set has none.
    """
    if not dataset.has_true_labels:
        raise UserError(f"'{dataset.name}' has no true unimodal labels", fix="use reviews or sims")
    return {m: dataset.splits[split].true_labels[m].astype(np.float64) for m in MODALITIES}


def label_rows(labels: Sequence[Mapping[str, Float[Tensor, " clips"]]]) -> dict[str, Rows]:
    """Each modality's labels, one row per seed."""
    return {m: np.stack([of_seed[m].numpy() for of_seed in labels]) for m in MODALITIES}


def training_labels(works: Sequence[Experiment]) -> dict[str, Rows]:
    """Each modality's labels of the training split from any label source, one row per run."""
    return label_rows([_labels(work) for work in works])


def _labels(work: Experiment) -> Mapping[str, Float[Tensor, " clips"]]:
    kind = work.system.labels
    if kind == "mucn":
        return LearnedLabels.load(work.learned_labels()).labels
    if kind in source.ONLINE:
        return source.saved_labels(work.result())
    return {"copy": source.copied, "true": source.true}[kind](work.dataset).values


def of_runs(
    runs: Sequence[Run], reference: Sequence[Run], dataset: Dataset, metric: str = "MAE", split: SplitName = "test"
) -> dict[str, Any]:
    """A metric of one split of `runs` minus that of `reference`, over the seeds that both have.

    Raises:
        UserError: if they share no seed.
    """
    by_seed = [{run.spec.seed: run.folder for run in group} for group in (runs, reference)]
    seeds = [seed for seed in by_seed[0] if seed in by_seed[1]]
    if not seeds:
        raise UserError("the two systems have no seed in common", field="seeds", fix="run both with the same seeds")
    ours, theirs = (predictions([folders[seed] for seed in seeds], dataset, split) for folders in by_seed)
    return compare(metrics_of(dataset.family)[metric], ours, theirs, dataset.splits[split].labels)


def against(
    dataset: Dataset, runs: Mapping[str, Sequence[Run]], reference: str, metrics: Sequence[str] = ("MAE", "Acc2")
) -> pd.DataFrame:
    """One row per system (but the reference) and metric: its difference from the reference, and which is better."""
    rows = []
    for name in (name for name in runs if name != reference):
        for metric in metrics:
            found = of_runs(runs[name], runs[reference], dataset, metric)
            verdict = word(found, "better than MUG", "worse than MUG")
            rows.append({"system": SYSTEMS[name].row, **found, "verdict": verdict})
    return pd.DataFrame(rows)


def columns(table: pd.DataFrame) -> dict[str, list[str]]:
    """Formats differences and both of their intervals."""
    metrics, differences = table["metric"], zip(table["metric"], table["difference"], strict=True)
    shown = {"difference": [formats.number(*pair, signed=True) for pair in differences]}
    for which in ("clips", "seeds"):
        shown[f"over {which}"] = list(map(formats.span, metrics, table[f"{which}_low"], table[f"{which}_high"]))
    return shown


def differences_table(table: pd.DataFrame) -> pd.DataFrame:
    """Formats `against`: the first metric with both intervals, the others with the interval that decides."""
    shown: dict[str, list[str]] = {}
    for metric, rows in table.groupby("metric", sort=False):
        cells = {"difference": list(map(written, records(rows)))} if shown else columns(rows)
        shown |= {f"{metric} minus MUG's": cells.pop("difference"), **cells, f"{metric} is": rows["verdict"].tolist()}
    return pd.DataFrame(shown, index=pd.Index(table["system"].drop_duplicates(), name="system"))
