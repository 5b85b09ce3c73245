"""Bidirectional recurrent networks over padded clips, for which padding does not exist.

Each direction runs over the padded array, the second one over clips turned round within their own length, so neither
meets padding before a clip's end. PyTorch's own bidirectional networks need packed clips for that; an LSTM takes two
to three times as long over those on a CPU.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from mugkit.models.tokens import last_step


def turned(
    x: Float[Tensor, "batch length dim"], mask: Int64[Tensor, "batch length"]
) -> Float[Tensor, "batch length dim"]:
    """Every clip's elements in reverse order; padding stays where it is."""
    lengths, position = mask.sum(1, keepdim=True), torch.arange(x.shape[1], device=x.device)[None]
    source = torch.where(position < lengths, lengths - 1 - position, position)
    return x[torch.arange(len(x), device=x.device)[:, None], source]


class Bidirectional(nn.Module):
    """One layer of a bidirectional LSTM or GRU.

    Args:
        d_in: dims of an element.
        width: of each direction's state.
        cell: `nn.LSTM` or `nn.GRU`.
    """

    def __init__(self, d_in: int, width: int, cell: type[nn.LSTM] | type[nn.GRU] = nn.LSTM) -> None:
        super().__init__()
        self.onward, self.returning = (cell(d_in, width, batch_first=True) for _ in range(2))

    def forward(
        self, x: Float[Tensor, "batch length d_in"], mask: Int64[Tensor, "batch length"]
    ) -> tuple[Float[Tensor, "batch length two_widths"], Float[Tensor, "batch two_widths"]]:
        """The states of both directions at every element, and after each direction's last element.

        States where the mask is 0 mean nothing.
        """
        onward, backward = self.onward(x)[0], self.returning(turned(x, mask))[0]
        last = last_step(torch.cat([onward, backward], dim=-1), mask)
        return torch.cat([onward, turned(backward, mask)], dim=-1), last
