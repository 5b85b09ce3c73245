"""What token-level baselines share: token states, padded frames, and frames averaged to one a token."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from mugkit.data.batching import TokenStates
from mugkit.nets.text import Tokens


class TokenLanguage(nn.Module):
    """The text encoder's states, token by token.

    Args:
        encoder: trained along when given; without it the input is a frozen encoder's states.
    """

    def __init__(self, encoder: nn.Module | None = None) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(
        self, text: Tokens | TokenStates
    ) -> tuple[Float[Tensor, "batch tokens hidden"], Int64[Tensor, "batch tokens"]]:
        """States and the mask that is 1 on tokens."""
        if isinstance(text, TokenStates):
            return text.states, text.mask
        states = self.encoder(input_ids=text.ids, attention_mask=text.mask).last_hidden_state  # type: ignore[misc]
        return states, text.mask


def padded(frames: PackedSequence) -> tuple[Float[Tensor, "batch frames dim"], Int64[Tensor, "batch frames"]]:
    """Frames filled up with zeros to the longest clip's number, and the mask that is 1 on frames."""
    values, lengths = pad_packed_sequence(frames, batch_first=True)
    mask = (torch.arange(values.shape[1])[None] < lengths[:, None]).long()
    return values, mask.to(values.device)


def aligned(frames: PackedSequence, mask: Int64[Tensor, "batch tokens"]) -> Float[Tensor, "batch tokens dim"]:
    """Frames averaged to one a token; zero where there is no token.

    Without word times, token k of n stands for the k-th n-th of the clip; a clip with fewer frames than tokens repeats
    them. Models made for word-aligned data (MFN, Graph-MFN, MFM) read unaligned data this way.
    """
    values, present = padded(frames)
    lengths, tokens = present.sum(1, keepdim=True), mask.sum(1, keepdim=True)
    position = torch.arange(mask.shape[1], device=mask.device)[None]
    start = torch.minimum(position * lengths // tokens, lengths - 1)
    end = torch.maximum((position + 1) * lengths // tokens, start + 1).clamp(max=lengths)
    sums = torch.cat([values.new_zeros(len(values), 1, values.shape[2]), values.cumsum(1)], dim=1)
    spread = (len(values), mask.shape[1], values.shape[2])
    total = sums.gather(1, end[..., None].expand(spread)) - sums.gather(1, start[..., None].expand(spread))
    return total / (end - start)[..., None] * mask[..., None]


def masked_mean(
    states: Float[Tensor, "batch length dim"], mask: Int64[Tensor, "batch length"]
) -> Float[Tensor, "batch dim"]:
    """Mean over the positions where the mask is 1."""
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1)
