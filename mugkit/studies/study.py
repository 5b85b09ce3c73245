"""Shared by all studies: runs many settings over seeds, summarises a metric, arranges cells as a grid."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import pandas as pd

from mugkit.evaluation.statistics import mean_std
from mugkit.experiments.experiment import Run

Setting = TypeVar("Setting", bound=Hashable)
Job = TypeVar("Job")
Result = TypeVar("Result")


def by_setting(
    run_all: Callable[[list[Job]], Iterable[Result]], wanted: Mapping[Setting, Sequence[Job]]
) -> dict[Setting, list[Result]]:
    """Setting → its results, one per job, in order; `run_all` runs the jobs of all settings together."""
    results = iter(run_all([job for jobs in wanted.values() for job in jobs]))
    return {setting: [next(results) for _ in jobs] for setting, jobs in wanted.items()}


def over_seeds(runs: Sequence[Run], metric: str = "MAE") -> dict[str, Any]:
    """Mean, std and n of a test metric."""
    return mean_std([run.metrics[metric] for run in runs])._asdict()


def grid(table: pd.DataFrame, down: str | list[str], across: str | list[str]) -> pd.DataFrame:
    """Pivots the column `cell`; rows and columns keep the order of the table."""
    return table.pivot_table(index=down, columns=across, values="cell", aggfunc="first", sort=False)
