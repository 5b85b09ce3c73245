"""Table 5's steps at several settings: which data sets, and numbers that stay what the comparison found."""

import pytest
from made_study import difference

from mugkit.evaluation.tables import Row
from mugkit.studies import beside

COPIES, MUG = ([difference(mae), difference(acc2, 0.4, "Acc2")] for mae, acc2 in ((0.001, 0.1), (-0.06, 2.7)))


def test_settings_are_prepared_under_the_names_of_their_dials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "simulated", lambda dials: str(dials.stored_as))
    assert beside.prepared() == ["reviews-vivid-sims", "reviews-faint-sims"]


def test_rows_carry_their_differences_into_the_json_on_their_own_data_alone() -> None:
    rows = [Row("MUG", "reviews", {}), Row("W/O Unimodal Tasks", "reviews", {}), Row("MUG", "mosi", {})]
    found = beside.with_differences(rows, {"copies": COPIES, "MUG": MUG}, "reviews")
    ours, *others = (row.as_json() for row in found)
    assert ours["differences"] == {"W/O Unimodal Tasks": {"MAE": MUG[0], "Acc2": MUG[1]}}
    assert not any("differences" in other for other in others)
