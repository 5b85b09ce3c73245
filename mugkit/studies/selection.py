"""What tuning on the test set does to a score, measured on many models none of which is special.

Half of the test clips stand for the test set that a paper reports; the other half stand for fresh clips. Choosing the
best of n models on the first half gives a reported score that the second half does not confirm.
"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float64
from matplotlib.figure import Figure
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from mugkit.device import one_thread
from mugkit.evaluation.probes import Targets, Vectors
from mugkit.plots.style import MODALITY_COLORS, canvas

Hits = Bool[np.ndarray, "candidates clips"]
_LINES = {
    "peeked_reported": ("best on the test set: what is reported", MODALITY_COLORS["a"], "-"),
    "peeked_fresh": ("best on the test set: on fresh clips", MODALITY_COLORS["a"], "--"),
    "honest_reported": ("best on validation: what is reported", MODALITY_COLORS["l"], "-"),
    "honest_fresh": ("best on validation: on fresh clips", MODALITY_COLORS["l"], "--"),
}


def candidates(
    inputs: Vectors, targets: Targets, count: int, width: int, seed: int = 1111
) -> dict[str, Float64[np.ndarray, "candidates clips"]]:
    """Predictions for valid and test of `count` ridge regressions, each on its own random subset of `width` dims."""
    rng, scaler = np.random.default_rng(seed), StandardScaler().fit(inputs["train"])
    x = {name: scaler.transform(values) for name, values in inputs.items()}
    dims = x["train"].shape[1]
    predicted: dict[str, list[np.ndarray]] = {"valid": [], "test": []}
    with one_thread():
        for _ in range(count):
            chosen = rng.permutation(dims)[:width]
            model = Ridge(100.0, solver="cholesky").fit(x["train"][:, chosen], targets["train"])
            for name, rows in predicted.items():
                rows.append(model.predict(x[name][:, chosen]))
    return {name: np.stack(rows) for name, rows in predicted.items()}


def sign_hits(predictions: Float64[np.ndarray, "candidates clips"], truth: np.ndarray) -> Hits:
    """Which candidates are right on which clips, as Acc2 (non0) counts: without clips with y = 0, > 0 on both sides."""
    return (predictions[:, truth != 0] > 0) == (truth[truth != 0] > 0)


def tuning_gain(valid: Hits, test: Hits, repeats: int = 1000, seed: int = 1111) -> dict[str, Any]:
    """Mean Acc2 in percent of the best of n candidates, chosen by the test set or by validation.

    Each repeat splits the test clips at random into halves and shuffles the candidates; the first n are tried. Of
    equally good candidates the first wins.

    Returns:
        `counts` (n = 1, 2, 4, … and all), and for each n `peeked_reported` (chosen by and scored on the first half),
        `peeked_fresh` (scored on the second), and `honest_reported`, `honest_fresh` (chosen by validation).
    """
    rng = np.random.default_rng(seed)
    total, clips = test.shape
    counts = sorted({*(2**power for power in range(total.bit_length())), total})
    scores: dict[str, list[list[float]]] = {name: [] for name in _LINES}
    by_validation = valid.mean(axis=1)
    for _ in range(repeats):
        order, mixed = rng.permutation(total), rng.permutation(clips)
        reported, fresh = (test[order][:, half].mean(axis=1) for half in np.array_split(mixed, 2))
        for choice, scale in (("peeked", reported), ("honest", by_validation[order])):
            best = [int(scale[:n].argmax()) for n in counts]
            scores[f"{choice}_reported"].append(list(reported[best]))
            scores[f"{choice}_fresh"].append(list(fresh[best]))
    means = {name: (100 * np.mean(values, axis=0)).round(3).tolist() for name, values in scores.items()}
    return {"counts": counts, **means, "repeats": repeats}


def tuning_figure(numbers: dict[str, Any]) -> Figure:
    """Reported and fresh scores over the number of models tried, for both ways to choose."""
    figure, axes = canvas((7.5, 4.2))
    for name, (label, color, style) in _LINES.items():
        axes.plot(numbers["counts"], numbers[name], label=label, color=color, linestyle=style, marker="o", markersize=4)
    axes.set_xscale("log", base=2)
    axes.set_xticks(numbers["counts"], map(str, numbers["counts"]))
    axes.set(xlabel="models tried", ylabel="Acc2 without neutral clips (%)")
    axes.legend()
    return figure
