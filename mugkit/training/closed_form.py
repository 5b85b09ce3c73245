"""Optional reading: the bi-level step of stage 2 (Eqs. 15, 20, 22, 23) with MUCN's derivatives written out.

`mugkit.training.meta.bilevel_step` defines the step; this module computes the same step in less time.

learn2learn builds the graph of a gradient step and differentiates through it, for any network. MUCN has one hidden
layer and the loss is an absolute error, so both derivatives take a few lines and no graph is needed. With
i = [x; ȳ; 1] and W = [W₁ b₁]:

    z = Wi,  h = ReLU(z),  u = s·ȳ + h·w₂ + b₂,  y_mc = ρ tanh(u),  L = mean|target − y_mc|
    c = −ρ/n,  δ = sign(target − y_mc)·(1 − tanh²u),  φ = ∂u/∂z = w₂ ⊙ ReLU′(z),  ∂L/∂W = c·Σ δ·φ ⊗ i

Eq. 23 needs ∇_θ L(θ − α∇ℓ(θ)) = g − αHg with g = ∇L(θ′) and H the Hessian of ℓ at θ. Hg is the derivative of ∇ℓ along
g (Pearlmutter's R operator), which takes a forward and a backward pass over the batch. All of it is linear in g, so
the functions leave c out of g and multiply the learning rates by it instead.

Eq. 20 is needed at θ and at θ′, on a set D eleven times as large as S. Eq. 15 changes W by α·c·Σ δ·φ ⊗ i over S, a
matrix of rank |S|, so z at θ′ is z at θ minus α·c·Σ δ·⟨i_D, i_S⟩·φ. If S has far fewer clips than i has dims, this
costs less than a second pass over D. Matrix products run faster if W is stored column by column (`laid_out`). The
hidden layers of D use the same buffers in every step, because newly allocated memory has to be mapped again.
`tests/training/test_closed_form.py` compares all of it with learn2learn.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mugkit.config import MetaLearning
from mugkit.models.mug import MUCN
from mugkit.training.denoising import Step, Task

Last = list[Tensor]  # w₂ and, if the last layer has a bias, b₂


def laid_out(mucn: MUCN) -> Float[Tensor, "d_m+2 width"]:
    """Wᵀ in one block of memory, so W is stored column by column; the network's W₁ and b₁ become views of it."""
    hidden, bias_of_hidden, *_ = mucn.parameters()
    weight, bias = hidden.data, bias_of_hidden.data
    together = weight.untyped_storage().data_ptr() == bias.untyped_storage().data_ptr()
    if together and weight.T.is_contiguous() and bias.data_ptr() == weight.data_ptr() + weight.nbytes:
        return weight.T.as_strided((weight.shape[1] + 1, len(bias)), (len(bias), 1))
    joined = torch.cat([weight.T, bias[None]])
    hidden.data, bias_of_hidden.data = joined[:-1].T, joined[-1]
    return joined


@dataclass(frozen=True)
class Theta:
    """θ: Wᵀ, computed on its first use (if the gate is closed, Wᵀ of θ′ is not needed), and the last layer's."""

    make: Callable[[], Float[Tensor, "d_m+2 width"]]
    last: Last

    @cached_property
    def first(self) -> Float[Tensor, "d_m+2 width"]:
        """Wᵀ."""
        return self.make()

    @classmethod
    def of(cls, mucn: MUCN) -> "Theta":
        """The parameters of the network. They share its memory, so they change as it learns."""
        first = laid_out(mucn)
        _, _, second, *rest = (p.data for p in mucn.parameters())
        return cls(lambda: first, [second[0], *rest])

    def as_mucn(self) -> list[Tensor]:
        """θ in the order and the shapes of MUCN's own parameters."""
        second, *rest = self.last
        return [self.first[:-1].T, self.first[-1], second[None], *rest]


@dataclass(frozen=True)
class Pass:
    """The values of one forward pass that the derivatives need."""

    inputs: Float[Tensor, "batch d_m+2"]  # [x; ȳ; 1]
    hidden: Float[Tensor, "batch width"]  # h
    tanh: Float[Tensor, "batch"]  # tanh(u)
    delta: Float[Tensor, "batch"]  # δ
    loss: Float[Tensor, ""]  # L
    c: float  # −ρ/n

    def slope(self, w2: Float[Tensor, "width"], out: Tensor | None = None) -> Float[Tensor, "batch width"]:
        """φ: w₂ where h > 0, else 0; written to `out` if given."""
        out = torch.empty_like(self.hidden) if out is None else out
        spread = w2.expand_as(self.hidden)
        return torch.ops.aten.threshold_backward.grad_input(spread, self.hidden, 0.0, grad_input=out)

    def weighed(self) -> Float[Tensor, "d_m+2 batch"]:
        """The inputs i of every clip, times its δ."""
        return (self.inputs * self.delta.unsqueeze(1)).t()


