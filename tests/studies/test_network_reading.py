"""What a network reads of one modality: the predictors of Eq. 24, from a run's stored weights, against the truth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mugkit.config import RunSpec
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.experiments import experiment
from mugkit.experiments.registry import Experiment
from mugkit.studies import network_reading
from mugkit.training.trainer import predict


@pytest.fixture
def work(prepared: Callable[..., Dataset]) -> Experiment:
    prepared((24, 8, 8))
    return experiment.work(RunSpec("mug-true-labels", "made-up", 1111, "smoke"))


def test_predictions_are_those_of_the_trained_network_clip_by_clip(
    work: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network that was trained is caught as it is saved, and asked one clip at a time."""
    caught: list[Any] = []
    original = network_reading.load_model

    def load(network: Any, path: object) -> None:
        caught.append(network)
        original(network, path)

    monkeypatch.setattr(network_reading, "load_model", load)
    found = network_reading.unimodal_predictions(work)
    (network,), clips = caught, ClipLoader(work.dataset.test, work.hp.network)
    for batch in clips.by_length(1):
        alone = network.predict_unimodal(network.represent(batch).unimodal)
        for m in MODALITIES:
            assert found[m][batch.index] == pytest.approx(alone[m].detach().numpy(), abs=1e-5)
    for m, r in network_reading._against_truth(work).items():
        assert r == pytest.approx(np.corrcoef(found[m], work.dataset.test.true_labels[m])[0, 1], abs=1e-3)
    errors = np.abs(predict(network, clips) - work.dataset.test.labels)
    assert experiment.run(work.spec).metrics["MAE"] == pytest.approx(errors.mean(), abs=1e-4)  # the run's weights
