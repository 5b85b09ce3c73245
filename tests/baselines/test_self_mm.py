"""Self-MM's network: the heads by hand, and where it has dropout."""

import numpy as np
import torch
from batches import SHAPES, pooled_batch

from mugkit.baselines.self_mm import SelfMM
from mugkit.data.schema import MODALITIES


def linear(x: np.ndarray, layer: torch.nn.Module) -> np.ndarray:
    return x @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()


def test_heads_equal_numpy() -> None:
    torch.manual_seed(0)
    network, batch = SelfMM({"a": SHAPES.acoustic, "v": SHAPES.visual}, SHAPES.text).eval(), pooled_batch(5)
    reps = network.represent(batch)
    x = {"l": batch.text.numpy()}
    for m in "av":
        branch = network.sequences[m]
        x[m] = linear(branch.sequence(batch.frames[m]).detach().numpy(), branch.linear)
    x["m"] = np.concatenate([x[m] for m in "lav"], axis=1)
    features = {m: np.maximum(linear(x[m], network.first[m][1]), 0) for m in "lavm"}
    expected = {m: linear(np.maximum(linear(features[m], network.rest[m][0]), 0), network.rest[m][2]) for m in "lavm"}
    found = network.predict_unimodal(reps.unimodal)
    for m in MODALITIES:
        np.testing.assert_allclose(reps.unimodal[m].detach(), features[m], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found[m].detach(), expected[m][:, 0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(network(batch).detach(), expected["m"][:, 0], rtol=1e-4, atol=1e-6)


def test_dropout_stands_before_text_and_sound_alone() -> None:
    torch.manual_seed(0)
    network, batch = SelfMM({"a": SHAPES.acoustic, "v": SHAPES.visual}, SHAPES.text), pooled_batch(5)
    network.train()
    torch.manual_seed(0)
    reps, again = network.represent(batch), network.represent(batch)
    differs = {m for m in MODALITIES if not torch.equal(reps.unimodal[m], again.unimodal[m])}
    assert differs == {"l", "a"}
    assert torch.equal(reps.multimodal, again.multimodal)
