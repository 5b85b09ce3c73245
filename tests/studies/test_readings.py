"""Readings of Eq. 11: which runs they are, and what they do to validation, against values worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from made_study import finished

from mugkit import config, files
from mugkit.config import RunSpec
from mugkit.data import store
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.experiments import experiment
from mugkit.studies import readings
from mugkit.studies.readings import NETWORK, PLAIN, PROJECTION
from mugkit.training.label_sources.source import LearnedLabels


@pytest.fixture
def dataset(made_up: Callable[..., Dataset]) -> Dataset:
    return made_up((8, 40, 8))


def test_readings_differ_in_what_equation_11_trains_and_in_nothing_else(dataset: Dataset) -> None:
    experiment._dataset.cache_clear()
    store.save(dataset, files.data_home() / dataset.name)
    specs = readings.specifications(dataset.name, "smoke")
    assert {len(some) for some in specs.values()} == {len(config.profile("smoke").study_seeds)}
    assert all(spec.seed == spec.label_seed for some in specs.values() for spec in some)
    plain, projection, network = (experiment.work(specs[name][0]).hp for name in (PLAIN, PROJECTION, NETWORK))
    assert plain.pretraining.gamma == 0 < projection.pretraining.gamma
    scopes = [hp.pretraining.contrastive_gradient_scope for hp in (projection, network)]
    assert scopes == ["projection", "network"]
    assert config.override(projection, {"contrastive_gradient_scope": "network"}) == network


def test_validation_compares_each_reading_with_none(dataset: Dataset, tmp_path: Path) -> None:
    runs = {
        name: [
            finished(dataset, tmp_path / f"{name}-{seed}", wrong + 0.001 * seed, RunSpec("mug", "x", seed), "valid")
            for seed in (1, 2)
        ]
        for name, wrong in {PLAIN: 0.5, PROJECTION: 0.6, NETWORK: 0.4}.items()
    }
    table = readings.validation(dataset, runs)
    rows = table.set_index("reading")
    assert rows.loc[PLAIN, "mean"] == pytest.approx(0.5015)
    assert rows.loc[PROJECTION, "difference"] == pytest.approx(0.1, abs=1e-5)
    assert rows["verdict"].to_list() == ["", "higher", "lower"]
    shown = readings.show_validation(table)
    assert shown["than without"].to_list() == ["–", "higher", "lower"]
    assert shown.loc[PLAIN, "difference"] == "–"


def test_labels_of_each_reading_stand_beside_the_truth(dataset: Dataset) -> None:
    true = {m: torch.from_numpy(np.asarray(dataset.train.true_labels[m])) for m in MODALITIES}
    off = {m: values + 0.5 for m, values in true.items()}
    learned = {PLAIN: off, NETWORK: true}
    found = {name: [LearnedLabels(labels, {}, pd.DataFrame())] * 2 for name, labels in learned.items()}
    shown = readings.show_labels(readings.labels(dataset, found))
    assert list(shown.index) == [PLAIN, NETWORK]
    assert shown.loc[PLAIN, ("MAE", "language")].startswith("0.500")
    assert shown.loc[NETWORK, ("MAE", "visual")].startswith("0.000")
