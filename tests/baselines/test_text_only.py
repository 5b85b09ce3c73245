"""Text alone: its layers by hand, and that frames are not looked at."""

from __future__ import annotations

import dataclasses

import torch
from batches import SHAPES, token_batch

from mugkit.baselines.text_only import TextOnly, TextOnlyConfig
from mugkit.data.batch import Batch, Padded


def clips() -> Batch:
    generator = torch.Generator().manual_seed(0)
    return dataclasses.replace(token_batch(), text=torch.randn(3, SHAPES.text, generator=generator))


def made() -> TextOnly:
    torch.manual_seed(0)
    return TextOnly(SHAPES, None, TextOnlyConfig(d_l=4)).eval()


def test_text_only_is_one_layer_and_a_predictor() -> None:
    network, batch = made(), clips()
    x_l = torch.tanh(batch.text @ network.language.down.weight.T + network.language.down.bias)
    _, first, _, last = network.predictor.layers
    hidden = (x_l @ first.weight.T + first.bias).clamp(min=0)
    torch.testing.assert_close(network(batch), (hidden @ last.weight.T + last.bias)[:, 0])
    assert first.weight.shape == (2, 4)


def test_text_only_does_not_look_at_frames() -> None:
    network, batch = made(), clips()
    other = {m: Padded(torch.full_like(frames.values, 1e3), frames.mask) for m, frames in batch.frames.items()}
    assert torch.equal(network(batch), network(dataclasses.replace(batch, frames=other)))
    assert torch.equal(network(batch), network(dataclasses.replace(batch, frames={})))
