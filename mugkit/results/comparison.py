"""Is a difference between two systems real? Paired over test clips and over seeds, corrected for many rows.

Two questions are asked of every difference. Would it be there with other test clips: a permutation test that swaps the
two systems' errors clip by clip, its p corrected by Holm for the number of rows, and a bootstrap interval at
Bonferroni's level. Would it be there with other seeds: Student's interval over the paired seeds. Only what passes both
gets a verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from mugkit.data.schema import Dataset
from mugkit.engine import Run
from mugkit.statistics import Interval, bootstrap, holm, sign_flip_test, t_interval
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
    """Every system's MAE minus the reference's, with its p over test clips and intervals over clips and seeds.

    A difference gets a verdict only if its corrected p is below 1 − confidence and the interval over seeds excludes
    zero. With k rows, p is corrected by Holm, and the interval over clips has level 1 − (1 − confidence)/k.

    Args:
        runs: system → its runs over the same seeds.
        reference: the system that all others are compared with.
    """
    others = [name for name in runs if name != reference]
    level = 1 - (1 - confidence) / len(others)
    errors = {name: np.abs(predictions(done, dataset) - dataset.test.labels) for name, done in runs.items()}
    table = pd.DataFrame([_row(name, errors[name] - errors[reference], level, confidence) for name in others])
    table["p_corrected"] = holm(table["p"].tolist())
    decided = (table["p_corrected"] < 1 - confidence).tolist()
    seeds = [Interval(low, high) for low, high in zip(table["seeds_low"], table["seeds_high"], strict=True)]
    verdicts = [_verdict(real, interval) for real, interval in zip(decided, seeds, strict=True)]
    return table.assign(verdict=verdicts)


def _row(name: str, difference: Float[np.ndarray, "seeds clips"], level: float, confidence: float) -> dict[str, object]:
    """One comparison from the differences of absolute errors, a row a seed."""
    by_clip = difference.mean(0)
    clips = bootstrap(lambda d: float(d.mean()), by_clip, confidence=level)
    seeds = t_interval(list(difference.mean(1)), confidence)
    return {
        "system": SYSTEMS[name].row, "difference": float(difference.mean()), "p": sign_flip_test(by_clip),
        "level": level, "clips_low": clips.low, "clips_high": clips.high, "clips": difference.shape[1],
        "seeds_low": seeds.low, "seeds_high": seeds.high, "seeds": len(difference),
    }  # fmt: skip


def _verdict(real: bool, seeds: Interval) -> str:
    if real and seeds.low > 0:
        return "worse than MUG"
    return "better than MUG" if real and seeds.high < 0 else "undecided"


def display(table: pd.DataFrame) -> pd.DataFrame:
    """The comparison as people read it."""
    columns: dict[str, Any] = {"MAE minus MUG's": table["difference"].map("{:+.3f}".format)}
    columns["p (Holm)"] = table["p_corrected"].map("{:.3f}".format)
    for which in ("clips", "seeds"):
        ends = zip(table[f"{which}_low"], table[f"{which}_high"], strict=True)
        columns[f"interval over {which}"] = [f"[{low:+.3f}, {high:+.3f}]" for low, high in ends]
    columns["verdict"] = table["verdict"]
    return pd.DataFrame(columns).set_index(pd.Index(table["system"], name="system"))
