"""MFM: one factor predicts sentiment, and with it one further factor per modality generates the modality.

Y.-H. H. Tsai, P. P. Liang, A. Zadeh, L.-P. Morency, R. Salakhutdinov: Learning Factorized Multimodal Representations,
ICLR 2019.

    z_y = a memory fusion network over all modalities, z_m = an LSTM over modality m        latent codes
    f_y, f_m = two layers each over z_y, z_m                                                factors
    ŷ from f_y alone;  x̂_m = an LSTM decoder from [f_y; f_m]                                what factors generate
    L = |y − ŷ| + Σ_m λ_m ‖x_m − x̂_m‖² + λ Σ_k MMD(z_k, N(0, I))                            k = y, l, a, v

The last term is the Wasserstein autoencoder's: it keeps the codes close to their prior, by the maximum mean discrepancy
between a batch of codes and as many samples of the prior. Prediction needs z_y only.

Departures:
- Frames are standardised and ‖x_m − x̂_m‖² excludes padding; the published λ_m weight frames on other scales (raw
  acoustic frames), padding included.
- Token states are generated, too; as targets they pass no gradient to a trained text encoder.
- The memory's gates read only the attended memories, as in MFN's paper; in the published code they also read u^{t−1}.
- The published decoder reads its own last state as its next input, which equals an LSTM with one recurrent matrix. Here
  it is such an LSTM, with the factors as the first input and zeros after.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from mugkit.baselines.base import Shapes, WordAligned
from mugkit.data.batch import Batch
from mugkit.data.schema import MODALITIES
from mugkit.models.losses import l1
from mugkit.models.memory import MemoryFusion, MemorySizes, two_layers
from mugkit.models.tokens import last_step

_PUBLISHED = MemorySizes((88, 64, 48), 64, (128, 0.5), (128, 0.5), (128, 0.5), (128, 0.5))


@dataclass(frozen=True)
class MFMConfig:
    """The sizes and weights published for MOSI. Of four numbers, the first is for y, the others for l, a, v."""

    encoder: MemorySizes = _PUBLISHED
    codes: tuple[int, int, int, int] = (32, 32, 8, 80)  # dims of z
    factors: tuple[int, int, int, int] = (16, 88, 8, 8)  # dims of f
    dropout: tuple[float, float, float, float] = (0.0, 0.2, 0.2, 0.7)  # between the two layers from z to f
    reconstruction: tuple[float, float, float] = (1.0, 0.01, 0.5)  # λ of l, a, v
    mmd: float = 1.0  # λ


def gaussian_kernel(x: Float[Tensor, "m d"], y: Float[Tensor, "n d"]) -> Float[Tensor, "m n"]:
    """k(x, y) = exp(−‖x − y‖² / d²), as in the published code."""
    distances = x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T
    return (-distances.clamp(min=0) / x.shape[1] ** 2).exp()


def mmd(x: Float[Tensor, "m d"], y: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
    """Squared maximum mean discrepancy of two samples: mean k(x, x′) + mean k(y, y′) − 2 mean k(x, y)."""
    return gaussian_kernel(x, x).mean() + gaussian_kernel(y, y).mean() - 2 * gaussian_kernel(x, y).mean()


class SequenceEncoder(nn.Module):
    """z_m: a linear layer over the LSTM's state after the last step."""

    def __init__(self, d_in: int, d: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(d_in, d, batch_first=True)
        self.linear = nn.Linear(d, d)

    def forward(
        self, x: Float[Tensor, "batch time d_in"], mask: Int64[Tensor, "batch time"]
    ) -> Float[Tensor, "batch d"]:
        return self.linear(last_step(self.lstm(x)[0], mask))


class SequenceDecoder(nn.Module):
    """x̂_m: an LSTM reads the factors at the first step; a linear layer maps its state at every step."""

    def __init__(self, d: int, d_out: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(d, d, batch_first=True)
        self.linear = nn.Linear(d, d_out)

    def forward(
        self, factors: Float[Tensor, "batch d"], mask: Int64[Tensor, "batch time"]
    ) -> Float[Tensor, "steps d_out"]:
        """The steps of all clips, one after the other, without padding."""
        silence = factors.new_zeros(len(factors), mask.shape[1] - 1, factors.shape[1])
        states, _ = self.lstm(torch.cat([factors[:, None], silence], dim=1))
        return self.linear(states[mask.bool()])


class MFM(WordAligned):
    """ŷ from the discriminative factor; the loss adds generation and the prior."""

    Config = MFMConfig
    light = MFMConfig(
        encoder=MemorySizes((16, 8, 8), 16, (32, 0.0), (16, 0.0), (16, 0.0), (16, 0.0)),
        codes=(16, 8, 8, 8),
        factors=(8, 8, 4, 4),
    )

    def __init__(self, shapes: Shapes, encoder: nn.Module | None, config: MFMConfig) -> None:
        super().__init__(shapes, encoder, config)
        self.fusion = MemoryFusion(self.dims, config.encoder)
        self.code = nn.Linear(self.fusion.d_out, config.codes[0])
        sizes = zip(("y", *MODALITIES), config.codes, config.factors, config.dropout, strict=True)
        self.factor = nn.ModuleDict({k: nn.Sequential(two_layers(z, f, f, p), nn.ReLU()) for k, z, f, p in sizes})
        self.encoders, self.decoders = nn.ModuleDict(), nn.ModuleDict()
        f_y = config.factors[0]
        for m, d, z, f in zip(MODALITIES, self.dims, config.codes[1:], config.factors[1:], strict=True):
            self.encoders[m], self.decoders[m] = SequenceEncoder(d, z), SequenceDecoder(f_y + f, d)
        self.output = two_layers(f_y, f_y, 1)

    def discriminative_code(
        self, x: Mapping[str, Float[Tensor, "batch time d"]], mask: Int64[Tensor, "batch time"]
    ) -> Float[Tensor, "batch z_y"]:
        return self.code(self.fusion([x[m] for m in MODALITIES], mask))

    def predicted(self, f_y: Float[Tensor, "batch f_y"]) -> Float[Tensor, "batch"]:
        return self.output(f_y).squeeze(-1)

    def forward(self, batch: Batch) -> Float[Tensor, "batch"]:
        return self.predicted(self.factor["y"](self.discriminative_code(*self.views(batch))))

    def loss(self, batch: Batch, epoch: int) -> Float[Tensor, ""]:
        x, mask = self.views(batch)
        z = {"y": self.discriminative_code(x, mask)} | {m: self.encoders[m](x[m], mask) for m in MODALITIES}
        f = {k: self.factor[k](code) for k, code in z.items()}
        total = l1(self.predicted(f["y"]), batch.labels)
        for m, weight in zip(MODALITIES, self.config.reconstruction, strict=True):
            generated = self.decoders[m](torch.cat([f["y"], f[m]], dim=-1), mask)
            total = total + weight * F.mse_loss(generated, x[m][mask.bool()].detach())
        prior = sum(mmd(code, torch.randn_like(code)) for code in z.values())
        return total + self.config.mmd * prior
