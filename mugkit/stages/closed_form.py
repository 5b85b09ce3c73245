"""One bi-level step of stage 2 (Eqs. 15, 20, 22, 23) with MUCN's derivatives written out.

learn2learn builds the graph of a gradient step and differentiates through it, for any network. MUCN has one hidden
layer and the loss is an absolute error, so both derivatives fit on a few lines and nothing has to be recorded:

    z = [x; ȳ]W₁ᵀ + b₁,  h = ReLU(z),  u = s·ȳ + h·w₂ + b₂,  y_mc = ρ tanh(u),  L = mean|target − y_mc|
    δ = ∂L/∂u = −sign(target − y_mc)·ρ(1 − tanh²u)/n

Eq. 23 needs ∇_θ L(θ − α∇ℓ(θ)) = g − αHg with g = ∇L(θ′) and H the Hessian of ℓ at θ. Hg is the derivative of ∇ℓ along
g (Pearlmutter's R operator): a forward and a backward pass over the batch. `tests/stages/test_closed_form.py` holds
both against learn2learn.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mugkit.config import MetaLearning
from mugkit.nets.mucn import MUCN
from mugkit.stages.denoising import Step, Task

Parameters = list[Tensor]  # W₁, b₁, w₂ and, if the last layer has one, b₂: the order of MUCN's own parameters


@dataclass(frozen=True)
class Pass:
    """What one forward pass leaves for the derivatives.

    Attributes:
        inputs: [x; ȳ].
        active: where z > 0.
        hidden: h.
        tanh: tanh(u).
        delta: δ.
        loss: L.
    """

    inputs: Float[Tensor, "batch d_m+1"]
    active: Bool[Tensor, "batch width"]
    hidden: Float[Tensor, "batch width"]
    tanh: Float[Tensor, "batch"]
    delta: Float[Tensor, "batch"]
    loss: Float[Tensor, ""]


class ClosedForm:
    """MUCN's loss and its derivatives as functions of its parameters.

    Args:
        mucn: the network; its parameters are only read.
    """

    def __init__(self, mucn: MUCN) -> None:
        self.parameters: Parameters = [p.detach() for p in mucn.parameters()]  # the same memory
        self.rho, self.scale = mucn.rho, mucn.scale

    def _tanh(self, theta: Parameters, inputs: Float[Tensor, "batch d_m+1"]) -> tuple[Tensor, Tensor]:
        """h and tanh(u)."""
        hidden = torch.addmm(theta[1], inputs, theta[0].T).relu_()
        u = torch.addmv(inputs[:, -1], hidden, theta[2][0], beta=self.scale)
        return hidden, (u if len(theta) == 3 else u + theta[3]).tanh_()

    def loss(
        self, theta: Parameters, inputs: Float[Tensor, "batch d_m+1"], target: Float[Tensor, "batch"]
    ) -> Float[Tensor, ""]:
        """L (Eqs. 14, 16, 20)."""
        return (target - self.rho * self._tanh(theta, inputs)[1]).abs().mean()

    def forward(self, theta: Parameters, inputs: Float[Tensor, "batch d_m+1"], target: Float[Tensor, "batch"]) -> Pass:
        """L with all that its derivatives need."""
        hidden, tanh = self._tanh(theta, inputs)
        error = target - self.rho * tanh  # Eq. 28
        delta = error.sign().mul_(tanh.square().sub_(1)).mul_(self.rho / len(target))
        return Pass(inputs, hidden > 0, hidden, tanh, delta, error.abs().mean())

    def gradient(self, theta: Parameters, at: Pass) -> Parameters:
        """∇_θ L."""
        dz = torch.outer(at.delta, theta[2][0]).mul_(at.active)
        found = [dz.T @ at.inputs, dz.sum(0), (at.delta @ at.hidden)[None]]
        return found if len(theta) == 3 else [*found, at.delta.sum()[None]]

    def along(self, theta: Parameters, at: Pass, v: Parameters) -> Parameters:
        """Hv: the derivative of `gradient` along v."""
        r_hidden = torch.addmm(v[1], at.inputs, v[0].T).mul_(at.active)
        r_u = torch.addmv(at.hidden @ v[2][0], r_hidden, theta[2][0])
        r_delta = -2 * at.tanh * at.delta * (r_u if len(theta) == 3 else r_u + v[3])
        r_dz = torch.outer(r_delta, theta[2][0]).addr_(at.delta, v[2][0]).mul_(at.active)
        found = [r_dz.T @ at.inputs, r_dz.sum(0), (r_delta @ at.hidden + at.delta @ r_hidden)[None]]
        return found if len(theta) == 3 else [*found, r_delta.sum()[None]]


def moved(theta: Parameters, direction: Parameters, rate: float) -> Parameters:
    """θ − rate·direction."""
    return list(torch._foreach_add(theta, direction, alpha=-rate))


def _task(task: Task) -> tuple[Float[Tensor, "batch d_m+1"], Float[Tensor, "batch"]]:
    return torch.cat([task.x, task.noisy[:, None]], dim=1), task.target


@torch.no_grad()
def step(mucn: MUCN, unimodal: Task, multimodal: Task | None, config: MetaLearning) -> Step:
    """What `mugkit.stages.meta.bilevel_step` proposes; the parameters are not yet written.

    Args:
        multimodal: None leaves only the unimodal denoising task (Table 5).
    """
    form, (inputs, target) = ClosedForm(mucn), _task(unimodal)
    before, theta = [], form.parameters
    for _ in range(config.adaptation_steps):
        before.append((theta, form.forward(theta, inputs, target)))
        theta = moved(theta, form.gradient(*before[-1]), config.alpha)  # Eq. 15
    loss = before[-1][1].loss.item()
    if multimodal is None:
        return Step(theta, loss, float("nan"), float("nan"), True)
    inputs, target = _task(multimodal)
    pre, after = form.loss(form.parameters, inputs, target).item(), form.forward(theta, inputs, target)
    post = after.loss.item()
    if post < pre:
        return Step(theta, loss, pre, post, True)  # Eq. 22
    gradient = form.gradient(theta, after)
    for at, passed in reversed(before):  # back through every step of Eq. 15
        gradient = moved(gradient, form.along(at, passed, gradient), config.alpha)
    return Step(moved(form.parameters, gradient, config.alpha_prime), loss, pre, post, False)  # Eq. 23
