"""The written-out bi-level step against learn2learn's: one step in every branch, and a whole epoch."""

from __future__ import annotations

import dataclasses
import warnings

import pytest
import torch
from torch import Tensor

from mugkit.config import MetaLearning
from mugkit.models.mug import MUCN
from mugkit.training import closed_form, meta
from mugkit.training.closed_form import ClosedForm, Pass, Shape, Theta
from mugkit.training.denoising import ModalityData, Step, Task
from mugkit.training.meta import WithLearn2learn

RHO = 3.0


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def task(clips: int, target: float, seed: int) -> Task:
    return Task.of(random(clips, 5, seed=seed), random(clips, seed=seed + 1), target + random(clips, seed=seed + 2))


def made(residual: str = "paper", bias: bool = False) -> MUCN:
    torch.manual_seed(7)
    return MUCN(5, 16, RHO, residual, bias).double()


# FEW has fewer clips than [x; ȳ] has dims: Eq. 20 at θ′ then comes by the low rank of Eq. 15's step.
SOURCE, FEW, AGAINST, ALIKE = task(9, 2.5, 1), task(4, 2.5, 1), task(30, -2.5, 11), task(30, 2.5, 21)


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("residual", ["paper", "scaled"])
@pytest.mark.parametrize("on", [AGAINST, ALIKE, None], ids=["gate closed", "gate open", "no multimodal task"])
@pytest.mark.parametrize("source", [SOURCE, FEW], ids=["second pass", "low rank"])
def test_steps_equal_learn2learn(source: Task, on: Task | None, residual: str, bias: bool, steps: int) -> None:
    config = MetaLearning(alpha=0.3, alpha_prime=0.2, adaptation_steps=steps)
    mucn = made(residual, bias)
    expected, found = (way(mucn, config)([source], on)[0] for way in (WithLearn2learn, ClosedForm))
    assert found.gate_open == expected.gate_open == (on is not AGAINST)
    assert_same(found, expected)


