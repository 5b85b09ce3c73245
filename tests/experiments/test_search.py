"""Random search: draws that can be repeated, validation decides alone, finished trials are reused."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mugkit import files
from mugkit.config import RunSpec, hyperparameters
from mugkit.data.schema import Dataset
from mugkit.errors import UserError
from mugkit.evaluation import published
from mugkit.evaluation.published import FIELDS
from mugkit.experiments import search
from mugkit.experiments.experiment import Run
from mugkit.experiments.registry import SYSTEMS, flat
from mugkit.experiments.search import SPACE, Search, Trial, distributions, of_system
from mugkit.overrides import override, parse_overrides

NAME = "made-up"


@pytest.fixture(autouse=True)
def stored(prepared: Callable[..., Dataset]) -> None:
    prepared((24, 8, 8))


def made_trial(number: int, valid: float | None, test: float | None) -> Trial:
    spec = RunSpec("mug", NAME, 1111, "smoke")
    run = Run(spec, Path("x"), {"MAE": test}, {"MAE": valid}, 0, False)
    return Trial(number, {"beta": 0.1 * number}, search.error(run.valid_metrics), run)


def test_specifications_are_whole_runs_and_a_smaller_search_has_the_first_of_a_larger() -> None:
    first, larger, other = (
        search.specifications("mug", NAME, "smoke", count, seed) for count, seed in ((5, 1), (20, 1), (5, 2))
    )
    assert first == larger[:5]
    assert first != other
    for values, spec in larger:
        assert (dict(spec.changes), spec.preset, spec.seed) == (values, "table2", spec.label_seed)
        assert {type(value) for value in values.values()} <= {int, float}
        assert all(float(f"{value:.2g}") == value for value in values.values() if isinstance(value, float))
        spec.hyperparameters("mosi")  # every value is possible


@pytest.mark.parametrize("wrong", [{"trials": 0}, {"seed": -1}, {"system": "mgu"}, {"dataset": "no-such-data"}])
def test_search_wrong_value_is_refused_before_any_work(wrong: dict[str, Any]) -> None:
    given: dict[str, Any] = {"system": "copy", "dataset": NAME, "profile_name": "smoke", "trials": 2}
    with pytest.raises(UserError, match="fix: "):
        search.search(**(given | wrong))
    assert not (files.home() / "runs" / "train").exists()


def ends(values: Any) -> tuple[float, float]:
    """The smallest and the largest value of a list or a distribution."""
    return (min(values), max(values)) if isinstance(values, list) else values.support()


@pytest.mark.parametrize("family", published.DATASETS)
def test_distributions_include_the_value_of_table_2_and_are_possible(family: str) -> None:
    now = hyperparameters(family, "paper")
    assert set(FIELDS.values()) <= SPACE.keys()
    for name, values in distributions(SPACE, now).items():
        low, high = ends(values)
        assert low <= flat(now)[name] <= high, name
        for value in (low, high):
            override(now, {name: value})  # refuses a wrong type or an impossible number


def test_of_system_is_what_it_reads_without_what_makes_it_that_system() -> None:
    optimizer = {"learning_rate", "batch_size", "weight_decay"}
    assert of_system(SYSTEMS["tfn"]).keys() == of_system(SYSTEMS["self-mm"]).keys() == optimizer
    assert "gamma" not in of_system(SYSTEMS["mug-without-contrastive"])
    assert not {"beta", "alpha", "gamma"} & of_system(SYSTEMS["mug-without-unimodal"]).keys()


def test_choose_is_the_lowest_finite_score_and_the_first_of_equals() -> None:
    assert search.choose([math.nan, 2.0, 1.0, 1.0, math.inf]) == 2
    trials = [Trial(0, {}, math.nan), made_trial(1, None, 0.1), made_trial(2, 5.0, 9.0)]
    assert Search(RunSpec("mug", NAME, 1111), 1, trials).best.number == 2
    with pytest.raises(UserError, match="no trial has a validation score"):
        search.choose([math.nan])


def test_best_depends_on_validation_and_not_on_test() -> None:
    valid = np.random.default_rng(0).permutation(np.arange(12) / 12 + 1)
    for tests in (valid, valid[::-1], [None] * 12):
        trials = [made_trial(i, v, t) for i, (v, t) in enumerate(zip(valid, tests, strict=True))]
        assert Search(RunSpec("mug", NAME, 1111), 1, trials).best.number == int(valid.argmin())


def test_search_trains_each_trial_and_reuses_it() -> None:
    found, larger = search.search("copy", NAME, "smoke", 3), search.search("copy", NAME, "smoke", 4)
    runs = [trial.run for trial in (*found.trials, *larger.trials) if trial.run]
    assert [run.reused for run in runs] == [False] * 3 + [True] * 3 + [False]
    assert len({run.folder for run in runs}) == 4
    assert [trial.valid for trial in larger.trials[:3]] == [trial.valid for trial in found.trials]
    for trial in larger.trials:  # the record names the run that was made
        assert search.specification(larger, trial) == trial.run.spec


def test_search_counts_trials_that_diverge(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    drawn = search.specifications("copy", NAME, "smoke", 2)
    changes = {**dict(drawn[0][1].changes), "learning_rate": 1e30}
    broken = dataclasses.replace(drawn[0][1], changes=tuple(sorted(changes.items())))
    with pytest.raises(UserError, match="became"):
        search.finished([broken])
    monkeypatch.setattr(search, "specifications", lambda *_: [(drawn[0][0], broken), drawn[1]])
    found = search.search("copy", NAME, "smoke", 2)
    assert [trial.run is None for trial in found.trials] == [True, False]
    assert found.best.number == 1
    assert math.isnan(found.frame().loc[0, "valid"])
    assert "became" in caplog.text


def test_conclusion_ends_with_the_command_that_runs_the_best_again() -> None:
    found = Search(RunSpec("mug", NAME, 1111), 1, [made_trial(2, 1.0, 1.0)])
    words = found.conclusion()[-1].split(" --set ")
    assert parse_overrides(words[1:]) == found.best.values


def test_by_lot_is_the_best_and_other_finished_ones_the_same_again() -> None:
    trials = [made_trial(i, None if i % 3 == 0 else 2.0 - 0.1 * i, 1.0) for i in range(12)]
    found = Search(RunSpec("mug", NAME, 1111), 1, trials)
    lot = search.by_lot(found)
    assert lot == search.by_lot(found)
    assert lot[0] == found.best == trials[11]
    assert len({trial.number for trial in lot}) == 3
    assert all(math.isfinite(trial.valid) for trial in lot)
    assert len(search.by_lot(dataclasses.replace(found, trials=trials[1:2]))) == 1
