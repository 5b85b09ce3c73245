"""MUCN against Eq. 28 worked out by hand, and the limits that a tanh sets."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from mugkit.models.mug import MUCN


def double(values: list) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def by_hand(residual: str, rho: float = 3.0, bias: float | None = None) -> MUCN:
    """Two hidden units whose values for x = (0.5, −1) and the noisy label 0.2 are 0.5 and −1.6 (so 0)."""
    mucn = MUCN(2, 2, rho, residual, output_bias=bias is not None).double()
    hidden, last = mucn.layers[0], mucn.layers[2]
    with torch.no_grad():
        hidden.weight.copy_(double([[1.0, 0.5, 2.0], [-1.0, 1.0, 0.5]]))
        hidden.bias.copy_(double([0.1, -0.2]))
        last.weight.copy_(double([[0.6, 9.0]]))
        if bias is not None:
            last.bias.copy_(double([bias]))
    return mucn


def correct(mucn: MUCN, noisy: float = 0.2) -> float:
    return mucn(double([[0.5, -1.0]]), double([noisy])).item()


@pytest.mark.parametrize(
    ("residual", "rho", "inside"),
    [
        ("paper", 3.0, 0.2 + 0.3),  # y′ = 0.6 · 0.5 = 0.3
        ("paper", 1.0, 0.2 + 0.3),
        ("scaled", 3.0, 0.2 / 3 + 0.3),
        ("scaled", 1.0, 0.2 + 0.3),
    ],
)
def test_mucn_residual_by_hand(residual: str, rho: float, inside: float) -> None:
    assert correct(by_hand(residual, rho)) == pytest.approx(rho * math.tanh(inside), abs=1e-12)


def test_mucn_output_bias_shifts_inside_tanh() -> None:
    assert correct(by_hand("paper", bias=-0.4)) == pytest.approx(3 * math.tanh(0.2 + 0.3 - 0.4), abs=1e-12)


def test_mucn_negative_label_reaches_hidden_layer() -> None:
    # With −2 the hidden units are −3.9 and −2.7, so 0: no correction at all.
    assert correct(by_hand("paper"), noisy=-2.0) == pytest.approx(3 * math.tanh(-2.0), abs=1e-12)


@pytest.mark.parametrize("residual", ["paper", "scaled"])
@pytest.mark.parametrize("rho", [1.0, 3.0])
def test_mucn_output_stays_within_scale(residual: str, rho: float) -> None:
    torch.manual_seed(0)
    mucn = MUCN(4, 8, rho, residual)
    labels = torch.linspace(-1000, 1000, 501)
    out = mucn(100 * torch.randn(501, 4), labels)
    assert out.abs().max() <= rho
    assert out.min() < -0.99 * rho  # labels this large do come near both ends
    assert out.max() > 0.99 * rho
