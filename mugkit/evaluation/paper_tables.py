"""Rows of the paper's tables and the systems that stand for them: ours beside the paper's, what a missing row needs."""

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
    """The data sets that a table of the paper has."""
    return tuple(next(iter(published.RESULTS[number].values())))


def column(number: int, family: str) -> str:
    """The data set of the paper that ours is put beside: itself, or the table's first for data the paper lacks."""
    return family if family in columns(number) else columns(number)[0]


def rows(number: int, family: str, runs: Mapping[str, Sequence[Run]], missing: Mapping[str, str]) -> list[Row]:
    """A table's rows on one data set, in the paper's order.

    Args:
        runs: system → its runs over the seeds.
        missing: system → what it would need, for those that could not run.
    """
    beside = column(number, family)
    made = []
    for row, values in published.RESULTS[number].items():
        name = system_of(row)
        if name in runs:
            made.append(summarise(runs[name], row, values[beside], comparable=family == beside))
        else:
            made.append(Row(row, family, {}, values[beside], "quoted", missing[name]))
    return made


def waiting(number: int, have: Iterable[str]) -> list[Row]:
    """The paper's rows on those of its data sets that are not there: quoted, with the command that brings them."""
    absent = [name for name in columns(number) if name not in set(have)]
    return [
        Row(row, name, {}, values[name], "quoted", f"{name.upper()}: mugkit prepare {name} --source PATH")
        for name in absent
        for row, values in published.RESULTS[number].items()
    ]


def catalogue() -> list[tuple[str, tuple[int, ...], System]]:
    """Every row of the paper, the tables that have it and the system that stands for it; then systems without a row."""
    rows = [(row, tables, SYSTEMS[system_of(row)]) for row, tables in published.SYSTEM_ROWS.items()]
    return rows + [(system.title, (), system) for system in SYSTEMS.values() if not system.rows]
