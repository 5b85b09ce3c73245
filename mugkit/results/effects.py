"""Does a change have an effect? One rule for every study that compares trials with a reference.

A difference is called an effect only if it would be there with other clips (a permutation test, its p corrected by
Holm for the number of comparisons) and with other seeds (Student's interval over paired seeds), as in `comparison`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from mugkit.data.schema import Dataset
from mugkit.engine import Run
from mugkit.results.paired import LABELS, compare
from mugkit.statistics import holm

Difference = Mapping[str, Any]  # what `paired.compare` returns


def predicted(runs: Sequence[Run], dataset: Dataset, split: str = "test") -> Float[np.ndarray, "runs clips"]:
    """ŷ of one split (valid or test), a row a run, in the data set's order of clips."""
    rows = []
    for run in runs:
        table = pd.read_parquet(run.folder / "predictions.parquet").query("split == @split").set_index("id")
        rows.append(table.loc[dataset.splits[split].ids, "prediction"].to_numpy())
    return np.stack(rows)


def test_error(runs: Sequence[Run], reference: Sequence[Run], dataset: Dataset) -> dict[str, float | int | None]:
    """Test MAE of runs minus that of reference runs with the same seeds: see `paired.compare`."""
    ours, theirs = predicted(runs, dataset), predicted(reference, dataset)
    return compare(LABELS["MAE"], ours, theirs, dataset.test.labels)


def decide(differences: Sequence[Difference], below: str, above: str, neither: str, level: float = 0.05) -> list[str]:
    """A word for each of several differences that are judged together.

    Args:
        differences: what `paired.compare` returned.
        below: the word for a difference that is really negative.
        above: the word for one that is really positive.
        neither: the word for all others, undefined ones included.
    """
    p = holm([1.0 if one["p"] is None else float(one["p"]) for one in differences]) if differences else []
    return [
        neither if value >= level else above if _above(one) else below if _below(one) else neither
        for one, value in zip(differences, p, strict=True)
    ]


def _above(difference: Difference) -> bool:
    low = difference["seeds_low"]
    return low is not None and low > 0


def _below(difference: Difference) -> bool:
    high = difference["seeds_high"]
    return high is not None and high < 0


def interval(difference: Difference, which: str = "seeds") -> str:
    """`+0.012 [−0.003, +0.027]`: a difference with one of its intervals."""
    value, low, high = (difference[name] for name in ("difference", f"{which}_low", f"{which}_high"))
    if value is None:
        return "undefined"
    return f"{value:+.3f}" + ("" if low is None or high is None else f" [{low:+.3f}, {high:+.3f}]")


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A table's rows as JSON has them: NaN, which JSON does not know, becomes null."""
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]
