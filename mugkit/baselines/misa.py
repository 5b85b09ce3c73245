"""MISA, modality-invariant and -specific representations.

Hazarika, Zimmermann, Poria: MISA: Modality-Invariant and -Specific Representations for Multimodal Sentiment Analysis.
ACM Multimedia 2020.

Each modality becomes one vector u_m: from the mean of the token states for text, from the last states of two stacked
bidirectional LSTMs for sound and video. One shared encoder computes the invariant h_m^c, three private encoders the
specific h_m^p, and a decoder reconstructs u_m from their sum. A transformer layer over the six vectors and two linear
layers predict. The loss is

    L = L_task + α L_sim + β L_diff + γ L_recon

    L_sim    mean over pairs of modalities of CMD_5(H_m^c, H_n^c), the central moment discrepancy
    L_diff   how far H_m^c and H_m^p, and H_m^p and H_n^p, are from being orthogonal: ‖Aᵀ B‖²
    L_recon  mean squared error of the decoders

Departures:
- ‖Aᵀ B‖² is divided by its number of entries, as in the published code, for which β = 0.3 was chosen.
- The gradient of L_diff flows through the norms of the rows; the published code treats the norms as constants.
- The mean of the token states excludes padding; in the published code it includes padding.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from mugkit.baselines.base import Baseline, Shapes
from mugkit.data.batch import Batch, Padded
from mugkit.data.schema import MODALITIES
from mugkit.models.losses import l1
from mugkit.models.tokens import Bidirectional, TokenLanguage, pool

PAIRS = tuple(combinations(MODALITIES, 2))
MOMENTS = 5  # K of CMD


@dataclass(frozen=True)
class MISAConfig:
    """The paper's sizes and loss weights for MOSI."""

    hidden: int = 128  # d_h
    lstm: int | None = None  # width of each LSTM direction; None: dims of a frame
    heads: int = 2
    inner: int = 2048  # the transformer layer's feed-forward width
    dropout: float = 0.5  # before the last layer
    sim_weight: float = 1.0  # α
    diff_weight: float = 0.3  # β
    recon_weight: float = 1.0  # γ


def central_moment_discrepancy(
    x: Float[Tensor, "batch dim"], y: Float[Tensor, "batch dim"], moments: int = MOMENTS
) -> Float[Tensor, ""]:
    """CMD_K of two samples of vectors in the unit cube: the distance of their means and of central moments 2 … K."""
    means = x.mean(0), y.mean(0)
    centred = x - means[0], y - means[1]
    distances = [torch.linalg.vector_norm(means[0] - means[1])]
    for k in range(2, moments + 1):
        distances.append(torch.linalg.vector_norm((centred[0] ** k).mean(0) - (centred[1] ** k).mean(0)))
    return torch.stack(distances).sum()


def overlap(x: Float[Tensor, "batch dim"], y: Float[Tensor, "batch dim"]) -> Float[Tensor, ""]:
    """‖Aᵀ B‖² / dim² of two samples, whose columns are centred first and whose rows are then scaled to unit length."""
    a, b = (functional.normalize(sample - sample.mean(0), dim=1) for sample in (x, y))
    return (a.T @ b).square().mean()


class SequenceEncoder(nn.Module):
    """The last states of two stacked bidirectional LSTMs, with layer normalisation between them."""

    def __init__(self, d_in: int, width: int) -> None:
        super().__init__()
        self.first, self.second = Bidirectional(d_in, width), Bidirectional(2 * width, width)
        self.norm = nn.LayerNorm(2 * width)

    def forward(self, frames: Padded) -> Float[Tensor, "batch four_widths"]:
        states, first = self.first(frames.values, frames.mask)
        _, second = self.second(self.norm(states), frames.mask)
        return torch.cat([first, second], dim=-1)


@dataclass(frozen=True)
class Subspaces:
    """u_m, h_m^c, h_m^p of every modality, and the decoders' output for h_m^c + h_m^p."""

    whole: Mapping[str, Float[Tensor, "batch hidden"]]
    shared: Mapping[str, Float[Tensor, "batch hidden"]]
    private: Mapping[str, Float[Tensor, "batch hidden"]]
    decoded: Mapping[str, Float[Tensor, "batch hidden"]]


