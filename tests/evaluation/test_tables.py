"""Tables: what is promised about tableN.json, numbers by hand, and files read back by other libraries."""

import json
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mugkit.config import RunSpec
from mugkit.errors import UserError
from mugkit.evaluation import formats, tables
from mugkit.evaluation.tables import Row
from mugkit.experiments.experiment import Run
from mugkit.metrics import HEADLINE


def run_of(**metrics: float | None) -> Run:
    return Run(RunSpec("mug", "reviews", 1), Path("nowhere"), dict(metrics), dict(metrics), 3, False)


@pytest.fixture
def ours() -> Row:
    """A row over three seeds; its correlation is undefined in the second."""
    numbers = ((0.9, 0.5, 70.0), (1.0, None, 71.5), (1.3, 0.7, 74.0))
    runs = [run_of(MAE=mae, Corr=corr, Acc2=acc2) for mae, corr, acc2 in numbers]
    return tables.summarise(runs, "MUG", {"MAE": 0.712, "F1": 85.2})


QUOTED = Row("TFN | old", "reviews", {}, {"MAE": 0.9, "Acc7": 34.46}, "quoted")


def test_summarise_is_mean_and_sample_deviation_over_seeds_where_they_are_defined(ours: Row) -> None:
    assert ours.metrics["Corr"] == {"mean": None, "std": None, "n": 3}  # in one seed, so in the row
    std = statistics.stdev([0.9, 1.0, 1.3])
    assert ours.metrics["MAE"] == {"mean": pytest.approx(3.2 / 3), "std": pytest.approx(std), "n": 3}
    assert tables.summarise([run_of(MAE=0.9)], "MUG").metrics["MAE"] == {"mean": 0.9, "std": None, "n": 1}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (formats.number("Acc7", 1.26, signed=True), "+1.3"),
        (formats.number("MAE", -0.0151), "-0.015"),
        (formats.number("Parameters", 110_089_956), "110,089,956"),
        (formats.number("Corr", None), "undefined"),
        (formats.spread("MAE", 1.06666, 0.20816), "1.067 ± 0.208"),
        (formats.spread("Corr", -0.0001, None), "-0.000"),
        (formats.spread("F1", None, None), "undefined"),
        (formats.estimate("MAE", 0.012, -0.003, 0.027), "+0.012 [-0.003, +0.027]"),
        (formats.estimate("Acc2", 0.5, None, 1.0), "+0.5"),
        (formats.span("MAE", 0.1, float("nan")), "–"),
        (formats.span("MAE", -0.0163, -0.0004), "[-0.016, -0.0004]"),
        (formats.span("MAE", 0.00004, 0.0134, signed=False), "[0.00004, 0.013]"),
        (formats.span("Acc2", 1e-9, 0.0), "[+0.0, +0.0]"),
    ],
)
def test_numbers_have_the_digits_of_their_metric(text: str, shown: str) -> None:
    assert text == shown


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ([("MUG", 20), ("MLC", 20)], "20 seeds"),
        ([("MISA", 5), ("MUG", 20), ("TFN", 5), ("MISA", 5)], "5 seeds, but 20 of MUG"),
        ([("a", 20), ("b", 5), ("c", 20), ("d", 5), ("e", 20), ("f", 3)], "20 seeds, but 5 of b, d and 3 of f"),
    ],
)
def test_seeds_are_those_that_rows_have(counts: list[tuple[str, int]], said: str) -> None:
    assert tables.seeds(counts) == said


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
    rows = [first, replace(first, **change), *[replace(QUOTED, needs="MOSI: a file")] * 2]
    shown = tables.brief_table(rows, HEADLINE["mosi"])
    assert shown.columns.tolist() == columns
    assert shown.index.tolist() == ["MUG", "MUG"]
    assert "2 need MOSI: a file" in tables.rest(rows, HEADLINE["mosi"], "table3")
    assert tables.rest([replace(ours, paper={})], HEADLINE["mosi"], "stage3") == ""


