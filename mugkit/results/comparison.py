"""Is a difference between two systems real? Paired over test clips and over seeds, corrected for many rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from mugkit.data.schema import Dataset
from mugkit.engine import Run
from mugkit.statistics import Interval, bootstrap, t_interval
from mugkit.systems import SYSTEMS


def predictions(runs: Sequence[Run], dataset: Dataset) -> Float[np.ndarray, "seeds clips"]:
    """ŷ of the test split, a row a seed, in the data set's order of clips."""
    rows = []
    for run in runs:
        table = pd.read_parquet(run.folder / "predictions.parquet").query("split == 'test'").set_index("id")
        rows.append(table.loc[dataset.test.ids, "prediction"].to_numpy())
    return np.stack(rows)


def against(
    dataset: Dataset, runs: Mapping[str, Sequence[Run]], reference: str, confidence: float = 0.95
) -> pd.DataFrame:
    """Every system's MAE minus the reference's, with an interval over test clips and one over seeds.

    A difference is called real only if both intervals exclude zero on the same side. Bonferroni: with k comparisons
    each interval has level 1 − (1 − confidence)/k, so that all hold together.

    Args:
        runs: system → its runs over the same seeds.
        reference: the system that all others are compared with.
    """
    others = [name for name in runs if name != reference]
    level = 1 - (1 - confidence) / len(others)
    errors = {name: np.abs(predictions(done, dataset) - dataset.test.labels) for name, done in runs.items()}
    return pd.DataFrame([_row(name, errors[name] - errors[reference], level) for name in others])


def _row(name: str, difference: Float[np.ndarray, "seeds clips"], level: float) -> dict[str, object]:
    """One comparison from the differences of absolute errors, a row a seed."""
    clips = bootstrap(lambda d: float(d.mean()), difference.mean(0), confidence=level)
    seeds = t_interval(list(difference.mean(1)), level)
    return {
        "system": SYSTEMS[name].rows[0], "difference": float(difference.mean()), "level": level,
        "clips_low": clips.low, "clips_high": clips.high, "clips": difference.shape[1],
        "seeds_low": seeds.low, "seeds_high": seeds.high, "seeds": len(difference),
        "verdict": _verdict(clips, seeds),
    }  # fmt: skip


def _verdict(*intervals: Interval) -> str:
    if all(i.low > 0 for i in intervals):
        return "worse than MUG"
    return "better than MUG" if all(i.high < 0 for i in intervals) else "undecided"


def display(table: pd.DataFrame) -> pd.DataFrame:
    """The comparison as people read it."""
    columns: dict[str, Any] = {"MAE minus MUG's": table["difference"].map("{:+.3f}".format)}
    for which in ("clips", "seeds"):
        ends = zip(table[f"{which}_low"], table[f"{which}_high"], strict=True)
        columns[f"interval over {which}"] = [f"[{low:+.3f}, {high:+.3f}]" for low, high in ends]
    columns["verdict"] = table["verdict"]
    return pd.DataFrame(columns).set_index(pd.Index(table["system"], name="system"))
