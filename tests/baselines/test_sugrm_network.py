"""SUGRM's network: recalibration and windows against loops, attention by its windows alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from batches import SHAPES, frames, token_batch

from mugkit.baselines.sugrm import MOSEI, PUBLISHED, SUGRM, Block, Recalibration, sizes, window
from mugkit.data.batch import Batch, Padded
from mugkit.data.schema import MODALITIES

SMALL = replace(PUBLISHED, d=8, heads=2, layers=2, stride=2, windows=(4, 3, 3))
DIMS = {"l": SHAPES.text, "a": SHAPES.acoustic, "v": SHAPES.visual}


@pytest.fixture
def network() -> SUGRM:
    torch.manual_seed(0)
    return SUGRM({"a": SHAPES.acoustic, "v": SHAPES.visual}, SHAPES.text, config=SMALL).eval()


def inputs(batch: Batch) -> dict[str, Padded]:
    return {"l": batch.text, **batch.frames}  # type: ignore[dict-item]


def test_recalibration_equals_loops() -> None:
    torch.manual_seed(0)
    layer, x = Recalibration(DIMS, 4), inputs(token_batch(padding=9.0))
    made = layer(x)
    weight, bias = (p.detach().numpy() for p in (layer.squeeze[0].weight, layer.squeeze[0].bias))
    assert weight.shape == (15 // 4, 15)
    for clip in range(3):
        own = {m: x[m].values[clip, : int(x[m].lengths[clip])].numpy() for m in MODALITIES}
        z = np.maximum(weight @ np.concatenate([own[m].mean(0) for m in MODALITIES]) + bias, 0)
        for m in MODALITIES:
            excite = layer.excite[m]
            gate = 2 / (1 + np.exp(-(excite.weight.detach().numpy() @ z + excite.bias.detach().numpy())))
            np.testing.assert_allclose(
                made[m].values[clip, : len(own[m])].detach(), own[m] * gate, rtol=1e-5, atol=1e-6
            )


@pytest.mark.parametrize("shift", [0, 2])
def test_windows_equal_loops(shift: int) -> None:
    lengths, states, stride, width = (7, 3), 4, 2, 5
    counts = np.zeros((2, states, 7))
    for clip, length in enumerate(lengths):
        for state in range(states):
            for offset in range(width):
                counts[clip, state, ((state + 1) * stride - width + offset + shift) % length] += 1
    made = window(states, torch.tensor(lengths), 7, stride, width, shift)
    np.testing.assert_allclose(made[:, 0].exp(), counts, rtol=1e-6)


@pytest.mark.parametrize("exchanged", [False, True])
def test_attention_equals_loops_over_windows(exchanged: bool) -> None:
    """Against softmax over the elements that a window meets, an element met twice being there twice."""
    torch.manual_seed(0)
    block, width = Block(SMALL, SMALL.d).eval(), 5
    x, source = torch.randn(1, 2, SMALL.d), torch.randn(1, 3, SMALL.d)
    query, key = (block.key, block.query) if exchanged else (block.query, block.key)
    seen = window(2, torch.tensor([3]), 3, 1, width)
    made = block(x, block.keys(source, exchanged), seen, exchanged)
    q, normed = query(block.norm(x))[0], block.norm_source(source)[0]
    k, v = key(normed), block.value(normed)
    read = torch.zeros(2, SMALL.d)
    for state in range(2):
        met = [(state + 1 - width + offset) % 3 for offset in range(width)]
        for head in (slice(0, 4), slice(4, 8)):
            weights = torch.tensor([(q[state, head] @ k[i, head]).item() / 2 for i in met]).softmax(0)
            read[state, head] = sum(w * v[i, head] for w, i in zip(weights, met, strict=True))
    attended = x[0] + block.output(read)
    torch.testing.assert_close(made[0], attended + block.inner(block.norm_inner(attended)), rtol=1e-4, atol=1e-5)


def test_features_have_one_width_and_predictions_come_from_them(network: SUGRM) -> None:
    reps = network.represent(token_batch())
    features = network.features(reps)
    assert {m: f.shape for m, f in features.items()} == dict.fromkeys("mlav", (3, SMALL.d))
    for m, predicted in {**network.predict_unimodal(reps.unimodal), "m": network.predict(reps)}.items():
        layer = network.predictors[m]
        torch.testing.assert_close(predicted, (features[m] @ layer.weight.T + layer.bias)[:, 0])


def test_every_modality_sees_every_other(network: SUGRM) -> None:
    batch = token_batch()
    before = network.features(network.represent(batch))
    for m in "av":
        other = {**batch.frames, m: frames(tuple(batch.frames[m].lengths.tolist()), DIMS[m], seed=9)}
        after = network.features(network.represent(replace(batch, frames=other)))
        assert all(not torch.allclose(after[k], before[k]) for k in before)


def test_sizes_are_published_for_mosei_and_lighter_in_small_profiles() -> None:
    assert (sizes("mosei", False), sizes("reviews", False)) == (MOSEI, PUBLISHED)
    light = sizes("mosi", True)
    assert (light.layers, light.dropout, light.d) == (1, 0.0, PUBLISHED.d)
