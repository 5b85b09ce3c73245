"""The catalogue against the paper's tables and the registry of systems."""

from __future__ import annotations

from pathlib import Path

from mugkit.evaluation.catalogue import catalogue
from mugkit.evaluation.published import RESULTS
from mugkit.experiments.registry import SYSTEMS

REPOSITORY = Path(__file__).resolve().parents[2]


def test_catalogue_has_every_row_of_tables_3_to_6_once() -> None:
    rows = [line.row for line in catalogue() if line.tables]
    assert sorted(rows) == sorted({row for number in (3, 4, 5, 6) for row in RESULTS[number]})


def test_catalogue_names_the_tables_of_each_row() -> None:
    for line in catalogue():
        assert line.tables == tuple(n for n in (3, 4, 5, 6) if line.row in RESULTS[n]), line


def test_catalogue_rows_of_the_registry_carry_its_name() -> None:
    named = {line.row: line.name for line in catalogue() if line.name != "–" and line.tables}
    assert named == {row: system.name for system in SYSTEMS.values() for row in system.rows}


def test_catalogue_lists_systems_of_our_own_under_our_title() -> None:
    ours = {line.name: line.row for line in catalogue() if not line.tables}
    assert ours == {"ulgm": "ULGM on MUG's networks", "text-only": "text only"}


def test_catalogue_says_so_where_a_row_is_not_implemented() -> None:
    missing = [line for line in catalogue() if line.name == "–"]
    assert all("paper's numbers only" in line.where for line in missing)


def test_catalogue_modules_exist() -> None:
    named = [line.where for line in catalogue() if line.name != "–"]
    assert named
    assert all((REPOSITORY / where).exists() for where in named), named
