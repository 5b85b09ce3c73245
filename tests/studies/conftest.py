"""What studies run on in tests: made-up data that is prepared as a user's would be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from small import bag_of_words

from mugkit import files
from mugkit.data import store, text
from mugkit.data.schema import Dataset
from mugkit.experiments import experiment


@pytest.fixture
def prepared(made_up: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Dataset]:
    """A factory of stored data sets; their words are read as a bag, and trainings stay in this process."""
    experiment._dataset.cache_clear()
    monkeypatch.setattr(text, "_encode", bag_of_words)
    monkeypatch.setattr("mugkit.experiments.scheduler.workers_of", lambda workers, device: 1)

    def prepare(*sizes: Any, **options: Any) -> Dataset:
        dataset = made_up(*sizes, **options)
        store.save(dataset, files.data_home() / dataset.name)
        return store.load(dataset.name)

    return prepare
