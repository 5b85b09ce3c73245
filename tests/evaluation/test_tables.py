"""Tables: what is promised about tableN.json, numbers by hand, and files read back by other libraries."""

from __future__ import annotations

import csv
import json
import math
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mugkit.config import RunSpec
from mugkit.errors import UserError
from mugkit.evaluation import tables
from mugkit.evaluation.tables import Row
from mugkit.experiments.experiment import Run
from mugkit.metrics import HEADLINE

MAE = (0.9, 1.0, 1.3)
ACC2 = (70.0, 71.5, 74.0)


def run_of(seed: int, **metrics: float | None) -> Run:
    return Run(RunSpec("mug", "reviews", seed), Path("nowhere"), dict(metrics), dict(metrics), 3, False)


@pytest.fixture
def ours() -> Row:
    """A row over three seeds; its correlation is undefined in the second."""
    corr = (0.5, None, 0.7)
    runs = [run_of(i, MAE=a, Corr=b, Acc2=c) for i, (a, b, c) in enumerate(zip(MAE, corr, ACC2, strict=True))]
    return tables.summarise(runs, "MUG", {"MAE": 0.712, "F1": 85.2})


QUOTED = Row("TFN | old", "reviews", {}, {"MAE": 0.9, "Acc7": 34.46}, "quoted")


def test_summarise_is_mean_and_sample_deviation_over_seeds(ours: Row) -> None:
    assert ours.metrics["MAE"]["mean"] == pytest.approx(3.2 / 3)
    assert ours.metrics["MAE"]["std"] == pytest.approx(statistics.stdev(MAE))
    assert ours.metrics["Acc2"] == {"mean": pytest.approx(71.83333), "std": pytest.approx(2.0207, abs=1e-4), "n": 3}
    assert (ours.system, ours.dataset, ours.origin) == ("MUG", "reviews", "run")


def test_summarise_metric_undefined_in_one_seed_is_undefined_in_the_row(ours: Row) -> None:
    assert ours.metrics["Corr"] == {"mean": None, "std": None, "n": 3}


def test_summarise_one_seed_has_no_deviation() -> None:
    row = tables.summarise([run_of(1111, MAE=0.9)], "MUG")
    assert row.metrics["MAE"] == {"mean": 0.9, "std": None, "n": 1}


def test_row_as_json_has_the_promised_shape(ours: Row) -> None:
    for row in (ours, QUOTED):
        line = row.as_json()
        assert list(line) == ["system", "dataset", "metrics", "paper", "origin"]
        assert all(list(value) == ["mean", "std", "n"] for value in line["metrics"].values())
    assert ours.as_json()["paper"] == {"MAE": 0.712, "F1": 85.2}
    assert QUOTED.as_json()["origin"] == "quoted"


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("MAE", {"mean": 1.06666, "std": 0.20816, "n": 3}, "1.067 ± 0.208"),
        ("Corr", {"mean": -0.0001, "std": None, "n": 1}, "-0.000"),
        ("Acc2", {"mean": 71.85, "std": 2.02, "n": 3}, "71.8 ± 2.0"),
        ("F1", {"mean": None, "std": None, "n": 3}, "undefined"),
    ],
)
def test_format_metric_digits_by_kind(name: str, value: dict[str, Any], shown: str) -> None:
    assert tables.format_metric(name, value) == shown


def test_whole_puts_ours_beside_the_papers(ours: Row) -> None:
    shown = tables.whole([ours, QUOTED], HEADLINE["mosi"])
    assert list(shown.columns.get_level_values(0).unique()) == list(HEADLINE["mosi"])
    assert shown.loc["MUG", ("MAE", "ours")] == "1.067 ± 0.208"
    assert shown.loc["MUG", ("MAE", "paper")] == "0.712"
    assert shown.loc["MUG", ("Corr", "ours")] == "undefined"
    assert shown.loc["MUG", ("Acc2", "paper")] == "–"  # the paper has none
    assert shown.loc["TFN | old", ("Acc7", "paper")] == "34.46"
    assert shown.loc["TFN | old", ("MAE", "ours")] == "–"  # only quoted


