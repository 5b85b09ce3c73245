"""SUGRM's unimodal labels: shifts of y measured in one space common to all modalities.

Y. Hwang, J.-H. Kim: "Self-Supervised Unimodal Label Generation Strategy Using Recalibrated Modality Representations
for Multimodal Sentiment Analysis", Findings of EACL 2023. The representations are recalibrated (each dim of a modality
is scaled by a gate that sees all modalities), then fusion and modalities are projected into one 32-dim space, in which
each predicts its label. There D, the distance between the mean fused features of the clips with the largest and with
the smallest label, stands for the whole range 2ρ, which turns the distance from a modality to the fusion into a shift:

    shift = 2ρ·min(‖F_m − F_s‖, D) / D

Its sign comes from r = ‖F − C⁺‖ / ‖F − C⁻‖, C⁺ and C⁻ being the centres of the fused features of clips with y ≥ 0 and
y < 0: with r_s > r_m a modality is more negative than the fusion and ŷ_s = y − shift, with r_s < r_m ŷ_s = y + shift.
Clamping, momentum and the weights of the losses are Self-MM's (`MovingLabels`).

Departures:
- The networks are MUG's, with the published weight of the unimodal losses, 1 in place of β: no sparse phased
  transformer. Recalibration acts on x_l, x_a and x_v instead of frames; its bottleneck has a quarter of their dims, as
  published.
- The common space is this source's own. It reads x and x_m stopped, so it cannot change the networks except through
  labels, and is trained by its own Adam with the same losses: |ŷ − y| and tanh|y_s − y|·|ŷ_s − y_s|, no accumulation.
- D is between the labels ρ and −ρ. Where a data set has no clip so labelled, the outermost 5 % of clips serve.
- While a class has no clip, or D is 0, labels stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mugkit.config import Hyperparameters
from mugkit.data.batching import Batch, Clips
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.labels.online import MovingLabels, OwnNetworks, centres
from mugkit.labels.source import MultiTaskNetwork
from mugkit.nets.mug import Representations

COMMON = 32  # dims of the common space
DROPOUT = 0.3
REDUCTION = 4  # of the recalibration's bottleneck
LEARNING_RATE, WEIGHT_DECAY = 1e-2, 1e-3  # of everything but the encoders, for MOSI
OUTERMOST = 0.05


class Recalibration(nn.Module):
    """x_m ← 2σ(W_m z) ⊙ x_m with z = ReLU(W[x_l; x_a; x_v]): what the others say decides which dims count.

    Args:
        dims: d_m by modality.
    """

    def __init__(self, dims: Mapping[str, int]) -> None:
        super().__init__()
        total = sum(dims.values())
        self.squeeze = nn.Sequential(nn.Linear(total, total // REDUCTION), nn.ReLU())
        self.excite = nn.ModuleDict({m: nn.Linear(total // REDUCTION, dim) for m, dim in dims.items()})

    def forward(self, x: Mapping[str, Float[Tensor, "batch d_m"]]) -> dict[str, Float[Tensor, "batch d_m"]]:
        z = self.squeeze(torch.cat([x[m] for m in MODALITIES], dim=-1))
        return {m: 2 * self.excite[m](z).sigmoid() * x[m] for m in MODALITIES}


class CommonSpace(nn.Module):
    """Fusion and modalities in one space, and a prediction from each.

    Args:
        dims: d_m by modality and, under "m", d.
    """

    def __init__(self, dims: Mapping[str, int]) -> None:
        super().__init__()
        self.recalibration = Recalibration({m: dims[m] for m in MODALITIES})
        self.projections = nn.ModuleDict({m: _projection(dim) for m, dim in dims.items()})
        self.predictors = nn.ModuleDict({m: nn.Linear(COMMON, 1) for m in dims})

    def forward(self, reps: Representations) -> dict[str, Float[Tensor, "batch common"]]:
        """F of every modality and, under "m", of the fusion."""
        x = {**self.recalibration(reps.unimodal), "m": reps.multimodal}
        return {m: projection(x[m]) for m, projection in self.projections.items()}

    def predict(self, features: Mapping[str, Float[Tensor, "batch common"]]) -> dict[str, Float[Tensor, "batch"]]:
        return {m: predictor(features[m]).squeeze(-1) for m, predictor in self.predictors.items()}


def _projection(dim: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim, COMMON), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(COMMON, COMMON))


def _adam(parameters: Iterable[nn.Parameter]) -> torch.optim.Adam:
    return torch.optim.Adam(parameters, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)


def extremes(labels: Float[Tensor, "clips"], rho: float) -> tuple[Bool[Tensor, "clips"], Bool[Tensor, "clips"]]:
    """The clips labelled ρ and those labelled −ρ; on a side where there are none, the outermost 5 %."""
    high, low = (labels == rho, labels == -rho)
    return (
        high if high.any() else labels >= labels.quantile(1 - OUTERMOST),
        low if low.any() else labels <= labels.quantile(OUTERMOST),
    )


def proximity(
    features: Float[Tensor, "batch common"], positive: Float[Tensor, "common"], negative: Float[Tensor, "common"]
) -> Float[Tensor, "batch"]:
    """r = ‖F − C⁺‖ / ‖F − C⁻‖: the larger, the more negative."""
    return (features - positive).norm(dim=-1) / (features - negative).norm(dim=-1)


def shifted(
    y: Float[Tensor, "batch"],
    fused: Float[Tensor, "batch common"],
    features: Float[Tensor, "batch common"],
    signed: tuple[Float[Tensor, "common"], Float[Tensor, "common"]],
    span: Float[Tensor, ""],
    rho: float,
) -> Float[Tensor, "batch"]:
    """ŷ_s before clamping; NaN where D is 0.

    Args:
        fused: F_m.
        features: F_s.
        signed: C⁺ and C⁻.
        span: D.
    """
    shift = 2 * rho * (fused - features).norm(dim=-1).clamp(max=span) / span
    ratio, fused_ratio = proximity(features, *signed), proximity(fused, *signed)
    return y + shift * ((ratio < fused_ratio).float() - (ratio > fused_ratio).float())


class SUGRM(MovingLabels):
    """Labels shifted from y by distances in a common space.

    Attributes:
        fused: F_m of all clips, as last seen.
    """

    def __init__(self, dataset: Dataset, hp: Hyperparameters) -> None:
        super().__init__(dataset, hp)
        network = hp.network
        dims = {"l": network.d_l, "a": network.d_a, "v": network.d_v, "m": network.d}
        self._own = OwnNetworks("sugrm", lambda: CommonSpace(dims), _adam)
        self._extremes = extremes(self.y, self.rho)
        self.fused = torch.zeros(len(self.y), COMMON)

    def begin_epoch(self, train: Clips, epoch: int, seed: int) -> None:
        super().begin_epoch(train, epoch, seed)
        self._own.begin(seed, train.device)
        self.fused, (high, low) = self.fused.to(train.device), self._extremes
        self._extremes = high.to(train.device), low.to(train.device)

    def after_step(self, network: MultiTaskNetwork, reps: Representations, batch: Batch, epoch: int) -> None:
        """Trains the common space; moves the batch's labels, from the second epoch on; stores its fused features."""
        space: CommonSpace = self._own.networks
        features = space(reps)
        loss = self._loss(space.predict(features), batch)
        self._own.step(torch.autograd.grad(loss, list(space.parameters())))
        seen = {m: values.detach() for m, values in features.items()}
        if epoch >= 1:  # from here on every clip's features are stored
            self._generate(seen, batch, epoch)
        self.fused[batch.index_there] = seen["m"]

    def _loss(self, predicted: Mapping[str, Float[Tensor, "batch"]], batch: Batch) -> Float[Tensor, ""]:
        loss = (predicted["m"] - batch.labels).abs().mean()
        targets, weights = self.targets(batch.index_there), self.weights(batch.index_there)
        for m in MODALITIES:
            loss = loss + (weights[m] * (predicted[m] - targets[m]).abs()).mean()
        return loss

    def _generate(self, seen: Mapping[str, Float[Tensor, "batch common"]], batch: Batch, epoch: int) -> None:
        signed, ends = centres(self.fused, self.y >= 0, self.y < 0), centres(self.fused, *self._extremes)
        span, index = (ends[0] - ends[1]).norm(), batch.index_there  # D
        for m in MODALITIES:
            self.move(m, index, shifted(self.y[index], seen["m"], seen[m], signed, span, self.rho), epoch)

    def state(self) -> dict[str, Any]:
        return {**super().state(), "fused": self.fused, "own": self._own.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self.fused = state["fused"]
        self._own.restore(state["own"])
