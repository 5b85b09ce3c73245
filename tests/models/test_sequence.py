"""The LSTM over frames: its cell by hand, and that a clip never feels its neighbours in the batch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mugkit.data.batch import Padded
from mugkit.models.mug import SequenceNetwork

LENGTHS = (4, 1, 7, 2, 7)


def clips(dim: int = 3, seed: int = 0) -> list[Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(length, dim, generator=draw, dtype=torch.float64) for length in LENGTHS]


def network(dim: int = 3, out: int = 4) -> SequenceNetwork:
    torch.manual_seed(0)
    return SequenceNetwork(dim, out).double()


def represent(net: SequenceNetwork, frames: list[Tensor]) -> Tensor:
    return net(Padded.of(frames))


def lstm_in_numpy(frames: np.ndarray, net: SequenceNetwork) -> np.ndarray:
    """The textbook cell (input, forget, cell and output gates), frame after frame; the last hidden state."""
    w, u, b, c = (p.detach().numpy() for p in net.lstm.parameters())

    def sigmoid(z: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-z))

    hidden = cell = np.zeros(u.shape[1])
    for frame in frames:
        i, f, g, o = np.split(w @ frame + b + u @ hidden + c, 4)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        hidden = sigmoid(o) * np.tanh(cell)
    return hidden


def test_sequence_network_equals_numpy_lstm() -> None:
    net, frames = network(), clips()
    expected = np.stack([lstm_in_numpy(clip.numpy(), net) for clip in frames])
    np.testing.assert_allclose(represent(net, frames).detach(), expected, atol=1e-12)


def test_sequence_network_batch_equals_each_clip_alone() -> None:
    net, frames = network(), clips()
    alone = torch.cat([represent(net, [clip]) for clip in frames])
    torch.testing.assert_close(represent(net, frames), alone, rtol=0, atol=1e-12)


def test_sequence_network_never_reads_what_stands_behind_a_clip() -> None:
    net, frames = network(), Padded.of(clips())
    dirty = Padded(frames.values.masked_fill(frames.mask[..., None] == 0, 1e3), frames.mask)
    torch.testing.assert_close(net(dirty), net(frames), rtol=0, atol=0)
