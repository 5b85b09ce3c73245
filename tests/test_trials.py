"""Budgets: every profile has one, their fields exist, and what is tried goes on top of them."""

from __future__ import annotations

import pytest

from mugkit.config import PROFILES, hyperparameters, override
from mugkit.errors import UserError
from mugkit.results.settings import flat
from mugkit.trials import BUDGETS, budget, repeated, trial


def test_budgets_are_those_of_the_profiles() -> None:
    assert BUDGETS.keys() == PROFILES.keys()


@pytest.mark.parametrize("name", BUDGETS)
def test_budget_makes_no_field_larger_than_the_profile_s(name: str) -> None:
    now = hyperparameters("reviews", name)
    override(now, budget(name).changes)
    assert all(value <= flat(now)[field] for field, value in budget(name).changes.items())


def test_budget_of_paper_is_fifty_whole_runs() -> None:
    assert (budget("paper").trials, budget("paper").changes) == (50, {})
    assert budget("paper").note == "each trial is a whole run"


def test_budget_note_names_what_is_fixed() -> None:
    assert "max_epochs=2" in budget("smoke").note


def test_budget_unknown_profile_names_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'quick'"):
        budget("quik")


def test_trial_tried_value_goes_over_the_budget_s() -> None:
    spec = trial("mug", "reviews", "smoke", {"max_epochs": 5, "beta": 0.1})
    assert dict(spec.changes) == {**budget("smoke").changes, "max_epochs": 5, "beta": 0.1}
    assert (spec.seed, spec.label_seed) == (1111, 1111)


def test_repeated_changes_all_seeds_together() -> None:
    specs = repeated("mug", "reviews", "smoke", {})
    assert [(spec.seed, spec.label_seed) for spec in specs] == [(1111, 1111), (1112, 1112)]
