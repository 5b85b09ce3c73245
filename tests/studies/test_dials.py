"""The dials: the most that can be read, against closed forms; probes and labels at each setting; figure, sentence."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_up import made_up_sentences

from mugkit.config import RunSpec
from mugkit.data import reviews
from mugkit.data.agreement import agreement
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.data.simulate import DISAGREEMENT, EXPRESSION
from mugkit.experiments import experiment
from mugkit.studies import dials
from mugkit.training.trainer import predict

SIZES = (400, 100, 400)


SENTENCES = made_up_sentences(900)


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    return dials.reading(SENTENCES, {"vivid": {"a": 0.75, "v": 0.5}}, sizes=SIZES)


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, float]]:
    return dials.apart(SENTENCES, sizes=SIZES)


@pytest.mark.parametrize("noise", [0.3, 1.0, 3.0])
def test_ceiling_of_two_values_is_that_of_the_hyperbolic_tangent(noise: float) -> None:
    labels = np.repeat([-1.0, 1.0], 200_000)
    shown = labels + noise * np.random.default_rng(0).standard_normal(len(labels))
    guess = np.tanh(shown / noise**2)  # E[y | shown] for equally frequent −1 and 1
    assert dials.ceiling(labels, noise) == pytest.approx(np.corrcoef(guess, labels)[0, 1], abs=0.003)


def test_ceiling_of_normal_labels_and_one_rater_are_correlations_with_what_is_shown() -> None:
    quantiles = np.sort(np.random.default_rng(1).normal(0, 0.3, 4000))
    spread = quantiles.std()
    assert dials.ceiling(quantiles, 0.4) == pytest.approx(spread / np.hypot(spread, 0.4), abs=0.01)
    rng = np.random.default_rng(2)
    scores = rng.normal(0, 1.5, (4000, 1)) + rng.normal(0, 1, (4000, 200))  # sentences × raters
    table = pd.DataFrame({"rating": scores.mean(axis=1), "spread": scores.std(axis=1)})
    expected = np.corrcoef(scores[:, 0], scores[:, 1:].mean(axis=1))[0, 1]
    assert dials.one_rater(table) == pytest.approx(expected, abs=0.01)


def test_readings_fall_as_the_noise_grows_and_stay_below_what_can_be_read(records: list[dict[str, Any]]) -> None:
    assert [(row["expression"], row["modality"]) for row in records] == [(e, m) for e in EXPRESSION for m in "av"]
    for m in "av":
        own = [row for row in records if row["modality"] == m]
        assert [row["noise"] for row in own] == [EXPRESSION[row["expression"]][m] for row in own]
        for key in ("ceiling", "probe", "with y"):
            values = [row[key] for row in own]
            assert values[0] > values[2] + 0.1 > values[4] + 0.1
        assert all(row["with y"] < row["probe"] < row["ceiling"] for row in own[:3])  # chance blurs the faint ones


def test_labels_lie_apart_as_those_of_the_assembled_data(found: dict[str, dict[str, float]]) -> None:
    assert list(found) == ["strong", "sims", dials.SIMS, dials.CREMA_D]
    for setting in DISAGREEMENT:
        data = reviews.assemble(SENTENCES, 2024, reviews.Dials(disagreement=setting), SIZES)
        expected = agreement(pd.concat([split.frame() for split in data.splits.values()]), scale=3.0)
        assert found[setting] == pytest.approx({"clips": 900, **expected.to_dict()}, abs=1e-4)


def test_figure_holds_the_numbers(records: list[dict[str, Any]], found: dict[str, dict[str, float]]) -> None:
    left, right = dials.figure(records, found).axes
    assert list(left.lines[4].get_ydata()) == [record["probe"] for record in records if record["modality"] == "v"]
    assert [len(dots.get_offsets()) for dots in right.collections] == [3, 4, 4]  # nobody judged the words of CREMA-D


def test_network_s_predictions_are_those_of_the_trained_network_clip_by_clip(
    prepared: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network is caught as its weights are loaded, and asked one clip at a time."""
    prepared((24, 8, 8))
    work = experiment.work(RunSpec("mug-true-labels", "made-up", 1111, "smoke"))
    caught: list[Any] = []
    original = dials.load_model
    monkeypatch.setattr(dials, "load_model", lambda network, path: caught.append(network) or original(network, path))
    found = dials.unimodal_predictions(work)
    (network,), clips = caught, ClipLoader(work.dataset.test, work.hp.network)
    for batch in clips.by_length(1):
        alone = network.predict_unimodal(network.represent(batch).unimodal)
        for m in MODALITIES:
            assert found[m][batch.index] == pytest.approx(alone[m].detach().numpy(), abs=1e-5)
    for m, r in dials._against_truth(work).items():
        assert r == pytest.approx(np.corrcoef(found[m], work.dataset.test.true_labels[m])[0, 1], abs=1e-3)
    errors = np.abs(predict(network, clips) - work.dataset.test.labels)
    assert experiment.run(work.spec).metrics["MAE"] == pytest.approx(errors.mean(), abs=1e-4)  # the run's weights