def assert_same(found: Step, expected: Step) -> None:
    for name in ("unimodal", "pre", "post"):
        value = float(getattr(found, name))
        assert value == pytest.approx(float(getattr(expected, name)), rel=1e-12, nan_ok=True)
    for one, other in zip(found.parameters, expected.parameters, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("on", [AGAINST, ALIKE], ids=["gate closed", "gate open"])
def test_steps_selecting_equal_steps_branching(monkeypatch: pytest.MonkeyPatch, on: Task) -> None:
    # What a GPU does, where Python does not read the gate.
    config, mucn = MetaLearning(alpha=0.3, alpha_prime=0.2), made()
    branching = ClosedForm(mucn, config)([SOURCE], on)[0]
    monkeypatch.setattr(closed_form, "_READS_THE_GATE", set())
    monkeypatch.setattr(Tensor, "__bool__", None)  # calling it fails: nothing waits for a number
    selecting = ClosedForm(mucn, config)([SOURCE], on)[0]
    monkeypatch.undo()
    assert selecting.gate_open == branching.gate_open
    assert_same(selecting, branching)


def test_steps_leave_the_parameters_as_they_were() -> None:
    mucn = made()
    before = [p.detach().clone() for p in mucn.parameters()]
    ClosedForm(mucn, MetaLearning(alpha=0.3))([SOURCE], AGAINST)
    assert all(torch.equal(p, was) for p, was in zip(mucn.parameters(), before, strict=True))


def test_steps_of_many_tasks_equal_those_of_each() -> None:
    # z of D at θ is worked out once for all of them, and moved to every task's own θ′.
    config, mucn, tasks = MetaLearning(alpha=0.3, alpha_prime=0.2), made(), [SOURCE.clip(row) for row in range(9)]
    for found, task in zip(ClosedForm(mucn, config)(tasks, AGAINST), tasks, strict=True):
        assert_same(found, ClosedForm(mucn, config)([task], AGAINST)[0])


def passed(shape: Shape, theta: Theta) -> Pass:
    return shape.forward(theta.last, SOURCE.inputs @ theta.first, SOURCE)


def gradient(shape: Shape, theta: Theta) -> list[Tensor]:
    at = passed(shape, theta)
    return [at.c * one for one in closed_form.gradient(theta.last, at)]


def hessian_times(shape: Shape, theta: Theta, v: list[Tensor]) -> list[Tensor]:
    through = closed_form.hessian_vector_product(theta.last, passed(shape, theta), [one.clone() for one in v], 0.5)
    return [2 * (one - other) for one, other in zip(v, through, strict=True)]


def test_back_takes_differences_of_gradients_off() -> None:
    mucn, size = made(bias=True), 1e-6
    shape, theta = Shape(mucn.rho, mucn.scale), Theta.of(mucn)
    v = [random(*p.shape, seed=31 + n) for n, p in enumerate([theta.first, *theta.last])]
    sides = []
    for sign in (1, -1):
        beside = closed_form.step_along(theta, v, -sign * size)
        sides.append(gradient(shape, beside))
    for one, plus, minus in zip(hessian_times(shape, theta, v), *sides, strict=True):
        torch.testing.assert_close(one, (plus - minus) / (2 * size), rtol=0, atol=1e-7)


def data_of(clips: int = 96) -> ModalityData:
    data = ModalityData(*(random(*shape, seed=s) for shape, s in (((clips, 5), 41), ((clips, 5), 42), ((clips,), 43))),
                        labels=random(clips, seed=44))  # fmt: skip
    return dataclasses.replace(data, projected_prediction=data.labels + 0.5 * data.projected_prediction)


@pytest.mark.parametrize("epoch", [0, 3])
@pytest.mark.parametrize("gate", ["batch", "sample"])
@pytest.mark.parametrize("size", [8, 4], ids=["second pass", "low rank"])
def test_whole_epoch_equals_learn2learn(size: int, gate: str, epoch: int) -> None:
    config = MetaLearning(alpha=0.05, alpha_prime=0.02, meta_batch_size=size, extra_ratio=2, meta_epochs=4)
    config = dataclasses.replace(config, gate=gate)  # type: ignore[arg-type]
    data, ended = data_of(), []
    for way in (WithLearn2learn, ClosedForm):
        mucn = made()
        row = meta.train_epoch(mucn, data, 0.9 * data.labels, config, 1111, epoch, way)
        ended.append((row, [p.detach() for p in mucn.parameters()]))
    (expected_row, expected), (row, found) = ended
    assert 0 < row["gate_open"] < 1  # both branches were taken
    assert row == pytest.approx(expected_row, rel=1e-9)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_theta_is_the_network_itself() -> None:
    mucn = made(bias=True)
    before = [p.detach().clone() for p in mucn.parameters()]
    theta = Theta.of(mucn)
    for one, parameter, was in zip(theta.as_mucn(), mucn.parameters(), before, strict=True):
        assert torch.equal(one, was)  # laying it out changed no number
        assert one.data_ptr() == parameter.data_ptr()
    mucn.load_state_dict(made().state_dict(), strict=False)
    theta.first.add_(1)
    assert Theta.of(mucn).first.data_ptr() == theta.first.data_ptr()  # loading leaves them where they lie
    assert torch.equal(mucn.layers[0].bias, before[1] + 1)


def test_steps_in_the_same_room_equal_those_in_a_room_of_their_own() -> None:
    # The room of one step has the numbers of the step before in it, and a smaller D another size.
    config, mucn = MetaLearning(alpha=0.3, alpha_prime=0.2), made()
    warnings.simplefilter("error")  # torch makes a room that does not fit larger, and says so
    again = ClosedForm(mucn, config)
    for on in (AGAINST, ALIKE, AGAINST, task(12, -2.5, 31), AGAINST):
        assert_same(again([SOURCE], on)[0], ClosedForm(mucn, config)([SOURCE], on)[0])
