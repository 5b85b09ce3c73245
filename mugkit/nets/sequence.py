"""The acoustic and the visual network (Eq. 2): an LSTM over packed frames, so no clip is padded or aligned."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence


class SequenceNetwork(nn.Module):
    """x_m = LSTM(U_m; θ_m): the state after each clip's own last frame.

    Args:
        d_in: d′_m, dims of a frame.
        d_out: d_m, dims of x_m.
    """

    def __init__(self, d_in: int, d_out: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(d_in, d_out)

    def forward(self, frames: PackedSequence) -> Float[Tensor, "batch d_m"]:
        _, (state, _) = self.lstm(frames)  # Eq. 2; state: (1, batch, d_m)
        return state[0]
