"""Table 5's steps at several settings: which data sets, and numbers that stay what the comparison found."""

from __future__ import annotations

from typing import Any

import pytest

from mugkit.claims import comparisons
from mugkit.evaluation import tables
from mugkit.evaluation.tables import Row
from mugkit.studies import beside


def difference(value: float, metric: str) -> dict[str, Any]:
    half = 0.005 if metric == "MAE" else 0.4
    ends = {
        "clips_low": value - half,
        "clips_high": value + half,
        "seeds_low": value - half,
        "seeds_high": value + half,
    }
    return {"metric": metric, "difference": value, **ends}


STEPS = {
    "copies": [difference(0.001, "MAE"), difference(0.1, "Acc2")],
    "MUG": [difference(-0.06, "MAE"), difference(2.7, "Acc2")],
}


def test_settings_are_prepared_under_the_names_that_the_ledger_looks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "simulated", lambda dials: str(dials.stored_as))
    assert beside.prepared() == ["reviews-vivid-sims", "reviews-faint-sims"]
    assert [f"reviews-{name}" for name in comparisons.BESIDE] == beside.prepared()


def test_table_has_a_row_a_setting_step_and_metric_with_both_intervals() -> None:
    table = beside.table({"reviews": STEPS, "reviews-faint-sims": {"MUG": STEPS["MUG"]}})
    assert len(table) == 6
    rows = table.set_index(["setting", "step", "metric"])
    assert rows.loc[("reviews", "MUG", "MAE"), "verdict"] == "better"
    assert rows.loc[("reviews", "copies", "MAE"), "verdict"] == "no difference above 0.01"
    shown = beside.show(table)
    over = " over W/O Unimodal Tasks"
    assert shown["step"].to_list() == [f"{upper}{over}" for upper in ("y_mc ← y", "MUG", "MUG")]
    assert shown["over clips"].iloc[1] == "[-0.065, -0.055]"
    assert shown["Acc2"].iloc[1] == "+2.7 [+2.3, +3.1]"
    assert len(shown.columns) <= 6, "seven with the index fit on a page"


def test_rows_carry_their_differences_into_the_json_on_their_own_data_alone() -> None:
    rows = [
        Row("MUG", "reviews", {}),
        Row("W/O Unimodal Tasks", "reviews", {}),
        Row("MUG", "mosi", {}, origin="quoted"),
    ]
    ours, without, quoted = (row.as_json() for row in beside.with_differences(rows, STEPS, "reviews"))
    assert ours["differences"]["W/O Unimodal Tasks"]["MAE"] == STEPS["MUG"][0]
    assert "differences" not in without
    assert "differences" not in quoted
    assert tables.Row("MUG", "reviews", {}).as_json().keys() == without.keys()
