"""Measures how far unimodal labels agree with the multimodal label.

A multimodal label y is only a weak label of each modality (paper, sections 1 and 3.3). The labels of CH-SIMS show how
weak: its annotators rated every clip four times, once with all modalities and once with each modality alone.
"""

import itertools

import numpy as np
import pandas as pd
from jaxtyping import Float64

from mugkit.data.schema import MODALITIES
from mugkit.errors import UserError

LABELS = ("y", *(f"y_{m}" for m in MODALITIES))
# Labels closer than this share of the scale count as equal: float32 storage moves them by far less,
# and the finest grid in use (MOSEI's sixths of a point) is far coarser.
SAME = 1e-4


def agreement(labels: pd.DataFrame, scale: float) -> pd.Series:
    """Agreement statistics of multimodal and unimodal labels, on a ±1 scale.

    Args:
        labels: one row per clip, columns y (multimodal), y_l, y_a, y_v; other columns are ignored.
        scale: ρ, the half-width of the label scale (3 for MOSI, 1 for SIMS); gaps are divided by it.

    Returns:
        A series of 26 numbers, indexed by:
        `std(y)`, `std(y_m)`: standard deviations, divided by ρ;
        `corr(p, q)`: Pearson correlation of each of the six pairs;
        `weight(y_m)`: least-squares weights of y ≈ w_l y_l + w_a y_a + w_v y_v + c, and its `R²`;
        `equal(y_m)`: share of clips with y_m = y; `opposite(y_m)`: with opposite signs; `neutral(y_m)`: with
        y_m = 0 while y ≠ 0;
        `gap(y_m)`: mean |y_m − y|, divided by ρ.

    Raises:
        UserError: if a column is missing, not finite, or constant (its correlation is not defined).
    """
    table = _checked(labels) / scale
    correlation = table.corr()
    statistics = {f"std({p})": float(table[p].std(ddof=0)) for p in LABELS}
    statistics |= {f"corr({p}, {q})": correlation[p][q] for p, q in itertools.combinations(LABELS, 2)}
    statistics |= _regression(table)
    whole = table["y"].to_numpy()
    for column in LABELS[1:]:
        shares = disagreement(table[column].to_numpy(), whole)
        statistics |= {f"{name}({column})": share for name, share in shares.items()}
    return pd.Series(statistics, name="agreement")


def _checked(labels: pd.DataFrame) -> pd.DataFrame:
    if missing := [column for column in LABELS if column not in labels.columns]:
        fix = f"give the columns {', '.join(LABELS)}; only data sets with true unimodal labels have them"
        raise UserError("the table of labels lacks a column", field=", ".join(missing), fix=fix)
    table = labels[list(LABELS)].astype("float64")
    for column, values in table.items():
        if not np.isfinite(values).all():
            raise UserError("labels must be finite numbers", field=str(column), fix="drop those clips")
        if values.nunique() < 2:
            raise UserError("fewer than two different labels", field=str(column), fix="give more clips")
    return table


def _regression(table: pd.DataFrame) -> dict[str, float]:
    centred = (table - table.mean()).to_numpy()
    whole, parts = centred[:, 0], centred[:, 1:]
    weights = np.linalg.lstsq(parts, whole, rcond=None)[0]
    residual = whole - parts @ weights
    named = {f"weight({column})": float(w) for column, w in zip(LABELS[1:], weights, strict=True)}
    return named | {"R²": float(1 - residual @ residual / (whole @ whole))}


def disagreement(part: Float64[np.ndarray, "clips"], whole: Float64[np.ndarray, "clips"]) -> dict[str, float]:
    """Shares of clips with equal labels, opposite signs, and only the modality's label neutral; and the mean gap."""
    gap = np.abs(part - whole)
    neutral_part, neutral_whole = np.abs(part) < SAME, np.abs(whole) < SAME
    opposite = ~neutral_part & ~neutral_whole & (part * whole < 0)
    neutral = neutral_part & ~neutral_whole
    shares = {"equal": gap < SAME, "opposite": opposite, "neutral": neutral, "gap": gap}
    return {name: float(values.mean()) for name, values in shares.items()}
