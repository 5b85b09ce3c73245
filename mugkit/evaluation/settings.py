"""Table 2, the settings behind the results, and how well our order of a table's rows agrees with the paper's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from mugkit.config import Hyperparameters, RunSpec, hyperparameters
from mugkit.evaluation import published
from mugkit.evaluation.tables import Row
from mugkit.experiments.registry import configuration

# Row of Table 2 → field of the configuration.
FIELDS: Mapping[str, str] = {
    "Batch Size": "batch_size",
    "Learning Rate": "learning_rate",
    "Pre-Training Epochs": "pretrain_epochs",
    "Meta-Training Epochs": "meta_epochs",
    "Meta-training Learning Rate α": "alpha",
    "Meta-testing Learning Rate α′": "alpha_prime",
    "Contrastive Loss Weight γ": "gamma",
    "Projected Predictive Loss Weight η": "eta",
    "Fusion Dimensionality d": "d",
    "Acoustic Dimensionality d_a": "d_a",
    "Visual Dimensionality d_v": "d_v",
    "Language Dimensionality d_l": "d_l",
    "Unimodal Task Loss Weight β": "beta",
}


def flat(hp: Hyperparameters) -> dict[str, Any]:
    """Field → value, over all sections."""
    return {name: value for section in asdict(hp).values() for name, value in section.items()}


def table2(family: str, profile: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Table 2: the paper's value and our preset for each of its data sets, and the values that this profile uses.

    Returns:
        Two tables with one row per hyperparameter: as numbers, and as text.
    """
    presets = {name: flat(hyperparameters(name, "paper")) for name in published.DATASETS}
    here = flat(configuration(RunSpec("mug", family, 0, profile), family))
    rows = [
        {"hyperparameter": row}
        | {f"{name} paper": published.TABLE2[row][name] for name in published.DATASETS}
        | {f"{name} preset": float(presets[name][field]) for name in published.DATASETS}
        | {f"{profile} on {family}": float(here[field])}
        for row, field in FIELDS.items()
    ]
    table = pd.DataFrame(rows)
    last = f"{profile} on {family}"
    shown = {name: list(map(_preset, table[f"{name} paper"], table[f"{name} preset"])) for name in published.DATASETS}
    shown[last] = table[last].map("{:g}".format).tolist()
    return table, pd.DataFrame(shown, index=pd.Index(table["hyperparameter"]))


def _preset(published: float, ours: float) -> str:
    return f"{published:g}" + ("" if ours == published else f" (preset {ours:g})")


def rank_agreement(rows: Sequence[Row], metric: str) -> pd.DataFrame:
    """Kendall's τ between our order of rows and the paper's in one metric, with its p and the number of rows.

    Args:
        rows: the table's rows; rows that did not run or have no number in the paper are ignored.
    """
    pairs = [(row.metrics[metric]["mean"], row.paper[metric]) for row in rows if metric in row.paper and row.metrics]
    ours, theirs = (np.array(values, dtype=np.float64) for values in zip(*pairs, strict=True))
    result = kendalltau(ours, theirs)
    return pd.DataFrame([{"metric": metric, "rows": len(pairs), "tau": result.statistic, "p": result.pvalue}])
