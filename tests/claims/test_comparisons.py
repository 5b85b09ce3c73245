"""Comparisons for the claims: from finished runs only, on the seeds that both have."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from made_up import make_dataset

from mugkit import config, files, metrics
from mugkit.claims import comparisons, ledger
from mugkit.claims.comparisons import Better, Finished, Pair
from mugkit.claims.evidence import Evidence
from mugkit.data import store
from mugkit.data.schema import MODALITIES
from mugkit.evaluation import label_quality
from mugkit.experiments.run_store import Store
from mugkit.training.checkpoint import Checkpoint
from mugkit.training.label_sources.source import LearnedLabels


@pytest.fixture
def finished(tmp_path: Path) -> Finished:
    return Finished(make_dataset(sizes=(60, 10, 80)), config.profile("smoke"), Store(tmp_path / "runs"))


@pytest.fixture(autouse=True)
def encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text encoder is part of every identity; here it need not be installed."""
    monkeypatch.setattr("mugkit.data.encoders.identity", lambda name: name)


def pretend(finished: Finished, noise_of: dict[str, float], seeds: int = 2) -> None:
    """Finished runs of systems whose predictions are the truth plus noise, in another order of clips."""
    test = finished.dataset.test
    for system, noise in noise_of.items():
        for work in finished.experiments(system, finished.profile.seeds[:seeds]):
            scores = test.labels + noise * np.random.default_rng(work.spec.seed).standard_normal(len(test))
            table = pd.DataFrame({"id": test.ids, "split": "test", "prediction": scores}).iloc[::-1]

            def compute(folder: Path, _: Checkpoint, table: pd.DataFrame = table) -> None:
                table.to_parquet(folder / "predictions.parquet")

            work.store.get("train", work.training, compute)


def test_pairs_are_systems_times_metrics_times_modalities() -> None:
    plain = Better("mug", ("hycon", "misa"), ("Acc7", "MAE")).pairs("mosi")
    found = [(pair.theirs, pair.metric, pair.modality) for pair in plain]
    assert found == [("hycon", "Acc7", ""), ("misa", "Acc7", ""), ("hycon", "MAE", ""), ("misa", "MAE", "")]
    assert [pair.metric for pair in Better("mug", ("hycon",)).pairs("mosi")] == list(metrics.HEADLINE["mosi"])
    assert not list(Better("mug", ("hycon",), ("Acc7",)).pairs("sims"))  # a metric that SIMS lacks
    labels = Better("mug", ("copy",), ("MAE",), "labels").pairs("mosi")
    assert [pair.modality for pair in labels] == list(MODALITIES)


def test_compare_reads_predictions_in_the_order_of_clips(finished: Finished) -> None:
    pretend(finished, {"mug": 0.2, "hycon": 1.0})
    found = comparisons.compare(Pair("mug", "hycon", "MAE", "test split"), finished)
    assert found is not None
    draws = [np.random.default_rng(seed).standard_normal(80) for seed in finished.profile.seeds]
    assert found["difference"] == pytest.approx((0.2 - 1.0) * np.mean(np.abs(draws)), abs=1e-6)
    assert found["clips_high"] < 0
    assert (found["clips"], found["seeds"]) == (80, 2)


def test_compare_unfinished_runs_are_none_and_nothing_is_trained(finished: Finished) -> None:
    pretend(finished, {"mug": 0.2})
    assert comparisons.compare(Pair("mug", "hycon", "MAE", "test split"), finished) is None
    assert comparisons.compare(Pair("mug", "copy", "MAE", "labels", "l"), finished) is None
    assert sorted(path.name for path in finished.store.root.iterdir()) == ["locks", "train"]


def test_compare_labels_that_need_no_run(finished: Finished) -> None:
    found = comparisons.compare(Pair("mug-true-labels", "copy", "MAE", "labels", "a"), finished)
    fewer = comparisons.compare(Pair("mug-true-labels", "copy", "MAE", "labels of disagreeing clips", "a"), finished)
    assert found is not None
    assert fewer is not None
    train = finished.dataset.train
    assert found["difference"] == pytest.approx(-np.abs(train.labels - train.true_labels["a"]).mean(), abs=1e-6)
    assert (found["clips"], found["seeds"]) == (60, 2)  # copies are the same with each seed
    values = np.stack(list(train.true_labels.values()))
    assert fewer["clips"] == ((values > 0).any(0) & (values < 0).any(0)).sum() < 60
    bare = dataclasses.replace(finished, dataset=make_dataset(true_labels=False))
    assert comparisons.compare(Pair("copy", "copy", "MAE", "labels", "l"), bare) is None


