"""Table 2, the settings behind the results, and how well our order of a table's rows agrees with the paper's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd
from scipy.stats import kendalltau

from mugkit.config import Hyperparameters, RunSpec, hyperparameters
from mugkit.evaluation import published
from mugkit.evaluation.tables import Row
from mugkit.experiments.registry import configuration


def flat(hp: Hyperparameters) -> dict[str, Any]:
    """Field → value, over all sections."""
    return {name: value for section in asdict(hp).values() for name, value in section.items()}


def table2(family: str, profile: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Table 2, as numbers and as text: the paper's values, our presets, and what this profile uses on this family."""
    paper = pd.DataFrame(dict(published.TABLE2)).T.astype(float).rename_axis("hyperparameter")
    presets = {name: _values(hyperparameters(name, "paper")) for name in published.DATASETS}
    last, here = f"{profile} on {family}", _values(configuration(RunSpec("mug", family, 0, profile), family))
    columns = {f"{name} preset": values for name, values in presets.items()} | {last: here}
    table = paper.add_suffix(" paper").assign(**columns)
    shown = {name: list(map(_preset, paper[name], presets[name])) for name in published.DATASETS}
    shown[last] = list(map("{:g}".format, here))
    return table.reset_index(), pd.DataFrame(shown, index=paper.index)


def _values(hp: Hyperparameters) -> list[float]:
    return [float(flat(hp)[field]) for field in published.FIELDS.values()]


def _preset(published: float, ours: float) -> str:
    return f"{published:g}" + ("" if ours == published else f" (preset {ours:g})")


def rank_agreement(rows: Sequence[Row], metric: str) -> pd.DataFrame:
    """Kendall's τ between our order of rows and the paper's in one metric, with its p and the number of rows.

    Rows that did not run or have no number in the paper are ignored.
    """
    both = [(row.metrics[metric]["mean"], row.paper[metric]) for row in rows if metric in row.paper and row.metrics]
    numbers = pd.DataFrame(both, columns=["ours", "paper"], dtype=float)
    result = kendalltau(numbers["ours"], numbers["paper"])
    return pd.DataFrame([{"metric": metric, "rows": len(both), "tau": result.statistic, "p": result.pvalue}])
