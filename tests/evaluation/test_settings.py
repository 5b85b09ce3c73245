"""Table 2 beside our presets, and the agreement of two orders of rows."""

from __future__ import annotations

import pytest

from mugkit import config
from mugkit.evaluation import published, settings
from mugkit.evaluation.tables import Row


def test_table2_preset_equals_paper_in_every_cell() -> None:
    table, shown = settings.table2("reviews", "quick")
    assert list(table["hyperparameter"]) == list(published.TABLE2)
    for name in published.DATASETS:
        assert table[f"{name} preset"].tolist() == table[f"{name} paper"].tolist()
        assert shown.loc["Batch Size", name] == f"{published.TABLE2['Batch Size'][name]:g}"


def test_table2_shows_what_the_profile_changes_and_what_was_chosen_on_validation() -> None:
    table, shown = settings.table2("mosi", "quick")
    here = table.set_index("hyperparameter")["quick on mosi"]
    assert (here["Batch Size"], here["Learning Rate"], here["Meta-Training Epochs"]) == (64, 1e-3, 65)
    assert shown.loc["Learning Rate", "quick on mosi"] == "0.001"
    here = settings.table2("reviews", "quick")[0].set_index("hyperparameter")["quick on reviews"]
    chosen = config.chosen("mug", "reviews", "quick")
    assert here["Learning Rate"] == chosen["learning_rate"] != 1e-3
    assert here["Unimodal Task Loss Weight β"] == chosen["beta"]


def row(name: str, ours: float, paper_value: float | None) -> Row:
    return Row(name, "x", {"MAE": {"mean": ours}}, {} if paper_value is None else {"MAE": paper_value})


@pytest.mark.parametrize(("theirs", "tau"), [((1, 2, 3, 4), 1.0), ((4, 3, 2, 1), -1.0), ((1, 2, 4, 3), 2 / 3)])
def test_rank_agreement_by_hand(theirs: tuple[float, ...], tau: float) -> None:
    rows = [row(str(i), i, value) for i, value in enumerate(theirs)]
    found = settings.rank_agreement([*rows, row("without", 9, None)], "MAE").iloc[0]
    assert (found["tau"], found["rows"]) == (pytest.approx(tau), 4)
