"""Clips of different lengths in one array, against loops over the clips."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mugkit.data.batch import Padded
from mugkit.models.tokens import Bidirectional, aligned, last_step


def clips(lengths: tuple[int, ...], dim: int = 2) -> list[Tensor]:
    draw = torch.Generator().manual_seed(0)
    return [torch.randn(length, dim, generator=draw, dtype=torch.float64) for length in lengths]


def mask_of(lengths: tuple[int, ...]) -> Tensor:
    return (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()


def test_last_step_is_each_clips_own() -> None:
    states = torch.arange(12.0).view(2, 3, 2)
    assert last_step(states, torch.tensor([[1, 1, 0], [1, 1, 1]])).tolist() == [[2, 3], [10, 11]]


@pytest.mark.parametrize(("frames", "tokens"), [((6, 9, 4), (3, 4, 2)), ((2, 5, 1), (5, 5, 3)), ((7, 3), (7, 3))])
def test_aligned_is_the_mean_of_each_tokens_share_of_frames(frames: tuple[int, ...], tokens: tuple[int, ...]) -> None:
    given, mask = clips(frames), mask_of(tokens)
    found = aligned(Padded.of(given), mask)
    for clip, values, count in zip(given, found, tokens, strict=True):
        for token in range(count):
            start = min(token * len(clip) // count, len(clip) - 1)
            end = max((token + 1) * len(clip) // count, start + 1)
            torch.testing.assert_close(values[token], clip[start:end].mean(0))
        assert not values[count:].any()


def test_aligned_does_not_see_what_stands_behind_a_clip() -> None:
    given, mask = Padded.of(clips((6, 3))), mask_of((3, 2))
    dirty = Padded(given.values.masked_fill(given.mask[..., None] == 0, 1e6), given.mask)
    torch.testing.assert_close(aligned(dirty, mask), aligned(given, mask))


def torch_own(made: Bidirectional, cell: type[nn.LSTM] | type[nn.GRU], d_in: int, width: int) -> nn.RNNBase:
    """PyTorch's bidirectional network with the same weights."""
    own = cell(d_in, width, batch_first=True, bidirectional=True)
    weights = dict(made.onward.named_parameters())
    weights |= {f"{name}_reverse": p for name, p in made.returning.named_parameters()}
    own.load_state_dict(weights)
    return own


@pytest.mark.parametrize("cell", [nn.LSTM, nn.GRU])
def test_bidirectional_equals_pytorchs_over_packed_clips(cell: type[nn.LSTM] | type[nn.GRU]) -> None:
    torch.manual_seed(0)
    made, lengths = Bidirectional(4, 3, cell), (3, 1, 5, 2)
    mask, batch = mask_of(lengths), Padded.of([clip.float() for clip in clips(lengths, 4)]).values
    packed = pack_padded_sequence(batch, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    expected, last = torch_own(made, cell, 4, 3)(packed)
    states, end = made(batch, mask)
    padded, _ = pad_packed_sequence(expected, batch_first=True)
    torch.testing.assert_close(states * mask[..., None], padded)
    hidden = last[0] if cell is nn.LSTM else last
    torch.testing.assert_close(end, torch.cat([hidden[0], hidden[1]], dim=-1))