@dataclass(frozen=True)
class Shape:
    """The constants of MUCN: ρ, and s, the scale of ȳ in Eq. 28."""

    rho: float
    scale: float

    def tanh(
        self, last: Last, hidden: Float[Tensor, "batch width"], noisy: Float[Tensor, "batch"]
    ) -> Float[Tensor, "batch"]:
        """tanh(u)."""
        u = torch.addmv(noisy, hidden, last[0], beta=self.scale)
        return (u if len(last) == 1 else u.add_(last[1])).tanh_()

    def loss(self, last: Last, hidden: Float[Tensor, "batch width"], on: Task) -> Float[Tensor, ""]:
        """L (Eqs. 14, 16, 20)."""
        return torch.sub(on.target, self.tanh(last, hidden, on.noisy), alpha=self.rho).abs_().mean()

    def forward(self, last: Last, z: Float[Tensor, "batch width"], on: Task) -> Pass:
        """L and all that its derivatives need; z is overwritten with h."""
        hidden = z.relu_()
        tanh = self.tanh(last, hidden, on.noisy)
        error = torch.sub(on.target, tanh, alpha=self.rho)  # Eq. 28
        delta = torch.ops.aten.tanh_backward(error.sign(), tanh)
        return Pass(on.inputs, hidden, tanh, delta, error.abs_().mean(), -self.rho / len(error))


Gradient = list[Tensor]  # with respect to Wᵀ, w₂ and, if there is one, b₂


def gradient(last: Last, at: Pass, room: Tensor | None = None) -> Gradient:
    """∇L/c; `room` is a buffer for φ."""
    found = [torch.mm(at.weighed(), at.slope(last[0], room)), torch.mv(at.hidden.t(), at.delta)]
    return found if len(last) == 1 else [*found, at.delta.sum()[None]]


def descended(theta: Theta, at: Pass, slope: Float[Tensor, "batch width"], rate: float) -> Theta:
    """θ − rate·∇L; `slope` is φ."""
    rate *= at.c
    last = [torch.addmv(theta.last[0], at.hidden.t(), at.delta, alpha=-rate)]
    if len(theta.last) == 2:
        last.append(theta.last[1] - rate * at.delta.sum())
    return Theta(lambda: torch.addmm(theta.first, at.weighed(), slope, alpha=-rate), last)


def hessian_vector_product(last: Last, at: Pass, v: Gradient, rate: float) -> Gradient:
    """v − rate·Hv, written into v. Hv, the Hessian times v, is the derivative of ∇L along v (Pearlmutter 1994)."""
    rate *= at.c
    active = at.hidden.sign()  # ReLU′(z): 0 or 1
    r_hidden = torch.mm(at.inputs, v[0]).mul_(active)
    r_u = torch.addmv(torch.mv(at.hidden, v[1]), r_hidden, last[0])
    r_delta = (at.tanh * at.delta).mul_(r_u if len(last) == 1 else r_u + v[2])  # −2 times this is R(δ)
    r_zeta = torch.outer(at.delta, v[1]).addr_(r_delta, last[0], alpha=-2).mul_(active)  # R(δ·φ)
    v[0].addmm_(at.inputs.t(), r_zeta, alpha=-rate)
    v[1].addmv_(at.hidden.t(), r_delta, alpha=2 * rate).addmv_(r_hidden.t(), at.delta, alpha=-rate)
    return v if len(last) == 1 else [*v[:2], v[2].sub_(r_delta.sum(), alpha=-2 * rate)]


def step_along(theta: Theta, direction: Gradient, rate: float) -> Theta:
    """θ − rate·direction."""
    first, *last = torch._foreach_add([theta.first, *theta.last], direction, alpha=-rate)
    return Theta(lambda: first, last)


@dataclass(frozen=True)
class Adapted:
    """The result of Eq. 15, after one or more gradient steps."""

    before: Sequence[tuple[Theta, Pass, Float[Tensor, "batch width"]]]  # θ, the pass over S, and φ before every step
    theta: Theta  # θ′