class MISA(Baseline):
    """ŷ from three shared and three private vectors that attend to each other."""

    level = "tokens"
    Config = MISAConfig
    light = MISAConfig(hidden=32, lstm=8, inner=64)

    def __init__(self, shapes: Shapes, encoder: nn.Module | None, config: MISAConfig) -> None:
        super().__init__(shapes, encoder, config)
        self.language = TokenLanguage(encoder)
        h, dims = config.hidden, {"a": shapes.acoustic, "v": shapes.visual}
        widths = {m: config.lstm or dim for m, dim in dims.items()}
        self.sequences = nn.ModuleDict({m: SequenceEncoder(dims[m], widths[m]) for m in dims})
        inputs = {"l": shapes.text, "a": 4 * widths["a"], "v": 4 * widths["v"]}
        self.project = nn.ModuleDict(
            {m: nn.Sequential(nn.Linear(d, h), nn.ReLU(), nn.LayerNorm(h)) for m, d in inputs.items()}
        )
        self.private = nn.ModuleDict({m: nn.Sequential(nn.Linear(h, h), nn.Sigmoid()) for m in MODALITIES})
        self.shared = nn.Sequential(nn.Linear(h, h), nn.Sigmoid())
        self.decoders = nn.ModuleDict({m: nn.Linear(h, h) for m in MODALITIES})
        self.attention = nn.TransformerEncoderLayer(h, config.heads, config.inner, batch_first=True)
        self.predictor = nn.Sequential(
            nn.Linear(6 * h, 3 * h), nn.Dropout(config.dropout), nn.ReLU(), nn.Linear(3 * h, 1)
        )
        # Neither read nor trained: with BERT and CMD, the published network still has a text LSTM's normalisation and a
        # classifier of the four spaces, and Table 6 of the MUG paper counts both.
        self.idle = nn.ModuleList([nn.LayerNorm(2 * shapes.text), nn.Linear(h, 4)]).requires_grad_(False)

    def subspaces(self, batch: Batch) -> Subspaces:
        """The vectors that the losses compare."""
        states, mask = self.language(batch.text)
        x = {"l": pool(states, mask, "mean")}
        x |= {m: self.sequences[m](batch.frames[m]) for m in ("a", "v")}
        whole = {m: self.project[m](x[m]) for m in MODALITIES}
        shared = {m: self.shared(u) for m, u in whole.items()}
        private = {m: self.private[m](u) for m, u in whole.items()}
        decoded = {m: self.decoders[m](shared[m] + private[m]) for m in MODALITIES}
        return Subspaces(whole, shared, private, decoded)

    def predict(self, spaces: Subspaces) -> Float[Tensor, "batch"]:
        six = torch.stack([*spaces.private.values(), *spaces.shared.values()], dim=1)  # (batch, 6, hidden)
        return self.predictor(self.attention(six).flatten(1)).squeeze(-1)

    def forward(self, batch: Batch) -> Float[Tensor, "batch"]:
        return self.predict(self.subspaces(batch))

    def loss(self, batch: Batch, epoch: int) -> Float[Tensor, ""]:
        spaces, config = self.subspaces(batch), self.config
        return (
            l1(self.predict(spaces), batch.labels)
            + config.sim_weight * similarity(spaces)
            + config.diff_weight * difference(spaces)
            + config.recon_weight * reconstruction(spaces)
        )


def similarity(spaces: Subspaces) -> Float[Tensor, ""]:
    """L_sim: how differently the shared vectors of the modalities are distributed."""
    distances = [central_moment_discrepancy(spaces.shared[m], spaces.shared[n]) for m, n in PAIRS]
    return torch.stack(distances).mean()


def difference(spaces: Subspaces) -> Float[Tensor, ""]:
    """L_diff: the sum of the overlaps of each modality's two vectors and of every two private vectors."""
    own = [overlap(spaces.shared[m], spaces.private[m]) for m in MODALITIES]
    between = [overlap(spaces.private[m], spaces.private[n]) for m, n in PAIRS]
    return torch.stack([*own, *between]).sum()


def reconstruction(spaces: Subspaces) -> Float[Tensor, ""]:
    """L_recon: mean over modalities of the squared error per dim; the target gets a gradient, as in published code."""
    errors = [functional.mse_loss(spaces.decoded[m], spaces.whole[m]) for m in MODALITIES]
    return torch.stack(errors).mean()
