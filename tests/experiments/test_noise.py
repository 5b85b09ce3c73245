"""Noisy labels: the raters' own spread, equal draws for every k, true labels and test split untouched."""

import pickle
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up import changed, make_dataset

from mugkit import files
from mugkit.config import RunSpec
from mugkit.data import reviews, store
from mugkit.data.schema import SPLITS, Dataset
from mugkit.errors import UserError
from mugkit.experiments import experiment, noise, scheduler
from mugkit.experiments.run_store import Store


@pytest.fixture
def dataset(prepared: object, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Made-up clips with ids as those of `reviews`; sentence i was rated with a spread of i / 100 on ±4."""
    noise._spreads.cache_clear()
    sentences = pd.DataFrame({"id": range(100), "spread": np.arange(100) / 100})
    monkeypatch.setattr(reviews, "fetch", lambda folder: Path("sdist"))
    monkeypatch.setattr(reviews, "read_sentences", lambda sdist: sentences)
    made = make_dataset((40, 16, 16), family="reviews")
    for name in SPLITS:
        made = changed(made, name, ids=[f"{name}03_{i:05d}" for i in range(len(made.splits[name]))])
    store.save(made, files.data_home() / made.name)
    return store.load(made.name)


def test_rater_spread_is_on_the_scale_of_the_labels(dataset: Dataset) -> None:
    np.testing.assert_allclose(noise.rater_spread(dataset.train), 0.75 * np.arange(40) / 100)
    for name in ("train_1x", "train_00900", "clip"):  # of another data set
        with pytest.raises(UserError, match="`reviews` only"):
            noise.rater_spread(replace(dataset.train, ids=[name] * 40))


def test_noisy_moves_labels_by_k_spreads_times_one_draw(dataset: Dataset) -> None:
    inside = np.abs(dataset.train.labels) < 1  # far from the ends of the scale, where labels are held back
    inside[0] = False  # its raters agreed
    once, twice = (noise.noisy(dataset, k, 7).train.labels - dataset.train.labels for k in (1.0, 2.0))
    np.testing.assert_allclose(twice[inside], 2 * once[inside], atol=1e-5)
    epsilon = once[inside] / noise.rater_spread(dataset.train)[inside]
    assert abs(epsilon.mean()) < 0.8
    assert 0.5 < epsilon.std() < 1.5
    assert once[0] == 0


def test_noisy_changes_training_and_validation_labels_alone(dataset: Dataset) -> None:
    noisy = noise.noisy(dataset, 50.0, 7)
    for name in ("train", "valid"):
        assert not np.array_equal(noisy.splits[name].labels, dataset.splits[name].labels)
        assert noisy.splits[name].true_labels is dataset.splits[name].true_labels
    assert noisy.test is dataset.test
    assert np.abs(noisy.train.labels).max() == dataset.label_scale  # they stay on the scale


def test_noisy_identity_depends_on_k_and_draw(dataset: Dataset) -> None:
    found = [noise.noisy(dataset, k, draw).fingerprint for k, draw in ((0, 1), (1, 1), (2, 1), (1, 2))]
    assert len(set(found)) == 4
    assert found[0] == dataset.fingerprint
    assert found[1] == noise.noisy(dataset, 1, 1).fingerprint


def test_run_all_clean_runs_are_the_ordinary_ones_and_noisy_ones_others(dataset: Dataset) -> None:
    spec = RunSpec("copy", dataset.name, 1111, "smoke")
    clean, noisy = noise.run_all([(spec, 0.0), (spec, 1.0)])
    assert clean.folder == experiment.run(spec).folder
    assert noisy.folder != clean.folder
    assert noisy.metrics != clean.metrics
    (task,) = scheduler.plan([(partial(noise.work, spec, 2.0), "train")], Store.default(), "cpu")
    experiment._dataset.cache_clear()  # as in another process
    scheduler.run_task(pickle.loads(pickle.dumps(task)), Store.default().root, "cpu")
    again = noise.run_all([(spec, 0.0), (spec, 1.0), (spec, 2.0)])
    assert [(run.reused, run.folder) for run in again] == [(True, at.folder) for at in (clean, noisy, task)]
