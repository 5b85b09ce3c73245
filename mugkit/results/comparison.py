"""Is a difference between two systems real? Paired over test clips, averaged over seeds, corrected for many rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from mugkit.data.schema import Dataset
from mugkit.engine import Run
from mugkit.statistics import bootstrap
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
    """Every system's MAE minus the reference's, with an interval over test clips.

    Bonferroni: with k comparisons each interval has level 1 − (1 − confidence)/k, so that all hold together.

    Args:
        runs: system → its runs over the same seeds.
        reference: the system that all others are compared with.
    """
    others = [name for name in runs if name != reference]
    level = 1 - (1 - confidence) / len(others)
    errors = {name: np.abs(predictions(done, dataset) - dataset.test.labels).mean(0) for name, done in runs.items()}
    return pd.DataFrame([_row(name, errors[name] - errors[reference], level) for name in others])


def _row(name: str, difference: Float[np.ndarray, "clips"], level: float) -> dict[str, object]:
    """One comparison from the per-clip differences of mean absolute errors."""
    low, high = bootstrap(lambda d: float(d.mean()), difference, confidence=level)
    verdict = "undecided" if low <= 0 <= high else ("worse than MUG" if low > 0 else "better than MUG")
    return {
        "system": SYSTEMS[name].rows[0], "difference": float(difference.mean()), "low": low, "high": high,
        "level": level, "clips": len(difference), "verdict": verdict,
    }  # fmt: skip


def display(table: pd.DataFrame) -> pd.DataFrame:
    """The comparison as people read it."""
    shown = pd.DataFrame(
        {
            "MAE minus MUG's": table["difference"].map("{:+.3f}".format),
            "interval": [f"[{low:+.3f}, {high:+.3f}]" for low, high in zip(table["low"], table["high"], strict=True)],
            "verdict": table["verdict"],
        }
    )
    return shown.set_index(pd.Index(table["system"], name="system"))
