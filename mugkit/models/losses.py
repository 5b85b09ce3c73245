"""The losses of MUG on a batch: the mean absolute error of a prediction and the contrastive loss (Eqs. 10, 11)."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def l1(prediction: Float[Tensor, "batch"], target: Float[Tensor, "batch"]) -> Float[Tensor, ""]:
    """Mean absolute error, the loss of Eqs. 6, 9, 14, 16, 20, 25 and 26."""
    return (target - prediction).abs().mean()


def l2_normalise(x: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
    """x scaled to unit length, so that dot products are similarities between −1 and +1 (Eq. 10)."""
    return functional.normalize(x, dim=-1)  # Eq. 10


def info_nce(
    queries: Float[Tensor, "batch dim"], keys: Float[Tensor, "batch dim"], temperature: float
) -> Float[Tensor, ""]:
    """InfoNCE: cross-entropy of picking each query's own key by cosine similarity; a small τ counts only hard keys."""
    similarity = l2_normalise(queries) @ l2_normalise(keys).T / temperature  # (batch queries, batch keys)
    own = torch.arange(len(queries), device=queries.device)
    return functional.cross_entropy(similarity, own)


def contrastive_loss(
    projected: Float[Tensor, "batch d_m"], unimodal: Float[Tensor, "batch d_m"], temperature: float
) -> Float[Tensor, ""]:
    """L^c_m (Eq. 11): each x_m′ must pick its own clip's x_m out of the batch; no gradient flows to x_m."""
    return info_nce(projected, unimodal.detach(), temperature)  # Eq. 11
