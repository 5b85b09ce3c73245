"""A prepared data set whose texts cost nothing, for tests that run systems on it."""

from collections.abc import Callable
from typing import Any

import pytest
from made_up import make_dataset
from small import bag_of_words

from mugkit import files
from mugkit.config import RunSpec
from mugkit.data import store, text
from mugkit.data.schema import Dataset
from mugkit.experiments import experiment


@pytest.fixture
def prepare(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Dataset]:
    """Stores a made-up data set of 24 clips as `mugkit prepare` would.

    Its texts are encoded here: worker processes and nodes find them in the cache and need no encoder.
    """

    def make(**about: Any) -> Dataset:
        experiment._dataset.cache_clear()
        dataset = make_dataset((24, 8, 8), **about)
        store.save(dataset, files.data_home() / dataset.name)
        monkeypatch.setattr(text, "_encode", bag_of_words)
        network = RunSpec("copy", dataset.name, 1, "smoke").hyperparameters("mosi").network
        for split in dataset.splits.values():
            text.frozen_features(split.text, network.text_encoder, network.pooling)
        return dataset

    return make
