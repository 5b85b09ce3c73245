"""The contrastive-based projection module, CPM (section 3.2, Eqs. 7, 10, 11).

One CPM per modality maps the multimodal representation x into that modality's space, where MUCN and the
unimodal predictor can read it. The contrastive loss moves the projection only: x_m is a fixed target.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from mugkit.nets.text import activation


class Projection(nn.Module):
    """x_m′ = f(W_m x + b_m) (Eq. 7)."""

    def __init__(self, d: int, d_m: int, f: str) -> None:
        super().__init__()
        self.linear = nn.Linear(d, d_m)
        self.f = activation(f)

    def forward(self, x: Float[Tensor, "batch d"]) -> Float[Tensor, "batch d_m"]:
        return self.f(self.linear(x))  # Eq. 7


def l2_normalise(x: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
    """Unit vectors, so that dot products are similarities between −1 and +1 (Eq. 10)."""
    return functional.normalize(x, dim=-1)  # Eq. 10


def info_nce(
    queries: Float[Tensor, "batch dim"], keys: Float[Tensor, "batch dim"], temperature: float
) -> Float[Tensor, ""]:
    """How hard it is for each query to pick its own clip's key out of the batch's, by cosine similarity.

    Args:
        temperature: τ; small counts the hardest keys alone.
    """
    similarity = l2_normalise(queries) @ l2_normalise(keys).T / temperature  # (batch queries, batch keys)
    own = torch.arange(len(queries), device=queries.device)
    return functional.cross_entropy(similarity, own)


def contrastive_loss(
    projected: Float[Tensor, "batch d_m"], unimodal: Float[Tensor, "batch d_m"], temperature: float
) -> Float[Tensor, ""]:
    """L^c_m (Eq. 11): each projection must pick its own clip's unimodal representation out of the batch.

    Args:
        projected: x_m′, the anchors; gradients flow here.
        unimodal: x_m, positive on the diagonal, negatives elsewhere; gradients are stopped.
        temperature: τ.
    """
    return info_nce(projected, unimodal.detach(), temperature)  # Eq. 11
