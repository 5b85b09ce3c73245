"""LMF: TFN's fusion with a weight tensor of low rank, so that the outer product is never formed.

Z. Liu, Y. Shen, V. B. Lakshminarasimhan, P. P. Liang, A. Zadeh, L.-P. Morency: Efficient Low-rank Multimodal Fusion
with Modality-Specific Factors, ACL 2018.

TFN's first layer is h = W · (z_l ⊗ z_a ⊗ z_v) + b with a weight tensor W of order four. If W is a sum of r outer
products of factors w_m (one factor a modality and rank), then

    h = Σ_r α_r (w_l^r z_l) ∘ (w_a^r z_a) ∘ (w_v^r z_v) + b

where ∘ multiplies element by element and each z_m ends in a 1. The weights α_r are from the authors' published code;
the paper's sum is the case α_r = 1. As in that code, for regression h is a single number, ŷ itself.

Departures:
- All weights except the text encoder's share one learning rate; the code has a separate rate for the factors, and does
  not train α_r and b.
- Frames are standardised, then averaged; the code normalises the mean with a normalisation layer.
- The paper does not print the sizes for MOSI; those below lie within the ranges of the published search.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mugkit.baselines.base import ScaledBaseline, Shapes
from mugkit.data.batch import Batch
from mugkit.models.subnets import Subnets
from mugkit.models.tokens import TokenLanguage


@dataclass(frozen=True)
class LMFConfig:
    """Sizes: within the published search for MOSI."""

    lstm: int = 128  # the LSTM over words; searched in 64, 128, 256
    d_l: int = 64  # z_l: half the LSTM's
    d_a: int = 16  # searched in 4, 8, 16
    d_v: int = 16  # searched in 4, 8, 16
    rank: int = 4  # searched in 1, 4, 8, 16
    dropout: float = 0.2  # searched in 0 to 0.5


class LowRankFusion(nn.Module):
    """h = Σ_r α_r ∏_m (w_m^r [z_m; 1]) + b, with z_m of `dims` and h of `d_out` dims."""

    def __init__(self, dims: tuple[int, ...], rank: int, d_out: int) -> None:
        super().__init__()
        self.factors = nn.ParameterList(nn.Parameter(torch.empty(rank, dim + 1, d_out)) for dim in dims)
        self.weights = nn.Parameter(torch.empty(1, rank))
        self.bias = nn.Parameter(torch.zeros(d_out))
        for factor in self.factors:
            for matrix in factor.data:
                nn.init.xavier_normal_(matrix)
        nn.init.xavier_normal_(self.weights.data)

    def forward(self, *z: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch d_out"]:
        product = torch.ones_like(self.bias)
        for z_m, factor in zip(z, self.factors, strict=True):
            product = product * (F.pad(z_m, (0, 1), value=1.0) @ factor)  # (rank, batch, d_out)
        return torch.einsum("r,rbo->bo", self.weights[0], product) + self.bias


class LMF(ScaledBaseline):
    """ŷ by low-rank fusion of the three modalities."""

    level = "tokens"
    Config = LMFConfig
    light = LMFConfig(lstm=16, d_l=16)

    def __init__(self, shapes: Shapes, encoder: nn.Module | None, config: LMFConfig) -> None:
        super().__init__(shapes, encoder, config)
        self.language = TokenLanguage(encoder)
        dims, sizes = (shapes.text, shapes.acoustic, shapes.visual), (config.d_l, config.d_a, config.d_v)
        self.subnets = Subnets(dims, config.lstm, sizes, config.dropout)
        self.fusion = LowRankFusion(sizes, config.rank, 1)

    def forward(self, batch: Batch) -> Float[Tensor, "batch"]:
        return self.fusion(*self.subnets(*self.language(batch.text), self.standardise(batch.frames))).squeeze(-1)
