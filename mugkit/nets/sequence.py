"""The acoustic and the visual network (Eq. 2): an LSTM over each clip's own frames, neither cut nor aligned."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from mugkit.data.batching import Padded
from mugkit.nets.tokens import last_step


class SequenceNetwork(nn.Module):
    """x_m = LSTM(U_m; θ_m): the state after each clip's own last frame.

    The LSTM runs over the padded array, several times as fast on a CPU as over packed frames. What it makes of the
    padding comes after the clip's last frame and is not read.

    Args:
        d_in: d′_m, dims of a frame.
        d_out: d_m, dims of x_m.
    """

    def __init__(self, d_in: int, d_out: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(d_in, d_out, batch_first=True)

    def forward(self, frames: Padded) -> Float[Tensor, "batch d_m"]:
        return last_step(self.lstm(frames.values)[0], frames.mask)  # Eq. 2
