"""Text alone: its layers by hand, and that frames are not looked at."""

import dataclasses

import torch
from batches import SHAPES, random, token_batch

from mugkit.baselines.text_only import TextOnly, TextOnlyConfig


def test_text_only_is_one_layer_and_a_predictor_and_does_not_look_at_frames() -> None:
    batch = dataclasses.replace(token_batch(), text=random(3, SHAPES.text))
    torch.manual_seed(0)
    network = TextOnly(SHAPES, None, TextOnlyConfig(d_l=4)).eval()
    x_l = torch.tanh(batch.text @ network.language.down.weight.T + network.language.down.bias)
    _, first, _, last = network.predictor.layers
    hidden = (x_l @ first.weight.T + first.bias).clamp(min=0)
    torch.testing.assert_close(network(batch), (hidden @ last.weight.T + last.bias)[:, 0])
    assert first.weight.shape == (2, 4)
    assert torch.equal(network(batch), network(dataclasses.replace(batch, frames={})))
