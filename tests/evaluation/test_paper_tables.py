"""Rows of the paper's tables: each stands beside the right numbers, and what is missing is named."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from mugkit.config import RunSpec
from mugkit.evaluation import paper_tables, published, tables
from mugkit.experiments.experiment import Run
from mugkit.experiments.registry import SYSTEMS
from mugkit.metrics import HEADLINE


def runs(*systems: str) -> dict[str, list[Run]]:
    metrics = {"Acc7": 40.0, "Acc2": 80.0, "F1": 79.5, "MAE": 1.0, "Corr": 0.5}
    return {name: [Run(RunSpec(name, "reviews", 1), Path(), dict(metrics), {}, 0, True)] for name in systems}


@pytest.mark.parametrize("row", published.SYSTEM_ROWS)
def test_every_row_of_the_paper_has_a_system(row: str) -> None:
    assert row in SYSTEMS[paper_tables.system_of(row)].rows


def test_no_row_belongs_to_two_systems() -> None:
    rows = [row for system in SYSTEMS.values() for row in system.rows]
    assert len(rows) == len(set(rows))


@pytest.mark.parametrize(
    ("number", "family", "beside"),
    [
        (3, "reviews", "mosi"),
        (3, "mosei", "mosei"),
        (3, "sims", "mosi"),
        (4, "reviews", "sims"),
        (5, "reviews", "mosi"),
    ],
)
def test_column_is_the_papers_for_this_family_or_its_first(number: int, family: str, beside: str) -> None:
    assert paper_tables.column(number, family) == beside


def test_rows_are_all_of_the_papers_in_its_order() -> None:
    able = [name for name in map(paper_tables.system_of, published.TABLE3) if name != "unimse"]
    made = paper_tables.rows(3, "reviews", runs(*able), {"unimse": "pip install 'mugkit[t5]'"})
    assert [row.system for row in made] == list(published.TABLE3)
    by_name = {row.system: row for row in made}
    assert by_name["Self-MM"].metrics["MAE"]["mean"] == 1.0
    assert by_name["Self-MM"].paper == {"Acc7": 45.8, "Acc2": 84.9, "F1": 84.8, "MAE": 0.731, "Corr": 0.785}
    assert (by_name["UniMSE (T5)"].origin, by_name["UniMSE (T5)"].metrics) == ("quoted", {})
    assert by_name["UniMSE (T5)"].needs == "pip install 'mugkit[t5]'"


def test_waiting_rows_name_data_set_and_command() -> None:
    waiting = paper_tables.waiting(3, ["mosi"])
    assert {row.dataset for row in waiting} == {"mosei"}
    assert len(waiting) == len(published.TABLE3)
    assert waiting[0].needs == "MOSEI: mugkit prepare mosei --source PATH"
    assert waiting[0].paper == published.TABLE3[waiting[0].system]["mosei"]
    assert all((row.origin, row.metrics) == ("quoted", {}) for row in waiting)


def test_waiting_nothing_is_missing() -> None:
    assert paper_tables.waiting(4, ["sims", "reviews"]) == []


def test_table_shows_what_is_needed_and_no_difference_across_data() -> None:
    able = list(dict.fromkeys(map(paper_tables.system_of, published.TABLE4)))
    rows = paper_tables.rows(4, "reviews", runs(*able), {}) + paper_tables.waiting(4, ["reviews"])
    shown = tables.whole(rows, HEADLINE["sims"])
    ours, theirs = shown.iloc[0], shown.iloc[len(published.TABLE4)]
    assert ours["MAE", "ours"] == "1.000"
    assert "Δ" not in shown.columns.get_level_values(1)  # levels on other data are not compared
    assert ours["needs", ""] == "–"
    assert (theirs["data", ""], theirs["MAE", "ours"]) == ("sims", "–")
    assert theirs["needs", ""] == "SIMS: mugkit prepare sims --source PATH"


def test_table_on_the_papers_own_scale_has_every_difference() -> None:
    shown = tables.whole(paper_tables.rows(4, "sims", runs("tfn"), defaultdict(str)), HEADLINE["sims"])
    assert shown.iloc[0]["MAE", "Δ"] == "+0.568"  # TFN's 0.432


def test_table_json_keeps_what_a_row_needs() -> None:
    (row,) = paper_tables.waiting(6, [])[:1]
    assert row.as_json()["needs"].startswith("MOSEI:")
    assert "needs" not in tables.Row("x", "reviews", {}).as_json()