def test_predictions_are_those_of_the_seeds_that_have_run(finished: Finished) -> None:
    pretend(finished, {"mug": 0.2})
    pretend(finished, {"hycon": 0.2}, seeds=1)
    rows = {system: finished.rows(system, labels=False) for system in ("mug", "hycon", "misa")}
    assert {system: len(found.get("", ())) for system, found in rows.items()} == {"mug": 2, "hycon": 1, "misa": 0}


def test_measure_is_json_with_what_could_be_compared(finished: Finished) -> None:
    pretend(finished, {"mug": 0.2, "hycon": 1.0})
    tests = [Better("mug", ("hycon",), ("MAE",)), Better("mug", ("hycon", "misa"), ("MAE",))]  # misa has not run
    found = comparisons.measure(tests, finished.dataset, "smoke", finished.store)
    assert [pair["theirs"] for pair in found["comparisons"]] == ["hycon"]  # both need it: once
    assert found["caption"] == "made up"
    json.dumps(found, allow_nan=False)


def test_other_settings_of_the_dials_are_measured_where_prepared_and_run(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed, (name, true) in enumerate({"made-up": 1.0, "made-up-faint-sims": 0.2}.items()):
        dataset = make_dataset((8, 4, 80), name=name, seed=seed)
        store.save(dataset, files.data_home() / name)
        runs = Finished(dataset, config.profile("smoke"), Store.default())
        pretend(runs, {"copy": 1.2 - true, "mug-true-labels": true})
    (found,) = ledger.beside("made-up", "smoke", [])
    assert found["dataset"] == "made-up-faint-sims"
    (mae,) = (each for each in found["comparisons"] if (each["on"], each["metric"]) == ("test split", "MAE"))
    assert mae["difference"] < -0.4
    assert ledger.beside("made-up-faint-sims", "smoke", []) == []
    kept = [{"dataset": "made-up-vivid-sims", "comparisons": [{}]}]  # its runs are elsewhere
    names = [setting["dataset"] for setting in ledger.beside("made-up", "smoke", kept)]
    assert names == ["made-up-vivid-sims", "made-up-faint-sims"]
    # Seeds in the store beyond notebook 15's do not count, of predictions or of labels.
    assert {each["seeds"] for each in found["comparisons"] if each["on"] == "test split"} == {2}
    monkeypatch.setattr(ledger, "SEEDS", 1)
    (fewer,) = ledger.beside("made-up", "smoke", [])
    assert {each["seeds"] for each in fewer["comparisons"]} == {1}


def test_a_table_and_the_ledger_say_the_same_of_the_same_labels() -> None:
    """MUCN's labels against copies: every row of notebook 05's table has the ledger's outcome."""
    dataset, rng = make_dataset((80, 4, 4)), np.random.default_rng(0)
    y, true = dataset.train.labels, dataset.train.true_labels
    shares = {"l": 0.5, "a": 0.0, "v": -0.5}
    made = {m: y + share * (true[m] - y) + 0.05 * rng.standard_normal((3, 80)) for m, share in shares.items()}
    seeds = [{m: torch.from_numpy(rows[i]) for m, rows in made.items()} for i in range(3)]
    learned = [LearnedLabels(labels, {}, pd.DataFrame()) for labels in seeds]
    table = label_quality.compare(dataset, learned).set_index(["modality", "measure"])["verdict"]
    read = {("mug", True): made, ("copy", True): {m: np.stack([y] * 3) for m in made}}
    runs = Finished(dataset, config.profile("smoke"), Store(Path("nowhere")), read)
    test = Better("mug", ("copy",), ("MAE", "Corr"), "labels")
    compared = [comparisons.compare(pair, runs) for pair in test.pairs("mosi")]
    results = test.find(Evidence(Path("nowhere"), {"family": "mosi", "comparisons": compared})).results
    said = {"as claimed": "closer", "opposite": "farther", "no effect": ("no", "undecided"), "open": "undecided"}
    assert {result["outcome"] for result in results} >= {"as claimed", "opposite"}
    for result in results:
        _, modality, measure = result["of"].split(", ")
        assert table[modality, measure].startswith(said[result["outcome"]])
