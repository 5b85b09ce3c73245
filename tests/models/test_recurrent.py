"""Bidirectional networks over padding: equal to PyTorch's over packed clips."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mugkit.models.recurrent import Bidirectional, turned

LENGTHS = torch.tensor([3, 1, 5, 2])
MASK = (torch.arange(5) < LENGTHS[:, None]).long()


def clips(dim: int) -> Tensor:
    return torch.randn(4, 5, dim, generator=torch.Generator().manual_seed(0)) * MASK[..., None]


def torch_own(made: Bidirectional, cell: type[nn.LSTM] | type[nn.GRU], d_in: int, width: int) -> nn.RNNBase:
    """PyTorch's bidirectional network with the same weights."""
    own = cell(d_in, width, batch_first=True, bidirectional=True)
    weights = dict(made.onward.named_parameters())
    weights |= {f"{name}_reverse": p for name, p in made.returning.named_parameters()}
    own.load_state_dict(weights)
    return own


def test_turned_reverses_each_clip_within_its_length() -> None:
    x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 0.0]])[..., None]
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
    assert turned(x, mask)[..., 0].tolist() == [[3.0, 2.0, 1.0], [5.0, 4.0, 0.0]]


@pytest.mark.parametrize("cell", [nn.LSTM, nn.GRU])
def test_bidirectional_equals_pytorchs_over_packed_clips(cell: type[nn.LSTM] | type[nn.GRU]) -> None:
    torch.manual_seed(0)
    made = Bidirectional(4, 3, cell)
    packed = pack_padded_sequence(clips(4), LENGTHS, batch_first=True, enforce_sorted=False)
    expected, last = torch_own(made, cell, 4, 3)(packed)
    states, end = made(clips(4), MASK)
    padded, _ = pad_packed_sequence(expected, batch_first=True)
    torch.testing.assert_close(states * MASK[..., None], padded)
    hidden = last[0] if cell is nn.LSTM else last
    torch.testing.assert_close(end, torch.cat([hidden[0], hidden[1]], dim=-1))