def test_whole_takes_the_familys_columns(ours: Row) -> None:
    assert list(tables.whole([ours], HEADLINE["sims"]).columns.get_level_values(0).unique()) == list(HEADLINE["sims"])


BOTH = ("ours", "paper")


@pytest.mark.parametrize(
    ("change", "columns"),
    [
        ({}, [(name, side) for name in ("Acc2", "MAE", "Corr") for side in BOTH]),
        ({"paper": {}}, [(name, "ours") for name in HEADLINE["mosi"]]),
        ({"dataset": "mosi"}, [("data", ""), *((name, side) for name in ("Acc2", "MAE") for side in BOTH)]),
    ],
    ids=["beside the paper", "ours alone", "two data sets"],
)
def test_display_has_seven_columns_at_most_and_only_rows_that_ran(
    change: dict[str, Any], columns: list[tuple[str, str]], ours: Row
) -> None:
    first = replace(ours, comparable=False, paper=change.get("paper", ours.paper))
    rows = [
        first,
        replace(first, **change),
        replace(QUOTED, needs="MOSI: a file"),
        replace(QUOTED, needs="MOSI: a file"),
    ]
    shown = tables.display(rows, HEADLINE["mosi"])
    assert shown.columns.tolist() == columns
    assert shown.index.tolist() == ["MUG", "MUG"]
    assert "2 need MOSI: a file" in tables.rest(rows, HEADLINE["mosi"], "table3")
    assert tables.rest([replace(ours, paper={})], HEADLINE["mosi"], "stage3") == ""


def test_page_shows_a_written_table_as_people_read_it(ours: Row, tmp_path: Path) -> None:
    rows = [ours, replace(QUOTED, needs="MOSI: a file")]
    tables.write(rows, HEADLINE["mosi"], tmp_path, "table3", "Data: made up.")
    table, _, below = tables.page(tmp_path, "table3").partition("\n\n")
    assert table + "\n" == tables.markdown(tables.display(rows, HEADLINE["mosi"]))
    assert below == f"Data: made up. {tables.rest(rows, HEADLINE['mosi'], 'table3')}\n"
    with pytest.raises(UserError, match="table9"):
        tables.page(tmp_path, "table9")


def test_write_json_follows_the_contract(ours: Row, tmp_path: Path) -> None:
    tables.write([ours, QUOTED], HEADLINE["mosi"], tmp_path / "tables", "table3", "Data: made up.")
    text = (tmp_path / "tables" / "table3.json").read_text(encoding="utf-8")
    first, second = json.loads(text, parse_constant=pytest.fail)  # NaN and Infinity are not JSON
    assert first["metrics"]["Corr"] == {"mean": None, "std": None, "n": 3}
    assert first["metrics"]["MAE"]["mean"] == pytest.approx(3.2 / 3)
    assert second == {
        "system": "TFN | old",
        "dataset": "reviews",
        "metrics": {},
        "paper": {"MAE": 0.9, "Acc7": 34.46},
        "origin": "quoted",
    }


def test_write_csv_has_a_line_a_row_and_metric(ours: Row, tmp_path: Path) -> None:
    tables.write([ours, QUOTED], HEADLINE["mosi"], tmp_path, "table3", "Data: made up.")
    with (tmp_path / "table3.csv").open(encoding="utf-8", newline="") as stream:
        lines = {(line["system"], line["metric"]): line for line in csv.DictReader(stream)}
    mae = lines["MUG", "MAE"]
    assert (float(mae["mean"]), float(mae["paper"]), mae["n"], mae["origin"]) == (
        pytest.approx(3.2 / 3), 0.712, "3", "run",
    )  # fmt: skip
    assert lines["MUG", "Corr"]["mean"] == ""
    assert lines["MUG", "Acc2"]["paper"] == ""
    assert set(lines) == {("MUG", m) for m in ("MAE", "Corr", "Acc2", "F1")} | {
        ("TFN | old", m) for m in ("MAE", "Acc7")
    }


