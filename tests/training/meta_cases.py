"""What tests of stage 2 share: small settings and data, denoising tasks, and a bi-level step worked out another way."""

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mugkit.config import MetaLearning
from mugkit.data.schema import MODALITIES
from mugkit.models.mug import MUCN
from mugkit.training.denoising import ModalityData, Step, Task
from mugkit.training.pretrain import SavedRepresentations

RHO = 3.0


def config(**changes: Any) -> MetaLearning:
    """Two batches of 12 clips, four epochs: Eq. 16 replaces Eq. 14 after two of them."""
    base = {"meta_epochs": 4, "meta_batch_size": 6, "extra_ratio": 1, "mucn_width": 8, "alpha": 0.05}
    return dataclasses.replace(MetaLearning(), **(base | changes))


def saved(clips: int = 12) -> SavedRepresentations:
    draw = torch.Generator().manual_seed(0)
    labels = 6 * torch.rand(clips, generator=draw) - 3

    def around(dim: int) -> Tensor:
        return torch.tanh(labels.unsqueeze(1) + torch.randn(clips, dim, generator=draw))

    x, projected = ({m: around(dim) for m, dim in zip(MODALITIES, (5, 4, 3), strict=True)} for _ in range(2))
    return SavedRepresentations(x, projected, dict.fromkeys(MODALITIES, labels + 0.3), labels)


def data_of(clips: int = 12, **changes: Any) -> ModalityData:
    return ModalityData.of(saved(clips), "a", config(**changes))


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def task(clips: int, target: float, seed: int) -> Task:
    return Task.of(random(clips, 5, seed=seed), random(clips, seed=seed + 1), target + random(clips, seed=seed + 2))


# A step towards +2.5 on S makes MUCN worse on D, whose labels are near −2.5: the gate closes. On like labels it opens.
SOURCE, AGAINST, ALIKE = task(9, 2.5, 1), task(30, -2.5, 11), task(30, 2.5, 21)
# Has less than half as many clips as [x; ȳ; 1] has dims: Eq. 20 at θ′ then comes by the low rank of Eq. 15's step.
FEW = task(3, 2.5, 1)


def double_mucn(residual: str = "paper", bias: bool = False) -> MUCN:
    torch.manual_seed(7)
    return MUCN(5, 16, RHO, residual, bias).double()


def expected_step(module: nn.Module, unimodal: Task, multimodal: Task | None, settings: MetaLearning) -> Step:
    """Eqs. 15, 20, 22 and 23 with `torch.func.functional_call`: no learn2learn, no written-out derivative."""

    def loss_at(parameters: dict[str, Tensor], on: Task) -> Tensor:
        return (torch.func.functional_call(module, parameters, (on.x, on.noisy)) - on.target).abs().mean()

    theta = adapted = {name: p.detach().clone().requires_grad_() for name, p in module.named_parameters()}
    for _ in range(settings.adaptation_steps):
        loss = loss_at(adapted, unimodal)
        slopes = torch.autograd.grad(loss, list(adapted.values()), create_graph=True)
        adapted = {name: p - settings.alpha * g for (name, p), g in zip(adapted.items(), slopes, strict=True)}
    taken = [p.detach() for p in adapted.values()]
    if multimodal is None:
        return Step(taken, loss.item(), math.nan, math.nan, True)
    pre, post = loss_at(theta, multimodal), loss_at(adapted, multimodal)
    if not post < pre:
        slopes = torch.autograd.grad(post, list(theta.values()))
        taken = [p.detach() - settings.alpha_prime * g for p, g in zip(theta.values(), slopes, strict=True)]
    return Step(taken, loss.item(), pre.item(), post.item(), bool(post < pre))


def assert_same(found: Step, expected: Step, atol: float = 1e-13) -> None:
    assert bool(found.gate_open) == bool(expected.gate_open)
    for name in ("unimodal", "pre", "post"):
        value = float(getattr(found, name))
        assert value == pytest.approx(float(getattr(expected, name)), rel=10 * atol, nan_ok=True)
    for ours, theirs in zip(found.parameters, expected.parameters, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=atol)
