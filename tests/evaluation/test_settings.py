"""Table 2 beside our presets, and the agreement of two orders of rows."""

import pytest

from mugkit import config
from mugkit.evaluation import published, settings
from mugkit.evaluation.tables import Row


def test_table2_has_the_papers_presets_and_what_was_chosen_on_validation() -> None:
    table, shown = settings.table2("reviews", "quick")
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
    found = settings.rank_agreement([*rows, without], "MAE").iloc[0]
    assert (found["tau"], found["rows"]) == (pytest.approx(tau), 4)
