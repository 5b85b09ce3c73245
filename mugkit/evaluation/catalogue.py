"""Every row of the paper's Tables 3–6 beside the system that stands for it here."""

from __future__ import annotations

from dataclasses import dataclass

from mugkit.evaluation.published import SYSTEM_ROWS
from mugkit.experiments.registry import SYSTEMS


@dataclass(frozen=True)
class Line:
    """One row of the paper's tables.

    Attributes:
        row: its name in the paper, ours where the paper has none.
        tables: the tables that have it.
        name: what `mugkit run --system` calls it; '–' if it is not implemented here.
        where: the module that implements it.
    """

    row: str
    tables: tuple[int, ...]
    name: str
    where: str


def catalogue() -> list[Line]:
    """All rows in the paper's order, then the systems that the paper has no row of."""
    by_row = {row: system for system in SYSTEMS.values() for row in system.rows}
    missing = "not yet: paper's numbers only"
    more = [Line(system.title, (), system.name, system.where) for system in SYSTEMS.values() if not system.rows]
    return [
        Line(row, tables, by_row[row].name, by_row[row].where) if row in by_row else Line(row, tables, "–", missing)
        for row, tables in SYSTEM_ROWS.items()
    ] + more
