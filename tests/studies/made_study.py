"""Differences and finished runs that are known by construction, for the tests of studies."""

from pathlib import Path
from typing import Any

import pandas as pd

from mugkit.config import RunSpec
from mugkit.data.schema import Dataset, SplitName
from mugkit.experiments.experiment import Run


def difference(value: float, half: float = 0.005, metric: str = "MAE") -> dict[str, Any]:
    """As `comparison.compare` returns it, both intervals `half` to either side."""
    ends = {
        f"{over}_{end}": value + side for over in ("clips", "seeds") for end, side in (("low", -half), ("high", half))
    }
    return {"metric": metric, "difference": value, **ends, "seeds": 20}


def finished(
    dataset: Dataset, folder: Path, wrong: float, spec: RunSpec | None = None, split: SplitName = "test"
) -> Run:
    """A run whose predictions of one split are all off by `wrong`, and that predicted no other."""
    folder.mkdir(parents=True, exist_ok=True)
    clips = dataset.splits[split]
    rows = pd.DataFrame({"split": split, "id": clips.ids, "prediction": clips.labels + wrong})
    rows.to_parquet(folder / "predictions.parquet")
    metrics = {"MAE": wrong, "Corr": 1.0, "Acc2": None}
    tested, validated = (metrics, {}) if split == "test" else ({}, metrics)
    return Run(spec or RunSpec("mug", dataset.name, 1), folder, tested, validated, 0, True)


def two_seeds(dataset: Dataset, folder: Path, wrong: float, split: SplitName = "test") -> list[Run]:
    """Such runs of two seeds, in subfolders of `folder`."""
    specs = [RunSpec("mug", dataset.name, seed) for seed in (1, 2)]
    return [finished(dataset, folder / str(spec.seed), wrong, spec, split) for spec in specs]
