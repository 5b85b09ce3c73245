"""The rows of the paper's tables: their systems, our numbers beside the paper's, and what missing rows need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mugkit.evaluation import published
from mugkit.evaluation.tables import Row, summarise
from mugkit.experiments.experiment import Run
from mugkit.experiments.registry import SYSTEMS, System


def system_of(row: str) -> str:
    """The system that stands for a row of the paper."""
    return next(name for name, system in SYSTEMS.items() if row in system.rows)


def columns(number: int) -> tuple[str, ...]:
    """The data sets in a table of the paper."""
    return tuple(next(iter(published.RESULTS[number].values())))


def rows(number: int, family: str, runs: Mapping[str, Sequence[Run]], missing: Mapping[str, str]) -> list[Row]:
    """A table's rows on one data set, in the paper's order.

    The paper's numbers are those on this family of data sets, or if the table lacks it, on the table's first.

    Args:
        runs: system → its runs over the seeds.
        missing: system → what it needs, for systems that could not run.
    """
    beside = family if family in columns(number) else columns(number)[0]
    made = []
    for row, values in published.RESULTS[number].items():
        if (name := system_of(row)) in runs:
            made.append(summarise(runs[name], row, values[beside], comparable=family == beside))
        else:
            made.append(Row(row, family, {}, values[beside], "quoted", missing[name]))
    return made


def waiting(number: int, have: Iterable[str]) -> list[Row]:
    """The paper's rows on its data sets that are not in `have`: quoted, with the command that prepares the data."""
    return [
        Row(row, name, {}, values[name], "quoted", f"{name.upper()}: mugkit prepare {name} --source PATH")
        for name in columns(number)
        if name not in have
        for row, values in published.RESULTS[number].items()
    ]


def catalogue() -> list[tuple[str, tuple[int, ...], System]]:
    """Every row of the paper, its tables and the system that stands for it; then systems without a row."""
    rows = [(row, tables, SYSTEMS[system_of(row)]) for row, tables in published.SYSTEM_ROWS.items()]
    return rows + [(system.title, (), system) for system in SYSTEMS.values() if not system.rows]
