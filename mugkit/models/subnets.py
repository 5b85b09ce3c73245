"""The subnetworks before the fusion of TFN and LMF: an LSTM over words, three layers over the mean frame."""

from collections.abc import Mapping

from jaxtyping import Float, Int64
from torch import Tensor, nn

from mugkit.data.batch import Padded
from mugkit.models.tokens import last_step, pool


class TextSubnet(nn.Module):
    """The LSTM's state after a clip's last token, with dropout, then one linear layer."""

    def __init__(self, width: int, hidden: int, d_out: int, dropout: float) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, hidden, batch_first=True)
        self.linear = nn.Sequential(nn.Dropout(dropout), nn.Linear(hidden, d_out))

    def forward(
        self, states: Float[Tensor, "batch tokens width"], mask: Int64[Tensor, "batch tokens"]
    ) -> Float[Tensor, "batch d_out"]:
        return self.linear(last_step(self.lstm(states)[0], mask))


class FrameSubnet(nn.Module):
    """Dropout on a clip's mean frame, then three layers of rectified linear units."""

    def __init__(self, d_in: int, d_out: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(d_in, d_out), nn.ReLU(),
            nn.Linear(d_out, d_out), nn.ReLU(),
            nn.Linear(d_out, d_out), nn.ReLU(),
        )  # fmt: skip

    def forward(self, frames: Padded) -> Float[Tensor, "batch d_out"]:
        return self.layers(pool(frames.values, frames.mask, "mean"))


class Subnets(nn.Module):
    """The three subnetworks, which compute z_l, z_a and z_v with `d_out` dims from inputs with `dims`."""

    def __init__(self, dims: tuple[int, int, int], lstm: int, d_out: tuple[int, int, int], dropout: float) -> None:
        super().__init__()
        self.text = TextSubnet(dims[0], lstm, d_out[0], dropout)
        self.acoustic = FrameSubnet(dims[1], d_out[1], dropout)
        self.visual = FrameSubnet(dims[2], d_out[2], dropout)

    def forward(
        self,
        states: Float[Tensor, "batch tokens width"],
        mask: Int64[Tensor, "batch tokens"],
        frames: Mapping[str, Padded],
    ) -> tuple[Float[Tensor, "batch d_l"], Float[Tensor, "batch d_a"], Float[Tensor, "batch d_v"]]:
        return self.text(states, mask), self.acoustic(frames["a"]), self.visual(frames["v"])
