"""Fusion and predictors in numpy."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from mugkit.models.mug import Fusion, Predictor


def two_layers(x: np.ndarray, module: nn.Module) -> np.ndarray:
    """W₂ · max(W₁ x + b₁, 0) + b₂ from a module's weights."""
    w1, b1, w2, b2 = (p.detach().numpy() for p in module.parameters())
    return np.maximum(x @ w1.T + b1, 0) @ w2.T + b2


def representations(seed: int = 0) -> list[Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(6, dim, generator=draw, dtype=torch.float64) for dim in (3, 5, 2)]


def test_fusion_equals_numpy_in_order_language_acoustic_visual() -> None:
    torch.manual_seed(0)
    fusion, parts = Fusion((3, 5, 2), 7, 4, dropout=0.0).double(), representations()
    expected = two_layers(np.concatenate([x.numpy() for x in parts], axis=1), fusion)
    np.testing.assert_allclose(fusion(*parts).detach(), expected, atol=1e-12)


def test_predictor_equals_numpy_one_number_a_clip() -> None:
    torch.manual_seed(0)
    predictor, x = Predictor(6, 2, dropout=0.0).double(), torch.randn(4, 6, dtype=torch.float64)
    assert [tuple(p.shape) for p in predictor.parameters()] == [(3, 6), (3,), (1, 3), (1,)]
    expected = two_layers(x.numpy(), predictor)[:, 0]
    assert predictor(x).shape == (4,)
    np.testing.assert_allclose(predictor(x).detach(), expected, atol=1e-12)