def adapt(shape: Shape, theta: Theta, source: Task, config: MetaLearning) -> Adapted:
    """Applies Eq. 15 on S."""
    before = []
    for _ in range(config.adaptation_steps):
        at = shape.forward(theta.last, torch.mm(source.inputs, theta.first), source)
        before.append((theta, at, at.slope(theta.last[0])))
        theta = descended(*before[-1], config.alpha)  # Eq. 15
    return Adapted(before, theta)


def to_theta_prime(z: Float[Tensor, "D width"], wide: Task, adapted: Adapted, alpha: float) -> Float[Tensor, "D width"]:
    """z of D at θ′, computed in place from z at θ."""
    inputs = adapted.before[0][1].inputs
    if 2 * len(inputs) >= inputs.shape[1]:
        return torch.mm(wide.inputs, adapted.theta.first, out=z)
    alike = torch.mm(wide.inputs, inputs.t())
    for _, at, slope in adapted.before:
        z.addmm_(alike * at.delta, slope, alpha=-alpha * at.c)
    return z


_READS_THE_GATE = {"cpu"}  # device types on which reading a number costs no waiting


def gate(opened: Bool[Tensor, ""], taken: Theta, otherwise: Callable[[], Theta]) -> list[Tensor]:
    """Eq. 22 if the gate is open, else Eq. 23. On a GPU both are computed, so that Python never waits for the gate."""
    if opened.device.type in _READS_THE_GATE:
        return (taken if opened else otherwise()).as_mucn()
    return [torch.where(opened, *pair) for pair in zip(taken.as_mucn(), otherwise().as_mucn(), strict=True)]


class ClosedForm:
    """Computes the bi-level steps of one MUCN, whose memory `laid_out` rearranges."""

    def __init__(self, mucn: MUCN, config: MetaLearning) -> None:
        self._shape, self._theta, self._config = Shape(mucn.rho, mucn.scale), Theta.of(mucn), config
        self._room: tuple[Tensor, Tensor] | None = None

    def _two_rooms(self, wide: Task) -> tuple[Float[Tensor, "D width"], Float[Tensor, "D width"]]:
        """Buffers for z and for h or φ of D; those of the previous step, if their size is right."""
        size = (len(wide.inputs), self._theta.first.shape[1])
        if self._room is None or self._room[0].shape != size:
            self._room = wide.inputs.new_empty(size), wide.inputs.new_empty(size)
        return self._room

    @torch.inference_mode()
    def __call__(self, unimodal: Sequence[Task], multimodal: Task | None) -> list[Step]:
        """The steps that `mugkit.training.meta.bilevel_step` proposes, one per task, all from the same parameters."""
        adapted = [adapt(self._shape, self._theta, task, self._config) for task in unimodal]
        if multimodal is None:
            return [Step(to.theta.as_mucn(), to.before[-1][1].loss, math.nan, math.nan, True) for to in adapted]
        z, other = self._two_rooms(multimodal)
        torch.mm(multimodal.inputs, self._theta.first, out=z)
        pre = self._shape.loss(self._theta.last, torch.clamp_min(z, 0.0, out=other), multimodal)
        own = [*(z.clone() for _ in adapted[1:]), z]
        return [self._outer(to, at, pre, multimodal, other) for to, at in zip(adapted, own, strict=True)]

    def _outer(self, adapted: Adapted, z: Tensor, pre: Float[Tensor, ""], wide: Task, room: Tensor) -> Step:
        """Evaluates the gate and returns the step of Eq. 22 or Eq. 23, for one task.

        `z` is z of D at θ and is overwritten, `pre` is Eq. 20 at θ, `wide` is D, `room` is a buffer for φ of D.
        """
        theta_prime, config = adapted.theta, self._config
        after = self._shape.forward(theta_prime.last, to_theta_prime(z, wide, adapted, config.alpha), wide)

        def away() -> Theta:
            direction = gradient(theta_prime.last, after, room)
            for was, at, _ in reversed(adapted.before):  # back through every step of Eq. 15
                direction = hessian_vector_product(was.last, at, direction, config.alpha)
            return step_along(self._theta, direction, config.alpha_prime * after.c)  # Eq. 23

        opened = after.loss < pre
        return Step(gate(opened, theta_prime, away), adapted.before[-1][1].loss, pre, after.loss, opened)  # Eq. 22
