"""Fusion (Eq. 4) and the predictors (Eqs. 5, 8, 24)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Fusion(nn.Module):
    """x = F^M(x_l, x_a, x_v): concatenate, one hidden layer, down to d.

    Args:
        dims: d_l, d_a, d_v.
        width: of the hidden layer.
        d: dims of the multimodal representation.
        dropout: before the hidden layer.
    """

    def __init__(self, dims: tuple[int, int, int], width: int, d: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(sum(dims), width), nn.ReLU(), nn.Linear(width, d)
        )  # fmt: skip

    def forward(
        self,
        x_l: Float[Tensor, "batch d_l"],
        x_a: Float[Tensor, "batch d_a"],
        x_v: Float[Tensor, "batch d_v"],
    ) -> Float[Tensor, "batch d"]:
        return self.layers(torch.cat([x_l, x_a, x_v], dim=-1))  # Eq. 4


class Predictor(nn.Module):
    """P^M or P^m: a representation to a sentiment score.

    P^M reads x (Eq. 5); each P^m reads x_m′ in stage 1 (Eq. 8) and x_m in stage 3 (Eq. 24).
    """

    def __init__(self, d: int, shrink: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(d, d // shrink), nn.ReLU(), nn.Linear(d // shrink, 1)
        )  # fmt: skip

    def hidden(self, x: Float[Tensor, "batch d"]) -> Float[Tensor, "batch width"]:
        """After the hidden layer's ReLU."""
        return self.layers[:-1](x)

    def forward(self, x: Float[Tensor, "batch d"]) -> Float[Tensor, "batch"]:
        return self.layers(x).squeeze(-1)  # Eqs. 5, 8, 24
