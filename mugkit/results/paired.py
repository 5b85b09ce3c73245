"""Two systems on the same clips: the difference in any metric, with its interval and its p.

Every metric of the tables is a function of a few sums over clips (hits; errors; products of prediction and truth). A
resampled metric is therefore that function of weighted sums, and thousands of resamples are one matrix product:

    bootstrap     a clip's weight is how often it was drawn
    permutation   a clip's weight says whether the two systems have changed places on it

As in `comparison`, a difference is asked two questions: would it be there with other clips (p and interval over
clips), and with other seeds (Student's interval over paired seeds).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from mugkit.data.schema import LABEL_SCALE
from mugkit.errors import unknown_name
from mugkit.statistics import t_interval
from mugkit.threads import one_thread

Values = Float[np.ndarray, " clips"]
Sums = Float[np.ndarray, "... parts"]
RESAMPLES = 1999


@dataclass(frozen=True)
class Metric:
    """A metric as a function of sums over clips.

    Attributes:
        parts: prediction and truth → what is summed, one row a clip.
        value: sums → the metric; NaN where it is undefined.
    """

    parts: Callable[[Values, Values], Float[np.ndarray, "clips parts"]]
    value: Callable[[Sums], Float[np.ndarray, "..."]]


def _errors(prediction: Values, truth: Values) -> Float[np.ndarray, "clips 2"]:
    return np.stack([np.abs(prediction - truth), np.ones_like(truth)], axis=1)


def _classes(limit: int) -> Callable[[Values, Values], Float[np.ndarray, "clips 2"]]:
    def hits(prediction: Values, truth: Values) -> Float[np.ndarray, "clips 2"]:
        one, other = (np.round(np.clip(values, -limit, limit)) for values in (prediction, truth))
        return np.stack([100.0 * (one == other), np.ones_like(truth)], axis=1)

    return hits


def _signs(prediction: Values, truth: Values) -> Float[np.ndarray, "clips 2"]:
    known = (truth != 0).astype(float)
    return np.stack([100.0 * known * (np.sign(prediction) == np.sign(truth)), known], axis=1)


def _confusion(neutral: bool) -> Callable[[Values, Values], Float[np.ndarray, "clips 4"]]:
    """True and false positives, false and true negatives; clips labelled 0 count as negative or not at all."""

    def cells(prediction: Values, truth: Values) -> Float[np.ndarray, "clips 4"]:
        said, is_so = prediction > 0, truth > 0
        counted = np.ones_like(is_so) if neutral else truth != 0
        parts = [said & is_so, said & ~is_so, ~said & is_so, ~said & ~is_so]
        return np.stack(parts, axis=1) * counted[:, None].astype(float)

    return cells


def _products(prediction: Values, truth: Values) -> Float[np.ndarray, "clips 6"]:
    p, t = prediction - prediction.mean(), truth - truth.mean()  # centred: sums of squares stay exact
    return np.stack([np.ones_like(t), p, t, p * p, t * t, p * t], axis=1)


def _within_one(parts: Callable[[Values, Values], np.ndarray]) -> Callable[[Values, Values], np.ndarray]:
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


_MOSI: Mapping[str, Metric] = {
    "Acc7": Metric(_classes(3), _mean),
    "Acc2": Metric(_confusion(neutral=False), _accuracy),
    "F1": Metric(_confusion(neutral=False), _weighted_f1),
    "MAE": Metric(_errors, _mean),
    "Corr": Metric(_products, _pearson),
}
# After MMSA, whatever SIMS's metrics look at is within ±1 (signs and what is 0 stay as they are).
_SIMS: Mapping[str, Metric] = {
    "MAE": Metric(_within_one(_errors), _mean),
    "Corr": Metric(_within_one(_products), _pearson),
    "Acc2": Metric(_confusion(neutral=True), _accuracy),
    "F1": Metric(_confusion(neutral=True), _weighted_f1),
}
LABELS: Mapping[str, Metric] = {"MAE": _MOSI["MAE"], "Corr": _MOSI["Corr"], "sign %": Metric(_signs, _mean)}


def metrics_of(family: str) -> Mapping[str, Metric]:
    """The metrics of a family's predictions, in the paper's convention for it.

    Raises:
        UserError: an unknown family.
    """
    if family not in LABEL_SCALE:
        raise unknown_name("family of data sets", family, LABEL_SCALE)
    return _SIMS if family == "sims" else _MOSI


@lru_cache(maxsize=2)
def _draws(clips: int, resamples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each clip is drawn, and whether the systems change places on it; a row a resample."""
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(clips, np.full(clips, 1 / clips), size=resamples)
    return drawn.astype(np.float32), rng.integers(0, 2, (resamples, clips)).astype(np.float32)


def compare(
    metric: Metric,
    ours: Float[np.ndarray, "seeds clips"],
    theirs: Float[np.ndarray, "seeds clips"],
    truth: Values,
    resamples: int = RESAMPLES,
    seed: int = 1111,
) -> dict[str, float | int | None]:
    """Our metric minus theirs, mean over seeds: p and 95 % interval over clips, 95 % interval over seeds.

    Args:
        ours: ŷ (or labels) of one system, a row a seed.
        theirs: the other's, of the same seeds in the same order.

    Returns:
        difference, p, clips_low, clips_high, clips, seeds_low, seeds_high, seeds; None where undefined (a constant's
        correlation, the spread of a single seed).
    """
    parts = [np.stack([metric.parts(one, truth) for one in rows]) for rows in (ours, theirs)]
    a, b = (part.transpose(1, 0, 2).reshape(len(truth), -1) for part in parts)  # clips × (seeds · parts)

    def value(sums: np.ndarray) -> np.ndarray:
        return metric.value(sums.reshape(*sums.shape[:-1], len(ours), -1))

    by_seed = value(a.sum(0)) - value(b.sum(0))
    drawn, swapped = _draws(len(truth), resamples, seed)
    with one_thread():
        boot = (value(drawn @ a) - value(drawn @ b)).mean(-1)
        moved = swapped @ (b - a)
    chance = (value(a.sum(0) + moved) - value(b.sum(0) - moved)).mean(-1)
    difference, (low, high) = float(by_seed.mean()), np.quantile(boot, (0.025, 0.975))
    as_large = np.sum(np.abs(chance) >= abs(difference) - 1e-12)
    seeds = t_interval(list(by_seed))
    numbers = {"difference": difference, "p": float((as_large + 1) / (resamples + 1))}
    numbers |= {"clips_low": float(low), "clips_high": float(high), "seeds_low": seeds.low, "seeds_high": seeds.high}
    if not np.isfinite(difference):
        numbers["p"] = float("nan")
    finite = {name: number if np.isfinite(number) else None for name, number in numbers.items()}
    return {**finite, "clips": len(truth), "seeds": len(by_seed)}