def test_page_shows_a_written_table_as_people_read_it(ours: Row, tmp_path: Path) -> None:
    rows = [ours, replace(QUOTED, needs="MOSI: a file")]
    tables.write(rows, HEADLINE["mosi"], tmp_path, "table3", "Data: made up.")
    table, _, below = tables.page(tmp_path, "table3").partition("\n\n")
    assert table + "\n" == tables.markdown(tables.brief_table(rows, HEADLINE["mosi"]))
    assert below == f"Data: made up. {tables.rest(rows, HEADLINE['mosi'], 'table3')}\n"
    with pytest.raises(UserError, match="table9"):
        tables.page(tmp_path, "table9")


def test_write_json_csv_and_markdown(ours: Row, tmp_path: Path) -> None:
    paths = tables.write([ours, QUOTED], ("Corr", "MAE", "Acc7"), tmp_path / "tables", "table3", "Data: made up.")
    assert [path.name for path in paths] == ["table3.json", "table3.csv", "table3.md"]
    first, second = json.loads(paths[0].read_text(encoding="utf-8"), parse_constant=pytest.fail)  # NaN is not JSON
    assert list(first) == ["system", "dataset", "metrics", "paper", "origin"]
    assert first["metrics"]["Corr"] == {"mean": None, "std": None, "n": 3}
    assert (second["metrics"], second["paper"], second["origin"]) == ({}, {"MAE": 0.9, "Acc7": 34.46}, "quoted")

    lines = pd.read_csv(paths[1]).set_index(["system", "metric"])
    expected = [("MUG", m) for m in ("MAE", "Corr", "Acc2", "F1")] + [("TFN | old", m) for m in ("MAE", "Acc7")]
    assert lines.index.tolist() == expected
    assert lines.loc[("MUG", "MAE"), ["paper", "n", "origin"]].tolist() == [0.712, 3, "run"]
    assert lines.loc[("TFN | old", "Acc7"), ["paper", "n"]].tolist() == [34.46, 0]

    assert paths[2].read_text(encoding="utf-8").splitlines() == [  # seven columns at most
        "| system | Corr ours | Corr paper | Corr Δ | MAE ours | MAE paper | MAE Δ |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| MUG | undefined | – | – | 1.067 ± 0.208 | 0.712 | +0.355 |",
        r"| TFN \| old | – | – | – | – | 0.9 | – |",
        "",
        "| system | Acc7 ours | Acc7 paper | Acc7 Δ |",
        "| --- | --- | --- | --- |",
        "| MUG | – | – | – |",
        r"| TFN \| old | – | 34.46 | – |",
        "",
        "Data: made up.",
    ]


def test_write_frame_has_null_for_undefined_numbers_and_writes_all_or_nothing(tmp_path: Path) -> None:
    table = pd.DataFrame({"modality": ["language", "visual"], "n": [3, 5], "std": [0.25, float("nan")]})
    shown = pd.DataFrame({"std": ["0.25", "–"]}, index=pd.Index(["language", "visual"], name="modality"))
    numbers, csv, text = tables.write_frame(table, shown, tmp_path, "quality", "Data: made up.")
    assert [row["std"] for row in json.loads(numbers.read_text())] == [0.25, None]
    pd.testing.assert_frame_equal(pd.read_csv(csv), table)
    assert text.read_text().splitlines()[2] == "| language | 0.25 |"
    with pytest.raises(ValueError, match="JSON"):
        tables.write_frame(table.assign(std=float("inf")), shown, tmp_path / "other", "quality", "x")
    assert not list((tmp_path / "other").glob("*"))


def test_markdown_joins_the_parts_of_an_index_and_keeps_whole_numbers_whole() -> None:
    index = pd.MultiIndex.from_tuples([("copy", 0), ("mug", 1)], names=["labels from", "k"])
    lines = tables.markdown(pd.DataFrame({"rows": [12, 10], "tau": [0.455, 0.511]}, index=index)).splitlines()
    assert lines[0] == "| labels from, k | rows | tau |"
    assert lines[2:] == ["| copy, 0 | 12 | 0.455 |", "| mug, 1 | 10 | 0.511 |"]
