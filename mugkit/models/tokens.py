"""Layers and functions for padded clips: token states, frames per token, last steps, positions, both directions."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from mugkit.data.batch import Padded, Tokens
from mugkit.models.precision import as_weights, computing


class TokenLanguage(nn.Module):
    """The text encoder's states, token by token; without an encoder, the input is a frozen encoder's states."""

    def __init__(self, encoder: nn.Module | None = None) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(
        self, text: Tokens | Padded
    ) -> tuple[Float[Tensor, "batch tokens hidden"], Int64[Tensor, "batch tokens"]]:
        """States and the mask that is 1 on tokens."""
        if isinstance(text, Padded):
            return text.values, text.mask
        assert self.encoder is not None
        with computing(self.encoder):
            states = self.encoder(input_ids=text.ids, attention_mask=text.mask).last_hidden_state
        return as_weights(states, self.encoder), text.mask


def aligned(frames: Padded, mask: Int64[Tensor, "batch tokens"]) -> Float[Tensor, "batch tokens dim"]:
    """Frames averaged to one per token; zero at padding.

    Without word times, token k of n gets the k-th of n equal parts of the clip; a clip with fewer frames than tokens
    repeats frames. Models for word-aligned data (MFN, Graph-MFN, MFM) read unaligned data this way.
    """
    values, lengths, tokens = frames.values, frames.mask.sum(1, keepdim=True), mask.sum(1, keepdim=True)
    position = torch.arange(mask.shape[1], device=mask.device)[None]
    start = torch.minimum(position * lengths // tokens, lengths - 1)
    end = torch.maximum((position + 1) * lengths // tokens, start + 1).clamp(max=lengths)
    frame = torch.arange(values.shape[1], device=mask.device)
    counted = (frame >= start[..., None]) & (frame < end[..., None]) & (mask[..., None] == 1)
    return (counted.to(values.dtype) / (end - start)[..., None]) @ values


def last_step(states: Float[Tensor, "batch time dim"], mask: Int64[Tensor, "batch time"]) -> Float[Tensor, "batch dim"]:
    """Each clip's state at its own last step."""
    index = (mask.sum(1) - 1)[:, None, None].expand(-1, 1, states.shape[2])
    return states.gather(1, index)[:, 0]


def pool(
    states: Float[Tensor, "batch tokens hidden"], mask: Int64[Tensor, "batch tokens"], how: str
) -> Float[Tensor, "batch hidden"]:
    """x̂_l of Eq. 1: the first token's state, or the mean over the tokens."""
    if how == "first":
        return states[:, 0]
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1)


def sinusoids(length: int, d: int) -> Float[Tensor, "length d"]:
    """Encodings of positions: at position i, dims 2j and 2j + 1 are sin and cos of i / 10000^(2j/d)."""
    rates = 10_000.0 ** (-torch.arange(0, d, 2) / d)
    angles = torch.arange(length)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :d]


def turned(
    x: Float[Tensor, "batch length dim"], mask: Int64[Tensor, "batch length"]
) -> Float[Tensor, "batch length dim"]:
    """Every clip's elements in reverse order; padding stays where it is."""
    lengths, position = mask.sum(1, keepdim=True), torch.arange(x.shape[1], device=x.device)[None]
    source = torch.where(position < lengths, lengths - 1 - position, position)
    return x[torch.arange(len(x), device=x.device)[:, None], source]


class Bidirectional(nn.Module):
    """One layer of a bidirectional LSTM or GRU that ignores padding.

    Both directions run over the padded array, the second over clips reversed within their own length. PyTorch's
    bidirectional layers need packed clips for that; on a CPU an LSTM takes two to three times as long over those.
    """

    def __init__(self, d_in: int, width: int, cell: type[nn.LSTM] | type[nn.GRU] = nn.LSTM) -> None:
        super().__init__()
        self.onward, self.returning = (cell(d_in, width, batch_first=True) for _ in range(2))

    def forward(
        self, x: Float[Tensor, "batch length d_in"], mask: Int64[Tensor, "batch length"]
    ) -> tuple[Float[Tensor, "batch length two_widths"], Float[Tensor, "batch two_widths"]]:
        """The states of both directions at every element, and those after each direction's last element.

        States where the mask is 0 are meaningless.
        """
        onward, backward = self.onward(x)[0], self.returning(turned(x, mask))[0]
        last = last_step(torch.cat([onward, backward], dim=-1), mask)
        return torch.cat([onward, turned(backward, mask)], dim=-1), last
