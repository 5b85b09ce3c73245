"""The two denoising tasks of stage 2 (sections 3.3.1 and 3.3.2, Eqs. 13, 14, 16–19, 21).

Unimodal: from a modality's own representation and the clip's label with noise on it, recover the clip's label, later
partly MUCN's own last word. Multimodal: from the projected representation and a noisy prediction, recover the label.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mugkit.config import MetaLearning
from mugkit.nets.projection import l2_normalise
from mugkit.stages.pretrain import SavedRepresentations
from mugkit.stages.training import l1


@dataclass(frozen=True)
class Task:
    """A denoising task: representations, noisy labels, and the labels to recover."""

    x: Float[Tensor, "batch d_m"]
    noisy: Float[Tensor, "batch"]
    target: Float[Tensor, "batch"]

    def loss(self, mucn: torch.nn.Module) -> Float[Tensor, ""]:
        """Mean absolute error of the corrected labels (Eqs. 14, 16 and 20)."""
        return l1(mucn(self.x, self.noisy), self.target)

    def clip(self, row: int) -> Task:
        """The task made of one clip alone."""
        return Task(self.x[row : row + 1], self.noisy[row : row + 1], self.target[row : row + 1])


@dataclass(frozen=True)
class Step:
    """What one bi-level step proposes and measured."""

    parameters: list[Tensor]
    unimodal: float
    pre: float
    post: float
    gate_open: bool


@dataclass(frozen=True)
class ModalityData:
    """One modality of `SavedRepresentations`, as MUCN sees it."""

    x: Float[Tensor, "clips d_m"]
    projected: Float[Tensor, "clips d_m"]
    projected_prediction: Float[Tensor, "clips"]
    labels: Float[Tensor, "clips"]

    @classmethod
    def of(cls, saved: SavedRepresentations, modality: str, config: MetaLearning) -> ModalityData:
        x, projected = saved.unimodal[modality], saved.projected[modality]
        if config.normalise_representations:
            x, projected = l2_normalise(x), l2_normalise(projected)  # Eq. 10
        return cls(x, projected, saved.projected_prediction[modality], saved.labels)


def decay(lambda_init: float, epoch: int) -> float:
    """λ = λ_init^(E+1), E counted from 0 over the whole of stage 2."""
    return lambda_init ** (epoch + 1)  # Eq. 18


def unimodal_targets(
    labels: Float[Tensor, "clips"], previous: Float[Tensor, "clips"], epoch: int, config: MetaLearning
) -> Float[Tensor, "clips"]:
    """What the unimodal denoising task must recover: y at first (Eq. 14), later partly MUCN's own last word.

    Args:
        labels: y.
        previous: y_mc as MUCN_m wrote it after the previous epoch; a constant, no gradient flows into it.
        epoch: E.
    """
    if epoch < config.halfway * config.meta_epochs:
        return labels  # Eq. 14
    share = decay(config.lambda_init, epoch)
    return share * previous.detach() + (1 - share) * labels  # Eq. 17, the target of Eq. 16


def unimodal_task(
    data: ModalityData, batch: Int64[Tensor, "batch"], targets: Float[Tensor, "clips"], noise: Float[Tensor, "batch"]
) -> Task:
    """S: the unimodal representation and the clip's label with noise on it."""
    return Task(data.x[batch], data.labels[batch] + noise, targets[batch])  # Eq. 13


def multimodal_set(batch: Int64[Tensor, "batch"], clips: int, ratio: int, draw: torch.Generator) -> Int64[Tensor, "D"]:
    """D = S ∪ S′: the batch, and b·|S| other clips drawn without replacement (all of them if there are fewer)."""
    outside = torch.ones(clips, dtype=torch.bool)
    outside[batch] = False
    others = outside.nonzero().squeeze(-1)
    chosen = torch.randperm(len(others), generator=draw)[: ratio * len(batch)]
    return torch.cat([batch, others[chosen]])


def multimodal_task(data: ModalityData, chosen: Int64[Tensor, "D"], noise: Float[Tensor, "D"]) -> Task:
    """D: the projected representation, a noisy prediction as the corrupted label, and the clean label."""
    corrupted = data.projected_prediction[chosen] + noise  # Eq. 21
    return Task(data.projected[chosen], corrupted, data.labels[chosen])  # Eq. 19
