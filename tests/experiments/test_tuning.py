"""Hyperparameters chosen on validation: who is tuned, and what is recorded and read of it."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from mugkit import config, files
from mugkit.data.schema import Dataset
from mugkit.experiments import experiment, search, tuning
from mugkit.experiments.registry import SYSTEMS, configuration, flat
from mugkit.studies import search_record

NAME = "made-up"


@pytest.fixture(autouse=True)
def dataset(prepared: Callable[..., Dataset]) -> Dataset:
    return prepared((24, 8, 8))


def test_tunable_are_the_systems_whose_hyperparameters_are_their_own() -> None:
    assert {SYSTEMS[name].tuned_as for name in SYSTEMS} == set(tuning.tunable())
    assert not {"copy", "mug-true-labels", "mug-without-contrastive"} & set(tuning.tunable())


def test_record_is_what_later_runs_take(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write_json(place := tmp_path / "chosen.json", {})
    found = {name: search.search(name, NAME, "smoke", 2) for name in ("text-only", "copy")}
    for searched in found.values():
        tuning.record(searched, place)
    monkeypatch.setattr("mugkit.config._choices", lambda: files.read_json(place))
    for name, searched in found.items():
        assert config.chosen(name, dataset.family, "smoke") == searched.best.values
    hp = configuration(config.RunSpec("text-only", NAME, 1111, "smoke"), dataset.family)
    assert found["text-only"].best.values.items() <= flat(hp).items()
    entry, best = files.read_json(place)["smoke"][dataset.family]["copy"], found["copy"].best
    recorded = {"valid": round(best.valid, 4), "trial": best.number, "trials": 2, "failed": 0}
    assert recorded.items() <= entry.items()


def test_table_is_the_best_first(tmp_path: Path) -> None:
    values = {"learning_rate": 0.001, "batch_size": 32, "weight_decay": 0.0, "beta": 0.5}
    entries = {name: {"values": values, "valid": valid, "trials": 20} for name, valid in (("tfn", 1.2), ("mug", 1.1))}
    files.write_json(place := tmp_path / "chosen.json", {"quick": {"reviews": entries}})
    found = tuning.table("reviews", "quick", place)
    assert found["system"].tolist() == ["MUG", "TFN"]
    assert tuning.chosen_table(found).loc["TFN"].tolist() == ["0.001", 32, "0", "1.200", 20, 4]
    assert tuning.chosen_table(tuning.table("mosi", "paper", place)).empty  # nobody tuned there


def test_tuning_draws_nothing_that_only_the_label_learner_reads() -> None:
    searched, tuned = search.of_system(SYSTEMS["mug"]), search.of_training(SYSTEMS["mug"])
    hp = config.Hyperparameters()
    of_learner = {field.name for part in (hp.pretraining, hp.meta) for field in dataclasses.fields(part)}
    assert {"beta", "learning_rate", "d"} <= tuned.keys() == searched.keys() - of_learner
    assert {"pretrain_epochs", "meta_epochs", "alpha"} <= searched.keys()
    assert "alpha_prime" in search.of_training(SYSTEMS["mlc"])  # its own rate, inside stage 3


def test_the_best_of_one_seed_does_not_win_when_other_seeds_disagree() -> None:
    trials = [search.Trial(i, {"beta": i}, valid) for i, valid in enumerate((0.9, 1.0, 1.1))]
    found = search.Search(config.RunSpec("mug", NAME, 1111), 1, trials, {0: [0.9, 1.3, 1.3], 1: [1.0, 1.0, 1.0]})
    assert found.best.number == 1
    assert dataclasses.replace(found, finals={}).best.number == 0
    diverged = dataclasses.replace(found, finals={0: [0.9, math.nan, 0.9], 1: [1.0, 1.0, 1.0]})
    assert diverged.best.number == 1


def test_finalists_are_the_best_of_one_seed_run_with_every_study_seed(dataset: Dataset, tmp_path: Path) -> None:
    found = tuning.tune("text-only", NAME, "smoke", 4)
    best = sorted(found.trials, key=lambda trial: trial.valid)[: tuning.FINALISTS]
    seeds = config.profile("smoke").study_seeds
    assert list(found.finals) == [trial.number for trial in best]
    for trial in best:
        specs = [
            config.RunSpec("text-only", NAME, seed, "smoke", seeds[0], tuple(trial.values.items())) for seed in seeds
        ]
        again = [experiment.run(spec).valid_metrics["MAE"] for spec in specs]
        assert found.finals[trial.number] == pytest.approx(again, abs=1e-6)
        assert found.finals[trial.number][0] == trial.valid
    search_record.write(search_record.record(found, dataset, with_test=False), tmp_path)
    read = search_record.read(tmp_path / "text-only.json").search
    assert (read.finals, read.best.number) == (found.finals, found.best.number)
