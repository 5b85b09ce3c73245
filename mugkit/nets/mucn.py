"""The meta uni-label correction network, MUCN (Fig. 3, Eqs. 13, 19, 28)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class MUCN(nn.Module):
    """Reads a representation and a noisy label, writes a corrected label in (−ρ, ρ).

    Args:
        d_m: dims of the representation.
        width: of the hidden layer.
        rho: ρ, the largest intensity of sentiment.
        residual: 'paper' is Eq. 28 as printed; 'scaled' divides the noisy label by ρ inside tanh.
        output_bias: whether the last layer has a bias.
    """

    def __init__(self, d_m: int, width: int, rho: float, residual: str = "paper", output_bias: bool = False) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(d_m + 1, width), nn.ReLU(), nn.Linear(width, 1, bias=output_bias)
        )  # fmt: skip
        self.rho = rho
        self.scale = 1.0 if residual == "paper" else 1.0 / rho

    def forward(self, x: Float[Tensor, "batch d_m"], noisy: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
        correction = self.layers(torch.cat([x, noisy.unsqueeze(-1)], dim=-1)).squeeze(-1)  # y′_mc
        return self.rho * torch.tanh(noisy * self.scale + correction)  # Eq. 28
