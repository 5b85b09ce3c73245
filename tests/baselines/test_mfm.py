"""MFM: the discrepancy, the decoder, and what each term of the loss trains."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from batches import SHAPES, token_batch
from torch import nn

from mugkit.baselines.mfm import MFM, MFMConfig, SequenceDecoder, mmd
from mugkit.models.memory import MemorySizes

SMALL = MFMConfig(
    MemorySizes((3, 2, 2), 4, (5, 0.0), (5, 0.0), (5, 0.0), (5, 0.0)),
    codes=(3, 3, 2, 2), factors=(3, 2, 2, 2), dropout=(0.0, 0.0, 0.0, 0.0),
)  # fmt: skip


def network(config: MFMConfig = SMALL) -> MFM:
    torch.manual_seed(0)
    return MFM(SHAPES, None, config)


def test_mmd_equals_a_loop_over_pairs() -> None:
    x, y = torch.randn(4, 3, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)

    def mean_kernel(first: np.ndarray, second: np.ndarray) -> float:
        return float(np.mean([math.exp(-((p - q) ** 2).sum() / 9) for p in first for q in second]))

    a, b = x.numpy(), y.numpy()
    expected = mean_kernel(a, a) + mean_kernel(b, b) - 2 * mean_kernel(a, b)
    assert mmd(x, y).item() == pytest.approx(expected, rel=1e-9)


def test_decoder_equals_an_lstm_that_reads_its_own_last_state() -> None:
    """The published form: input and recurrent matrix apart, the input of step t being the state of step t − 1."""
    torch.manual_seed(0)
    decoder, factors = SequenceDecoder(3, 5).double(), torch.randn(2, 3, dtype=torch.float64)
    cell = nn.LSTMCell(3, 3).double()
    with torch.no_grad():
        cell.weight_ih.copy_(decoder.lstm.weight_ih_l0)
        cell.weight_hh.copy_(decoder.lstm.weight_hh_l0 - decoder.lstm.weight_ih_l0)
        cell.bias_ih.copy_(decoder.lstm.bias_ih_l0)
        cell.bias_hh.copy_(decoder.lstm.bias_hh_l0)
    h = c = torch.zeros(2, 3, dtype=torch.float64)
    read, steps = factors, []
    for _ in range(4):
        h, c = cell(read, (h, c))
        read = h
        steps.append(decoder.linear(h))
    expected = torch.cat([torch.stack(steps, dim=1)[0, :2], torch.stack(steps, dim=1)[1]])
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]])
    torch.testing.assert_close(decoder(factors, mask), expected)


def test_loss_is_its_terms_with_their_weights() -> None:
    batch, weights = token_batch(), {"l": 2.0, "a": 3.0, "v": 5.0}
    made = network(replace(SMALL, reconstruction=tuple(weights.values()), mmd=7.0))
    x, mask = made.views(batch)
    z = {"y": made.discriminative_code(x, mask)} | {m: made.encoders[m](x[m], mask) for m in weights}
    f = {k: made.factor[k](code) for k, code in z.items()}
    expected = (made(batch) - batch.labels).abs().mean().item()
    for m, weight in weights.items():
        generated = made.decoders[m](torch.cat([f["y"], f[m]], dim=1), mask)
        truth = torch.cat([x[m][clip, :length] for clip, length in enumerate((4, 2, 5))])
        expected += weight * ((generated - truth) ** 2).sum().item() / truth.numel()
    torch.manual_seed(3)
    expected += 7.0 * sum(mmd(code, torch.randn(code.shape)).item() for code in z.values())
    torch.manual_seed(3)
    assert made.loss(batch, 0).item() == pytest.approx(expected, rel=1e-5)


def test_text_gets_no_gradient_from_being_the_target() -> None:
    """With a decoder that returns a constant, the error depends on the text as a target alone."""
    made, batch = network(replace(SMALL, reconstruction=(1.0, 0.0, 0.0), mmd=0.0)), token_batch()
    for parameter in (*made.decoders["l"].parameters(), *made.output.parameters()):
        nn.init.zeros_(parameter)
    states = batch.text.values.requires_grad_()
    made.loss(batch, 0).backward()
    assert states.grad is not None
    assert not states.grad.any()
