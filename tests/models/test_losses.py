"""CPM: Eqs. 7, 10 and 11 in numpy, and where the contrastive loss may and may not send gradients."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from mugkit.models.losses import contrastive_loss, l1, l2_normalise
from mugkit.models.mug import Projection

# Three clips in two dims, of unequal lengths, so that normalisation matters.
PROJECTED = np.array([[3.0, 4.0], [0.0, 2.0], [-1.0, 1.0]])
UNIMODAL = np.array([[1.0, 0.0], [5.0, 12.0], [-2.0, 0.5]])


def in_numpy(projected: np.ndarray, unimodal: np.ndarray, tau: float) -> float:
    """Eq. 11 as it stands: for every clip, minus the log of its own share among all pairs with its projection."""
    a = projected / np.sqrt((projected**2).sum(1, keepdims=True))
    b = unimodal / np.sqrt((unimodal**2).sum(1, keepdims=True))
    n = len(a)
    shares = [math.exp(a[j] @ b[j] / tau) / sum(math.exp(a[j] @ b[g] / tau) for g in range(n)) for j in range(n)]
    return -sum(math.log(share) for share in shares) / n


def double(values: np.ndarray) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("tau", [0.1, 0.5, 1.0])
def test_contrastive_loss_three_clips_equals_numpy(tau: float) -> None:
    loss = contrastive_loss(double(PROJECTED), double(UNIMODAL), tau)
    assert loss.item() == pytest.approx(in_numpy(PROJECTED, UNIMODAL, tau), abs=1e-12)


def test_contrastive_loss_sends_no_gradient_to_unimodal() -> None:
    projected, unimodal = double(PROJECTED).requires_grad_(), double(UNIMODAL).requires_grad_()
    contrastive_loss(projected, unimodal, 0.5).backward()
    assert unimodal.grad is None
    assert projected.grad is not None


def test_l2_normalise_zero_vector_stays_zero() -> None:
    assert l2_normalise(torch.zeros(1, 4)).tolist() == [[0.0] * 4]


@pytest.mark.parametrize(("f", "expected"), [("tanh", [math.tanh(2.1), math.tanh(-1.5)]), ("relu", [2.1, 0.0])])
def test_projection_by_hand(f: str, expected: list[float]) -> None:
    projection = Projection(3, 2, f).double()
    with torch.no_grad():
        projection.linear.weight.copy_(torch.tensor([[1.0, 0.0, 2.0], [-1.0, 1.0, 0.0]]))
        projection.linear.bias.copy_(torch.tensor([0.1, 0.5]))
    x = torch.tensor([[1.0, -1.0, 0.5]], dtype=torch.float64)  # W x + b = (2.1, −1.5)
    assert projection(x)[0].tolist() == pytest.approx(expected, abs=1e-7)


def test_l1_by_hand() -> None:
    # |−1 − 0.5|, |2 − 2|, |3 + 1| over three clips
    assert l1(torch.tensor([0.5, 2.0, -1.0]), torch.tensor([-1.0, 2.0, 3.0])).item() == pytest.approx(5.5 / 3)
