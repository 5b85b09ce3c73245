"""Comparisons for the claims: from finished runs only, on the seeds that both have."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mugkit import config, files, metrics
from mugkit.claims import comparisons, ledger
from mugkit.claims.comparisons import Finished, Pair, pairs
from mugkit.claims.kinds import Better, Claim
from mugkit.data import store
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.experiments.store import Store
from mugkit.training.checkpoint import Checkpoint


@pytest.fixture
def dataset(made_up: Callable[..., Dataset]) -> Dataset:
    return made_up(sizes=(60, 10, 80))


@pytest.fixture
def finished(dataset: Dataset, tmp_path: Path) -> Finished:
    return Finished(dataset, config.profile("smoke"), Store(tmp_path / "runs"))


@pytest.fixture(autouse=True)
def encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text encoder is part of every identity; here it need not be installed."""
    monkeypatch.setattr("mugkit.data.encoders.identity", lambda name: name)


def pretend(finished: Finished, system: str, noise: float) -> None:
    """Finished runs of a system whose predictions are the truth plus noise, in another order of clips."""
    test = finished.dataset.test
    for seed in finished.profile.seeds:
        work = finished._work(system, seed, finished.profile.label_seeds[0])
        scores = test.labels + noise * np.random.default_rng(seed).standard_normal(len(test))
        table = pd.DataFrame({"id": test.ids, "split": "test", "prediction": scores}).iloc[::-1]

        def compute(folder: Path, _: Checkpoint, table: pd.DataFrame = table) -> None:
            table.to_parquet(folder / "predictions.parquet")

        work.store.get("train", work.training, compute)


def test_pairs_are_systems_times_metrics_times_modalities() -> None:
    plain = list(pairs(Better("mug", ("hycon", "misa"), ("Acc7", "MAE")), "mosi"))
    assert [(p.theirs, p.metric, p.modality) for p in plain] == [
        ("hycon", "Acc7", ""),
        ("misa", "Acc7", ""),
        ("hycon", "MAE", ""),
        ("misa", "MAE", ""),
    ]
    assert len(list(pairs(Better("mug", ("hycon",)), "mosi"))) == len(metrics.HEADLINE["mosi"])
    labels = list(pairs(Better("mug", ("copy",), ("MAE",), "labels"), "mosi"))
    assert [p.modality for p in labels] == list(MODALITIES)


def test_pairs_of_a_metric_that_sims_lacks_are_none() -> None:
    assert list(pairs(Better("mug", ("hycon",), ("Acc7",)), "sims")) == []


def test_compare_reads_predictions_in_the_order_of_clips(finished: Finished) -> None:
    pretend(finished, "mug", 0.2)
    pretend(finished, "hycon", 1.0)
    found = comparisons.compare(Pair("mug", "hycon", "MAE", "test split"), finished)
    assert found is not None
    test = finished.dataset.test
    draws = [np.random.default_rng(seed).standard_normal(len(test)) for seed in finished.profile.seeds]
    assert found["difference"] == pytest.approx((0.2 - 1.0) * np.mean(np.abs(draws)), abs=1e-6)
    assert found["clips_high"] < 0
    assert (found["clips"], found["seeds"]) == (80, 2)


def test_compare_unfinished_runs_are_none_and_nothing_is_trained(finished: Finished) -> None:
    pretend(finished, "mug", 0.2)
    assert comparisons.compare(Pair("mug", "hycon", "MAE", "test split"), finished) is None
    assert comparisons.compare(Pair("mug", "copy", "MAE", "labels", "l"), finished) is None
    assert sorted(path.name for path in finished.store.root.iterdir()) == ["locks", "train"]


def test_compare_labels_that_need_no_run(finished: Finished) -> None:
    found = comparisons.compare(Pair("mug-true-labels", "copy", "MAE", "labels", "a"), finished)
    assert found is not None
    train = finished.dataset.train
    assert found["difference"] == pytest.approx(-np.abs(train.labels - train.true_labels["a"]).mean(), abs=1e-6)
    assert found["clips"] == 60


def test_compare_labels_of_disagreeing_clips_are_fewer(finished: Finished) -> None:
    found = comparisons.compare(Pair("mug-true-labels", "copy", "MAE", "labels of disagreeing clips", "a"), finished)
    values = np.stack(list(finished.dataset.train.true_labels.values()))
    expected = int(((values > 0).any(0) & (values < 0).any(0)).sum())
    assert found is not None
    assert found["clips"] == expected < 60


def test_compare_labels_without_true_ones_is_none(made_up: Callable[..., Dataset], tmp_path: Path) -> None:
    bare = Finished(made_up(true_labels=False), config.profile("smoke"), Store(tmp_path))
    assert comparisons.compare(Pair("copy", "copy", "MAE", "labels", "l"), bare) is None


def test_predictions_are_those_of_the_seeds_that_have_run(finished: Finished) -> None:
    pretend(finished, "mug", 0.2)
    one_seed = dataclasses.replace(finished.profile, seeds=finished.profile.seeds[:1])
    pretend(dataclasses.replace(finished, profile=one_seed), "hycon", 0.2)
    rows = {system: finished.predictions(system) for system in ("mug", "hycon", "misa")}
    assert {system: found if found is None else len(found) for system, found in rows.items()} == {
        "mug": 2,
        "hycon": 1,
        "misa": None,
    }


def test_labels_that_depend_on_no_seed_are_the_same_with_each(finished: Finished) -> None:
    found = finished.labels("copy")
    assert found is not None
    np.testing.assert_array_equal(found["l"], [finished.dataset.train.labels] * 2)


def test_measure_is_json_with_what_could_be_compared(finished: Finished) -> None:
    pretend(finished, "mug", 0.2)
    pretend(finished, "hycon", 1.0)
    made = [
        Claim("4.6-a", "a", Better("mug", ("hycon",), ("MAE",))),
        Claim("4.6-b", "b", Better("mug", ("hycon", "misa"), ("MAE",))),  # shares one comparison; misa has not run
    ]
    found = comparisons.measure(made, finished.dataset, "smoke", finished.store)
    assert [one["theirs"] for one in found["comparisons"]] == ["hycon"]
    assert found["caption"] == "made up"
    json.dumps(found, allow_nan=False)


def test_other_settings_of_the_dials_are_measured_where_prepared_and_run(made_up: Callable[..., Dataset]) -> None:
    noise = {
        "made-up": {"copy": 0.2, "mug-true-labels": 1.0},
        "made-up-faint-sims": {"copy": 1.0, "mug-true-labels": 0.2},
    }
    for seed, (name, systems) in enumerate(noise.items()):
        dataset = made_up((8, 4, 80), name=name, seed=seed)
        store.save(dataset, files.data_home() / name)
        for system, by in systems.items():
            pretend(Finished(dataset, config.profile("smoke"), Store.default()), system, by)
    (found,) = ledger.beside("made-up", "smoke", [])
    assert found["dataset"] == "made-up-faint-sims"
    differences = {one["metric"]: one["difference"] for one in found["comparisons"] if one["on"] == "test split"}
    assert differences["MAE"] < -0.4
    assert ledger.beside("made-up-faint-sims", "smoke", []) == []
    kept = [{"dataset": "made-up-vivid-sims", "comparisons": [{}]}]  # its runs are elsewhere
    assert [one["dataset"] for one in ledger.beside("made-up", "smoke", kept)] == [
        "made-up-vivid-sims",
        "made-up-faint-sims",
    ]
