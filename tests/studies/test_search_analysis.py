"""What trials tell: a field that matters is found, a field that does not is not, and peeking gains what it gains."""

import math

import numpy as np
import pandas as pd
import pytest

from mugkit.config import RunSpec
from mugkit.errors import UserError
from mugkit.experiments.search import Search, Trial
from mugkit.studies import search_analysis as analysis
from mugkit.studies.search_record import Record, Tested


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Forty trials: the validation error rises with beta and falls and rises with d; noise does nothing."""
    rng = np.random.default_rng(0)
    beta, d, noise = rng.uniform(0.1, 1, (3, 40))
    valid = 1.5 + 0.3 * beta + 4 * (d - 0.55) ** 2 + 0.02 * rng.standard_normal(40)
    return pd.DataFrame({"trial": range(40), "beta": beta, "d": d, "noise": noise, "valid": valid, "test": valid + 0.1})


def test_importance_sees_monotone_and_other_effects_and_no_others(table: pd.DataFrame) -> None:
    rows = analysis.importance(table.assign(fixed=3.0)[["fixed", *table.columns]]).set_index("field")
    expected = {"fixed": analysis.UNSEEN, "beta": analysis.MATTERS, "d": analysis.MATTERS, "noise": analysis.UNSEEN}
    assert rows["verdict"].to_dict() == expected
    assert rows.loc["fixed", ["rho", "importance"]].tolist() == [0.0, 0.0]  # it never varied
    ranks = table[["beta", "valid"]].rank().corr().iloc[0, 1]
    assert rows.loc["beta", "rho"] == pytest.approx(ranks)
    assert (rows["p_corrected"] >= rows["p"]).all()


def test_predictability_of_order_is_high_and_of_chance_is_not(table: pd.DataFrame) -> None:
    assert analysis.predictability(table) > 0.5
    chance = table.assign(valid=np.random.default_rng(1).permutation(table["valid"]))
    assert analysis.predictability(chance) < 0.2


def test_peeking_by_hand_and_where_validation_and_test_agree(table: pd.DataFrame) -> None:
    same = analysis.peeking(table)
    assert [same[key] for key in ("gain", "low", "high", "agreement")] == pytest.approx([0, 0, 0, 1])
    table = pd.DataFrame({"trial": range(4), "valid": [1.0, 2.0, 3.0, 4.0], "test": [1.5, 1.2, 1.9, 1.4]})
    found = analysis.peeking(table)
    assert (found["honest"], found["peeked"]) == (1.5, 1.2)
    assert found["gain"] == pytest.approx(0.3)
    assert found["low"] <= found["gain"] <= found["high"]


def made_record(valid: list[float], test: list[float]) -> Record:
    """A recorded search; `test` is of the finished trials."""
    trials = [Trial(i, {"beta": 0.1 * (i + 1)}, value) for i, value in enumerate(valid)]
    tested = Tested(test, *np.ones((2, len(test), 3), bool)) if test else None
    return Record(Search(RunSpec("mug", "made-up", 1111, "smoke"), 1, trials), tested, "data", {})


def test_scored_leaves_out_trials_that_failed_and_keeps_each_test_score_with_its_trial() -> None:
    table = analysis.scored(made_record([1.0, math.nan, 1.0, 1.0, 1.2], [0.0, 0.2, 0.3, 0.4]))
    assert table["trial"].tolist() == [0, 2, 3, 4]
    assert table["test"].tolist() == [0.0, 0.2, 0.3, 0.4]
    assert analysis.fields(table) == ["beta"]
    assert "test" not in analysis.scored(made_record([1.0] * 4, [])).columns
    with pytest.raises(UserError, match="3 trials"):
        analysis.scored(made_record([1.0] * 3, [1.0] * 3))
