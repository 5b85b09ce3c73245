"""The paper's tables: rows beside the right numbers and system, Table 2's presets, Table 6's counts to the digit."""

from collections import defaultdict
from pathlib import Path

import pytest

from mugkit import config
from mugkit.config import RunSpec
from mugkit.evaluation import paper_tables, published, tables
from mugkit.evaluation.published import RESULTS
from mugkit.evaluation.tables import Row
from mugkit.experiments.experiment import Run
from mugkit.experiments.registry import SYSTEMS
from mugkit.metrics import HEADLINE

REPOSITORY = Path(__file__).resolve().parents[2]


def runs(*systems: str) -> dict[str, list[Run]]:
    metrics = {"Acc7": 40.0, "Acc2": 80.0, "F1": 79.5, "MAE": 1.0, "Corr": 0.5}
    return {name: [Run(RunSpec(name, "reviews", 1), Path(), dict(metrics), {}, 0, True)] for name in systems}


def test_catalogue_has_every_row_of_the_paper_once_with_its_tables_and_its_system_then_our_own() -> None:
    lines = paper_tables.catalogue()
    own = [(row, system.name) for row, numbers, system in lines if not numbers]
    assert {("ULGM on MUG's networks", "ulgm"), ("text only", "text-only")} <= set(own)
    assert all((REPOSITORY / system.where).exists() for _, _, system in lines)
    quoted = [line for line in lines if line[1]]
    assert sorted(row for row, _, _ in quoted) == sorted({row for table in RESULTS.values() for row in table})
    for row, numbers, system in quoted:
        assert numbers == tuple(number for number, table in RESULTS.items() if row in table)
        assert [each for each in SYSTEMS.values() if row in each.rows] == [system]


def test_rows_are_all_of_the_papers_in_its_order() -> None:
    able = [name for name in map(paper_tables.system_of, published.TABLE3) if name != "unimse"]
    made = paper_tables.rows(3, "reviews", runs(*able), {"unimse": "pip install 'mugkit[t5]'"})
    assert [row.system for row in made] == list(published.TABLE3)
    by_name = {row.system: row for row in made}
    assert by_name["Self-MM"].metrics["MAE"]["mean"] == 1.0
    assert by_name["Self-MM"].paper == {"Acc7": 45.8, "Acc2": 84.9, "F1": 84.8, "MAE": 0.731, "Corr": 0.785}
    of_mosei = {row.system: row.paper for row in paper_tables.rows(3, "mosei", {}, defaultdict(str))}
    assert of_mosei["Self-MM"]["MAE"] == 0.540
    absent = by_name["UniMSE (T5)"]
    assert (absent.origin, absent.metrics, absent.needs) == ("quoted", {}, "pip install 'mugkit[t5]'")


def test_waiting_rows_are_the_papers_on_data_that_is_not_there() -> None:
    waiting = paper_tables.waiting(3, ["mosi"])
    assert [row.system for row in waiting] == list(published.TABLE3)
    assert {(row.dataset, row.origin, bool(row.metrics)) for row in waiting} == {("mosei", "quoted", False)}
    assert waiting[0].paper == published.TABLE3[waiting[0].system]["mosei"]
    assert waiting[0].as_json()["needs"] == "MOSEI: mugkit prepare mosei --source PATH"
    assert paper_tables.waiting(4, ["sims", "reviews"]) == []


def test_differences_to_the_paper_are_shown_on_its_own_data_only() -> None:
    able = list(dict.fromkeys(map(paper_tables.system_of, published.TABLE4)))
    rows = paper_tables.rows(4, "reviews", runs(*able), {}) + paper_tables.waiting(4, ["reviews"])
    shown = tables.whole_table(rows, HEADLINE["sims"])
    assert "Δ" not in shown.columns.get_level_values(1)
    assert (shown.iloc[0]["MAE", "ours"], shown.iloc[0]["needs", ""]) == ("1.000", "–")
    absent = shown.iloc[len(published.TABLE4)]
    assert (absent["data", ""], absent["MAE", "ours"]) == ("sims", "–")
    own = tables.whole_table(paper_tables.rows(4, "sims", runs("tfn"), defaultdict(str)), HEADLINE["sims"])
    assert own.iloc[0]["MAE", "Δ"] == "+0.568"  # TFN's 0.432


def test_table2_has_the_papers_presets_and_what_was_chosen_on_validation() -> None:
    table, shown = paper_tables.table2("reviews", "quick")
    assert list(table["hyperparameter"]) == list(published.TABLE2)
    for name in published.DATASETS:
        assert table[f"{name} preset"].tolist() == table[f"{name} paper"].tolist()
        assert shown.loc["Batch Size", name] == f"{published.TABLE2['Batch Size'][name]:g}"
    here = table.set_index("hyperparameter")["quick on reviews"]
    chosen = config.chosen("mug", "reviews", "quick")
    assert here["Learning Rate"] == chosen["learning_rate"]
    assert shown.loc["Unimodal Task Loss Weight β", "quick on reviews"] == f"{chosen['beta']:g}"


@pytest.mark.parametrize(("theirs", "tau"), [((1, 2, 3, 4), 1.0), ((4, 3, 2, 1), -1.0), ((1, 2, 4, 3), 2 / 3)])
def test_rank_agreement_by_hand(theirs: tuple[float, ...], tau: float) -> None:
    rows = [Row(str(i), "x", {"MAE": {"mean": i}}, {"MAE": value}) for i, value in enumerate(theirs)]
    without = Row("not in the paper", "x", {"MAE": {"mean": 9}})
    found = paper_tables.rank_agreement([*rows, without], "MAE").iloc[0]
    assert (found["tau"], found["rows"]) == (pytest.approx(tau), 4)


def test_table6_has_the_papers_counts_to_the_digit() -> None:
    found = {row.system: row.metrics["Parameters"]["mean"] for row in paper_tables.table6("mosei")}
    assert found == {"Self-MM": 109_647_908, "MISA": 110_917_345, "MMIM": 109_821_129, "MUG": 110_089_956}
    assert list(found) == list(published.TABLE6)


def test_totals_at_other_dims_and_of_parts_add_up() -> None:
    table = paper_tables.over_families()
    assert list(table.columns) == list(published.DATASETS)
    # Self-MM at MOSI: Facet has 47 instead of 35 dims, so the visual LSTM's first matrix has 4·32·12 more.
    assert table.loc["Self-MM", "mosi"] - table.loc["Self-MM", "mosei"] == 4 * 32 * 12

    parts = paper_tables.by_part("mug", "mosei")
    assert parts["text encoder"] == 109_482_240  # bert-base-uncased with its pooler
    assert parts.drop("all").sum() == parts["all"] == 110_089_956
    assert parts["language"] == 768 * 64 + 64
