"""One bi-level step of stage 2 (Eqs. 15, 20, 22, 23) with MUCN's derivatives written out.

learn2learn builds the graph of a gradient step and differentiates through it, for any network. MUCN has one hidden
layer and the loss is an absolute error, so both derivatives fit on a few lines and nothing has to be recorded:

    z = [x; ȳ]W₁ᵀ + b₁,  h = ReLU(z),  u = s·ȳ + h·w₂ + b₂,  y_mc = ρ tanh(u),  L = mean|target − y_mc|
    δ = ∂L/∂u = −sign(target − y_mc)·ρ(1 − tanh²u)/n,  ζ = ∂L/∂z = (δ ⊗ w₂) ⊙ ReLU′(z),  ∂L/∂W₁ = ζᵀ[x; ȳ]

Eq. 23 needs ∇_θ L(θ − α∇ℓ(θ)) = g − αHg with g = ∇L(θ′) and H the Hessian of ℓ at θ. Hg is the derivative of ∇ℓ along
g (Pearlmutter's R operator): a forward and a backward pass over the batch.

Eq. 20 is needed at θ and at θ′, on a set D eleven times as large as S. Eq. 15 changes W₁ by α·ζᵀ[x; ȳ] over S, a matrix
of rank |S|, so z at θ′ is z at θ minus α·([x; ȳ]_D [x; ȳ]_Sᵀ + 1)ζ: where S has far fewer clips than [x; ȳ] has dims,
that costs less than a second pass over D. Products run faster where W₁ lies in memory column by column (`laid_out`).
`tests/stages/test_closed_form.py` holds all of it against learn2learn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mugkit.config import MetaLearning
from mugkit.nets.mucn import MUCN
from mugkit.stages.denoising import Step, Task

Parameters = list[Tensor]  # W₁, b₁, w₂ and, if the last layer has one, b₂: the order of MUCN's own parameters


def laid_out(mucn: MUCN) -> MUCN:
    """The network, the same numbers, with W₁ in memory as the products here leave its derivatives."""
    weight: Tensor = mucn.layers[0].weight  # type: ignore[assignment]
    weight.data = weight.data.T.contiguous().T
    return mucn


@dataclass(frozen=True)
class Given:
    """A task as MUCN reads it.

    Attributes:
        inputs: [x; ȳ].
    """

    inputs: Float[Tensor, "batch d_m+1"]
    noisy: Float[Tensor, "batch"]
    target: Float[Tensor, "batch"]

    @classmethod
    def of(cls, task: Task) -> Given:
        inputs = task.x.new_empty(len(task.x), task.x.shape[1] + 1)  # filled by columns: `cat` takes five times as long
        inputs[:, :-1], inputs[:, -1] = task.x, task.noisy
        return cls(inputs, task.noisy, task.target)


@dataclass(frozen=True)
class Pass:
    """What one forward pass leaves for the derivatives.

    Attributes:
        inputs: [x; ȳ].
        hidden: h.
        tanh: tanh(u).
        delta: δ.
        loss: L.
    """

    inputs: Float[Tensor, "batch d_m+1"]
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

    def z(self, theta: Parameters, inputs: Float[Tensor, "batch d_m+1"]) -> Float[Tensor, "batch width"]:
        """What enters the ReLU."""
        return (inputs @ theta[0].T).add_(theta[1])  # `addmm` would copy b₁ to every row first

    def _tanh(
        self, theta: Parameters, hidden: Float[Tensor, "batch width"], noisy: Float[Tensor, "batch"]
    ) -> Float[Tensor, "batch"]:
        """tanh(u)."""
        u = torch.addmv(noisy, hidden, theta[2][0], beta=self.scale)
        return (u if len(theta) == 3 else u + theta[3]).tanh_()

    def loss(self, theta: Parameters, z: Float[Tensor, "batch width"], on: Given) -> Float[Tensor, ""]:
        """L (Eqs. 14, 16, 20)."""
        return (on.target - self.rho * self._tanh(theta, z.relu(), on.noisy)).abs_().mean()

    def forward(self, theta: Parameters, z: Float[Tensor, "batch width"], on: Given) -> Pass:
        """L with all that its derivatives need.

        Args:
            z: overwritten.
        """
        hidden = z.relu_()
        tanh = self._tanh(theta, hidden, on.noisy)
        error = on.target - self.rho * tanh  # Eq. 28
        delta = error.sign().mul_(tanh.square().sub_(1)).mul_(self.rho / len(error))
        return Pass(on.inputs, hidden, tanh, delta, error.abs_().mean())

    def zeta(self, theta: Parameters, at: Pass) -> Float[Tensor, "batch width"]:
        """ζ."""
        return torch.outer(at.delta, theta[2][0]).mul_(at.hidden.sign())  # a hidden unit's sign is ReLU′(z): 0 or 1

    def gradient(self, theta: Parameters, at: Pass, zeta: Float[Tensor, "batch width"] | None = None) -> Parameters:
        """∇_θ L.

        Args:
            zeta: ζ, where it is known.
        """
        zeta = self.zeta(theta, at) if zeta is None else zeta
        found = [(at.inputs.T @ zeta).T, zeta.sum(0), (at.delta @ at.hidden)[None]]
        return found if len(theta) == 3 else [*found, at.delta.sum()[None]]

    def along(self, theta: Parameters, at: Pass, v: Parameters) -> Parameters:
        """Hv: the derivative of `gradient` along v."""
        active = at.hidden.sign()
        r_hidden = torch.addmm(v[1], at.inputs, v[0].T).mul_(active)
        r_u = torch.addmv(at.hidden @ v[2][0], r_hidden, theta[2][0])
        r_delta = -2 * at.tanh * at.delta * (r_u if len(theta) == 3 else r_u + v[3])
        r_zeta = torch.outer(r_delta, theta[2][0]).addr_(at.delta, v[2][0]).mul_(active)
        found = [(at.inputs.T @ r_zeta).T, r_zeta.sum(0), (r_delta @ at.hidden + at.delta @ r_hidden)[None]]
        return found if len(theta) == 3 else [*found, r_delta.sum()[None]]


def moved(theta: Parameters, direction: Parameters, rate: float) -> Parameters:
    """θ − rate·direction."""
    return list(torch._foreach_add(theta, direction, alpha=-rate))


def to_theta_prime(
    z: Float[Tensor, "D width"], wide: Given, source: Given, zeta: Sequence[Float[Tensor, "batch width"]], alpha: float
) -> Float[Tensor, "D width"]:
    """Moves z of D from θ to θ′, in place.

    Args:
        zeta: ζ of every step over S that led from θ to θ′ (Eq. 15).
    """
    alike = (wide.inputs @ source.inputs.T).add_(1)  # [x; ȳ]_D [x; ȳ]_Sᵀ + 1; the one is b₁'s
    return z.addmm_(alike, zeta[0] if len(zeta) == 1 else torch.stack([*zeta]).sum(0), alpha=-alpha)


_READS_THE_GATE = {"cpu"}  # kinds of devices that lose nothing when Python waits for a number


def gate(opened: Bool[Tensor, ""], taken: Parameters, otherwise: Callable[[], Parameters]) -> Parameters:
    """Eq. 22 if the gate is open, else Eq. 23. A GPU computes both and selects one: Python never waits for the gate."""
    if opened.device.type in _READS_THE_GATE:
        return taken if opened else otherwise()
    return [torch.where(opened, one, other) for one, other in zip(taken, otherwise(), strict=True)]


@torch.no_grad()
def step(mucn: MUCN, unimodal: Task, multimodal: Task | None, config: MetaLearning) -> Step:
    """What `mugkit.stages.meta.bilevel_step` proposes; the parameters are not yet written.

    Args:
        multimodal: None leaves only the unimodal denoising task (Table 5).
    """
    form, source = ClosedForm(mucn), Given.of(unimodal)
    before, zeta, theta = [], [], form.parameters
    for _ in range(config.adaptation_steps):
        at = form.forward(theta, form.z(theta, source.inputs), source)
        before.append((theta, at))
        zeta.append(form.zeta(theta, at))
        theta = moved(theta, form.gradient(theta, at, zeta[-1]), config.alpha)  # Eq. 15
    if multimodal is None:
        return Step(theta, at.loss, math.nan, math.nan, True)
    wide = Given.of(multimodal)
    z = form.z(form.parameters, wide.inputs)
    pre = form.loss(form.parameters, z, wide)
    if 2 * len(source.inputs) < source.inputs.shape[1]:  # ζ has to be added up too: half the rank pays
        z = to_theta_prime(z, wide, source, zeta, config.alpha)
    else:
        z = form.z(theta, wide.inputs)
    after = form.forward(theta, z, wide)

    def away() -> Parameters:
        gradient = form.gradient(theta, after)
        for was, passed in reversed(before):  # back through every step of Eq. 15
            gradient = moved(gradient, form.along(was, passed, gradient), config.alpha)
        return moved(form.parameters, gradient, config.alpha_prime)  # Eq. 23

    opened = after.loss < pre
    return Step(gate(opened, theta, away), at.loss, pre, after.loss, opened)  # Eq. 22