def test_write_csv_keeps_what_only_the_paper_has(ours: Row, tmp_path: Path) -> None:
    tables.write([ours, QUOTED], HEADLINE["mosi"], tmp_path, "table3", "Data: made up.")
    table = pd.read_csv(tmp_path / "table3.csv").set_index(["system", "metric"])
    assert table.loc[("TFN | old", "Acc7"), "paper"] == 34.46
    assert table.loc[("MUG", "F1"), "paper"] == 85.2
    assert math.isnan(table.loc[("MUG", "F1"), "mean"])
    assert table.loc[("TFN | old", "Acc7"), "n"] == 0


def cells(line: str) -> list[str]:
    """The cells of a line of a GitHub table; an escaped bar belongs to its cell."""
    return [c.replace("\0", "|").strip() for c in line.strip("|").replace(r"\|", "\0").split("|")]


def test_write_markdown_is_a_table_with_its_caption_below(ours: Row, tmp_path: Path) -> None:
    tables.write([ours, QUOTED], HEADLINE["mosi"], tmp_path, "table3", "Data: made up.")
    header, rule, first, second, blank, caption = (tmp_path / "table3.md").read_text(encoding="utf-8").splitlines()
    width = 1 + 3 * len(HEADLINE["mosi"])
    assert [len(cells(line)) for line in (header, rule, first, second)] == [width] * 4
    assert cells(header)[:3] == ["system", f"{HEADLINE['mosi'][0]} ours", f"{HEADLINE['mosi'][0]} paper"]
    assert dict(zip(cells(header), cells(first), strict=True))["MAE ours"] == "1.067 ± 0.208"
    assert cells(second)[0] == "TFN | old"
    assert (set(cells(rule)), blank, caption) == ({"---"}, "", "Data: made up.")


def test_write_returns_the_files_it_wrote(ours: Row, tmp_path: Path) -> None:
    paths = tables.write([ours], HEADLINE["mosi"], tmp_path, "table3", "x")
    assert sorted(paths) == sorted(tmp_path.iterdir())
    assert {path.name for path in paths} == {"table3.json", "table3.csv", "table3.md"}


def test_write_frame_undefined_numbers_are_null(tmp_path: Path) -> None:
    table = pd.DataFrame({"modality": ["language", "visual"], "n": [3, 5], "std": [0.25, float("nan")]})
    shown = pd.DataFrame({"std": ["0.25", "–"]}, index=pd.Index(["language", "visual"], name="modality"))
    paths = tables.write_frame(table, shown, tmp_path, "quality", "Data: made up.")
    assert sorted(paths) == sorted(tmp_path.iterdir())
    assert json.loads((tmp_path / "quality.json").read_text()) == [
        {"modality": "language", "n": 3, "std": 0.25},
        {"modality": "visual", "n": 5, "std": None},
    ]
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "quality.csv"), table)
    assert (tmp_path / "quality.md").read_text().splitlines()[2] == "| language | 0.25 |"


def test_write_infinite_number_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    table = pd.DataFrame({"loss": [float("inf")]})
    with pytest.raises(ValueError, match="JSON"):
        tables.write_frame(table, table, tmp_path, "losses", "x")
    assert list(tmp_path.iterdir()) == []


def test_markdown_joins_the_parts_of_an_index_and_keeps_whole_numbers_whole() -> None:
    index = pd.MultiIndex.from_tuples([("copy", 0), ("mug", 1)], names=["labels from", "k"])
    lines = tables.markdown(pd.DataFrame({"rows": [12, 10], "tau": [0.455, 0.511]}, index=index)).splitlines()
    assert lines[0] == "| labels from, k | rows | tau |"
    assert lines[2:] == ["| copy, 0 | 12 | 0.455 |", "| mug, 1 | 10 | 0.511 |"]
