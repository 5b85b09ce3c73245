"""Self-MM's network: the heads by hand, and where it has dropout."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from small import small

from mugkit.baselines.self_mm import SelfMM, build
from mugkit.data.batch import Batch
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import MODALITIES, Dataset

HP = small(max_epochs=2)


pytestmark = pytest.mark.usefixtures("cheap_text")


@pytest.fixture(scope="module")
def dataset(made_up: Callable[..., Dataset]) -> Dataset:
    return made_up((24, 8, 8))


@pytest.fixture
def parts(dataset: Dataset) -> tuple[SelfMM, Batch]:
    clips = ClipLoader(dataset.train, HP.network)
    torch.manual_seed(0)
    return build(HP.network, dataset.dims, clips.text_width).eval(), clips.batch(
        torch.tensor([5, 1, 8, 20, 3])
    )  # an odd number: signs of L1 cannot cancel


def linear(x: np.ndarray, layer: torch.nn.Module) -> np.ndarray:
    return x @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()


def test_heads_equal_numpy(parts: tuple[SelfMM, Batch]) -> None:
    network, batch = parts
    reps = network.represent(batch)
    x = {"l": batch.text.numpy()}
    for m in "av":
        branch = network.sequences[m]
        x[m] = linear(branch.sequence(batch.frames[m]).detach().numpy(), branch.linear)
    x["m"] = np.concatenate([x[m] for m in "lav"], axis=1)
    features = {m: np.maximum(linear(x[m], network.first[m][1]), 0) for m in "lavm"}
    predicted = {m: linear(np.maximum(linear(features[m], network.rest[m][0]), 0), network.rest[m][2]) for m in "lavm"}
    for m in MODALITIES:
        np.testing.assert_allclose(reps.unimodal[m].detach(), features[m], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(
            network.predict_unimodal(reps.unimodal)[m].detach(), predicted[m][:, 0], rtol=1e-4, atol=1e-6
        )
    np.testing.assert_allclose(network(batch).detach(), predicted["m"][:, 0], rtol=1e-4, atol=1e-6)
