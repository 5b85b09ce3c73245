"""The subnetworks in front of TFN's and LMF's fusion: an LSTM over words, three layers over the mean frame."""

from __future__ import annotations

from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from mugkit.nets.memory import last_step
from mugkit.nets.tokens import masked_mean, padded


class TextSubnet(nn.Module):
    """The LSTM's state after a clip's last token, then one linear layer.

    Args:
        width: dims of a token's state.
        hidden: dims of the LSTM.
        d_out: dims of the representation.
        dropout: on the LSTM's last state.
    """

    def __init__(self, width: int, hidden: int, d_out: int, dropout: float) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, hidden, batch_first=True)
        self.linear = nn.Sequential(nn.Dropout(dropout), nn.Linear(hidden, d_out))

    def forward(
        self, states: Float[Tensor, "batch tokens width"], mask: Int64[Tensor, "batch tokens"]
    ) -> Float[Tensor, "batch d_out"]:
        return self.linear(last_step(self.lstm(states)[0], mask))


class FrameSubnet(nn.Module):
    """A clip's mean frame through three layers of rectified linear units.

    Args:
        d_in: dims of a frame.
        d_out: dims of each layer.
        dropout: on the mean frame.
    """

    def __init__(self, d_in: int, d_out: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(d_in, d_out), nn.ReLU(),
            nn.Linear(d_out, d_out), nn.ReLU(),
            nn.Linear(d_out, d_out), nn.ReLU(),
        )  # fmt: skip

    def forward(self, frames: PackedSequence) -> Float[Tensor, "batch d_out"]:
        return self.layers(masked_mean(*padded(frames)))
