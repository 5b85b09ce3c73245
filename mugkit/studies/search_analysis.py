"""Analyses the trials of a search: which hyperparameters matter, and what choosing by the test set would have gained.

Two methods show what matters. A rank correlation with the validation error sees one field at a time and only monotone
effects; its p is corrected by Holm for the number of fields. A random forest sees any shape and several fields at once;
its permutation importance is measured on held-out trials, and counts only as far as the forest predicts them at all.
"""

import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from scipy.stats import ConstantInputWarning, bootstrap, spearmanr
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, cross_val_predict

from mugkit.errors import UserError
from mugkit.evaluation import formats
from mugkit.evaluation.statistics import holm, t_interval
from mugkit.evaluation.verdicts import LEVEL
from mugkit.plots.style import ACCENT, MODALITY_COLORS, canvas
from mugkit.studies.search_record import Record

SEED = 1111  # of folds, forests and the bootstrap
FEWEST = 4  # trials; with fewer, correlations mean nothing
MATTERS, UNSEEN = "matters", "undecided"


def scored(record: Record) -> pd.DataFrame:
    """The finished trials (at least four): trial, the searched fields, `valid` and, if it was evaluated, `test`."""
    table = record.search.frame().dropna(subset=["valid"]).reset_index(drop=True)
    if len(table) < FEWEST:
        raise UserError(f"{len(table)} trials have scores; {FEWEST} are needed", fix="try more configurations")
    return table.assign(test=record.tested.errors) if record.tested else table


def fields(table: pd.DataFrame) -> list[str]:
    """The searched fields among a table's columns."""
    return [name for name in table.columns if name not in ("trial", "valid", "test")]


def importance(table: pd.DataFrame) -> pd.DataFrame:
    """Which fields affect the validation MAE of trials (`scored`).

    Returns:
        One row per field: `rho` (Spearman's, with the validation MAE), `p`, `p_corrected`, `importance` (rise of the
        forest's error on held-out trials when the field is shuffled, in units of the labels), its 95 % interval over
        folds `low`, `high` (Bonferroni), and `verdict` (by the corrected rank correlation or an interval above zero).
    """
    names = fields(table)
    rho, p = zip(*(_rank_correlation(table[name], table["valid"]) for name in names), strict=True)
    raised = _held_out_importance(table[names].to_numpy(float), table["valid"].to_numpy())
    rows = pd.DataFrame({"field": names, "rho": rho, "p": p, "p_corrected": holm(p), "importance": raised.mean(0)})
    rows[["low", "high"]] = [t_interval(list(of_field), 1 - LEVEL / len(names)) for of_field in raised.T]
    matters = (rows["p_corrected"] < LEVEL) | (rows["low"] > 0)
    rows["verdict"] = np.where(matters, MATTERS, UNSEEN)
    return rows


def _rank_correlation(values: pd.Series, scores: pd.Series) -> tuple[float, float]:
    """Spearman's ρ and p; a field that never varied has ρ = 0."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantInputWarning)
        result = spearmanr(values, scores)
    return (0.0, 1.0) if math.isnan(result.statistic) else (float(result.statistic), float(result.pvalue))


def _folds(trials: int) -> KFold:
    return KFold(min(5, trials), shuffle=True, random_state=SEED)


def _held_out_importance(
    x: Float[np.ndarray, "trials fields"], y: Float[np.ndarray, " trials"]
) -> Float[np.ndarray, "folds fields"]:
    rows = []
    for fitted, held_out in _folds(len(y)).split(x):
        model = RandomForestRegressor(random_state=SEED).fit(x[fitted], y[fitted])
        options = {"scoring": "neg_mean_absolute_error", "n_repeats": 5, "random_state": SEED}
        rows.append(permutation_importance(model, x[held_out], y[held_out], **options).importances_mean)
    return np.stack(rows)


def predictability(table: pd.DataFrame) -> float:
    """R² of the forest on held-out trials; if it is zero or less, the importances mean nothing."""
    x, y = table[fields(table)].to_numpy(float), table["valid"].to_numpy()
    return float(r2_score(y, cross_val_predict(RandomForestRegressor(random_state=SEED), x, y, cv=_folds(len(y)))))


def importance_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Formats `importance`, the clearest rank correlation first."""
    rows = rows.set_index("field").sort_values("p", kind="stable")
    ends = zip(rows["importance"], rows["low"], rows["high"], strict=True)
    shown = {
        "rank correlation": rows["rho"].map("{:+.2f}".format),
        "p, corrected": rows["p_corrected"].map("{:.3f}".format),
        "importance, interval over folds": [formats.estimate("importance", *row) for row in ends],
        "verdict": rows["verdict"],
    }
    return pd.DataFrame(shown)


def peeking(table: pd.DataFrame) -> dict[str, float]:
    """What choosing by the test set would have gained in reported test MAE, with a bootstrap over trials.

    Returns:
        `honest` (test MAE of the trial that is best on validation), `peeked` (the lowest test MAE of any trial),
        `gain` = honest − peeked, its 95 % interval `low`, `high`, and `agreement` (Spearman's ρ of validation and
        test MAE over trials).
    """
    valid, test = table["valid"].to_numpy(), table["test"].to_numpy()
    options: dict[str, Any] = {"paired": True, "vectorized": False, "method": "percentile", "n_resamples": 1000}
    low, high = bootstrap((valid, test), _gain, rng=np.random.default_rng(SEED), **options).confidence_interval
    honest, peeked = float(test[valid.argmin()]), float(test.min())
    return {
        "trials": len(table), "honest": honest, "peeked": peeked, "gain": honest - peeked,
        "low": float(low), "high": float(high), "agreement": _rank_correlation(table["valid"], table["test"])[0],
    }  # fmt: skip


def _gain(valid: np.ndarray, test: np.ndarray) -> float:
    return float(test[valid.argmin()] - test.min())


def draw(table: pd.DataFrame) -> Figure:
    """Validation MAE of every trial over each hyperparameter; a star marks the chosen trial."""
    names, columns = fields(table), 4
    rows = -(-len(names) // columns)
    figure, grid = canvas((10, 2.1 * rows), rows, columns, sharey=True, squeeze=False)
    best = table.iloc[int(table["valid"].argmin())]
    for axes, name in zip(grid.flat, names, strict=False):
        axes.plot(table[name], table["valid"], "o", markersize=4, alpha=0.7, color=MODALITY_COLORS["l"])
        axes.plot(best[name], best["valid"], "*", markersize=14, color=ACCENT)
        axes.set_xlabel(name)
        _scale(axes, table[name])
    for axes in grid.flat[len(names) :]:
        axes.axis("off")
    figure.supylabel("validation MAE")
    return figure


def _scale(axes: Axes, values: pd.Series) -> None:
    """Makes the axis logarithmic; if there are zeros, only from the smallest positive value on, and only if the values
    span more than a power of ten. Ticks are at the values if there are few, else at the ends."""
    smallest = values[values > 0].min()
    if values.min() > 0:
        axes.set_xscale("log")
    elif values.max() > 10 * smallest:
        axes.set_xscale("symlog", linthresh=smallest)
    distinct = sorted(set(values))
    ticks = distinct if len(distinct) <= FEWEST else [distinct[0], distinct[-1]]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
