"""Stage 2: the meta-gradient of Eq. 23 worked out two other ways, an epoch step by step, and what a stage leaves.

The references for Eq. 23 are the function θ ↦ L_post(θ − α∇L(θ)), written with `torch.func.functional_call`, and, for a
module of two numbers, paper. learn2learn appears in neither.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from meta_cases import AGAINST, ALIKE, RHO, SOURCE, assert_same, config, data_of, double_mucn, expected_step, saved
from torch import Tensor, nn

from mugkit.config import MetaLearning
from mugkit.data.schema import MODALITIES
from mugkit.models.mug import MUCN
from mugkit.training import meta
from mugkit.training.checkpoint import Checkpoint
from mugkit.training.denoising import ModalityData, Step, Task
from mugkit.training.label_sources import source
from mugkit.training.maml import MAML
from mugkit.training.meta import ModalityMetaTrainer, Steps, WithLearn2learn, bilevel_step, correct
from mugkit.training.pretrain import SavedRepresentations

# --- one step: Eqs. 15, 20, 22, 23


@pytest.mark.parametrize("residual", ["paper", "scaled"])
@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("on", [AGAINST, ALIKE, None], ids=["gate closed", "gate open", "no multimodal task"])
def test_bilevel_step_equals_functional_call_and_writes_nothing(on: Task | None, residual: str, steps: int) -> None:
    mucn, settings = double_mucn(residual), config(alpha=0.3, alpha_prime=0.05, adaptation_steps=steps)
    before = [p.detach().clone() for p in mucn.parameters()]
    (step,) = WithLearn2learn(mucn, settings)([SOURCE], on)
    assert step.gate_open == (on is not AGAINST)
    assert_same(step, expected_step(mucn, SOURCE, on, settings))
    assert not any(p.requires_grad for p in step.parameters)
    for parameter, was in zip(mucn.parameters(), before, strict=True):
        assert torch.equal(parameter, was)
        assert parameter.grad is None


@pytest.mark.parametrize("way", [WithLearn2learn, meta.ClosedForm])
def test_gate_equal_losses_is_closed(way: meta.BilevelSteps) -> None:
    # 'post ≥ pre' takes Eq. 23; with α = 0 the two are equal and the meta-gradient is the plain gradient.
    mucn, settings = double_mucn(), config(alpha=0.0, alpha_prime=0.05)
    (step,) = way(mucn, settings)([SOURCE], AGAINST)
    AGAINST.loss(mucn).backward()
    assert step.pre == step.post
    assert not step.gate_open
    for parameter, proposed in zip(mucn.parameters(), step.parameters, strict=True):
        torch.testing.assert_close(proposed, parameter.detach() - 0.05 * parameter.grad, rtol=0, atol=1e-14)


class Product(nn.Module):
    """ŷ = a·b·x: linear in x, yet curved in its two parameters, so that the second order can be done on paper."""

    def __init__(self, a: float, b: float) -> None:
        super().__init__()
        self.a, self.b = (nn.Parameter(torch.tensor(v, dtype=torch.float64)) for v in (a, b))

    def forward(self, x: Tensor, noisy: Tensor) -> Tensor:
        return self.a * self.b * x[:, 0]


def single_clip(x: float, target: float) -> Task:
    values = torch.tensor([x, 0.0, target], dtype=torch.float64)
    return Task.of(values[:1].unsqueeze(0), values[1:2], values[2:])


def test_meta_gradient_closed_form_of_two_numbers() -> None:
    # L = t − abx (t above), so a′ = a + αxb and b′ = b + αxa. L_post = a′b′u − z (z below).
    a, b, alpha, alpha_prime, x, u = 0.7, -0.4, 0.5, 0.05, 2.0, 1.5
    learner = MAML(Product(a, b), lr=alpha, first_order=False)
    step = bilevel_step(learner, single_clip(x, 5.0), single_clip(u, -5.0), config(alpha_prime=alpha_prime))
    a_, b_ = a + alpha * x * b, b + alpha * x * a
    by_a = u * (1 * b_ + a_ * alpha * x)  # ∂a′/∂a = 1, ∂b′/∂a = αx
    by_b = u * (alpha * x * b_ + a_ * 1)
    assert (step.pre, step.post) == (pytest.approx(a * b * u + 5), pytest.approx(a_ * b_ * u + 5))
    assert not step.gate_open
    expected = [a - alpha_prime * by_a, b - alpha_prime * by_b]
    assert [p.item() for p in step.parameters] == pytest.approx(expected, abs=1e-14)
    assert abs(by_a - u * b_) > 0.1  # the first-order term alone is another number


class Spy:
    """Wraps the bi-level steps: notes the tasks, θ at the time, and what was proposed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[Task, Task | None, list[Tensor], Step]] = []
        self.original = meta.ClosedForm
        monkeypatch.setattr(meta, "ClosedForm", self)

    def __call__(self, mucn: MUCN, settings: MetaLearning) -> Steps:
        original = self.original(mucn, settings)

        def propose(unimodal: Sequence[Task], multimodal: Task | None) -> list[Step]:
            theta = [p.detach().clone() for p in mucn.parameters()]
            steps = original(unimodal, multimodal)
            self.calls += [(task, multimodal, theta, step) for task, step in zip(unimodal, steps, strict=True)]
            return steps

        return propose


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    return Spy(monkeypatch)


def assert_equal(found: Sequence[Tensor], expected: Sequence[Tensor], atol: float = 0.0) -> None:
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=atol)


def epoch_of(data: ModalityData, settings: MetaLearning) -> tuple[list[Tensor], dict[str, float]]:
    torch.manual_seed(0)
    mucn = MUCN(data.x.shape[1], 8, RHO)
    row = meta.train_epoch(mucn, data, torch.zeros(len(data.labels)), settings, 1111, 0)
    return [p.detach() for p in mucn.parameters()], row


def test_train_epoch_visits_every_clip_once_and_writes_each_proposal(spy: Spy) -> None:
    data = data_of(14)
    final, row = epoch_of(data, config())
    assert [len(call[0].target) for call in spy.calls] == [6, 6, 2]  # none dropped
    seen = torch.cat([call[0].target for call in spy.calls])
    assert sorted(seen.tolist()) == sorted(data.labels.tolist())
    for now, following in zip(spy.calls, spy.calls[1:], strict=False):
        assert_equal(following[2], now[3].parameters)
    assert_equal(final, spy.calls[-1][3].parameters)
    assert row["gate_open"] == pytest.approx(np.mean([call[3].gate_open for call in spy.calls]))
    assert row["post"] == pytest.approx(np.mean([call[3].post for call in spy.calls]))


def test_train_epoch_sample_gate_averages_one_task_a_clip(spy: Spy) -> None:
    final, _ = epoch_of(data_of(5), config(gate="sample"))
    assert [len(call[0].target) for call in spy.calls] == [1] * 5
    for call in spy.calls[1:]:  # all five start from the same θ and are judged on the same D
        assert_equal(call[2], spy.calls[0][2])
        assert call[1] is spy.calls[0][1]
    mean = [torch.stack(same).mean(0) for same in zip(*(call[3].parameters for call in spy.calls), strict=True)]
    assert_equal(final, mean, atol=1e-7)


def test_train_epoch_without_multimodal_denoising_has_no_second_task(spy: Spy) -> None:
    _, row = epoch_of(data_of(), config(multimodal_denoising=False))
    assert [call[1] for call in spy.calls] == [None, None]
    assert row["gate_open"] == 1.0
    assert math.isnan(row["pre"])


def test_learning_hands_each_epoch_the_labels_after_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Tensor] = []
    original = meta.train_epoch

    def noted(mucn: MUCN, data: ModalityData, previous: Tensor, *rest: Any) -> dict[str, float]:
        given.append(previous.clone())
        return original(mucn, data, previous, *rest)

    monkeypatch.setattr(meta, "train_epoch", noted)
    learning = ModalityMetaTrainer(data_of(), "a", config(lambda_init=0.9), RHO, 1, Checkpoint())
    learning.learn()
    assert_equal(given, [data_of().labels, *learning.trajectory[:-1]])
    assert [row["lambda"] for row in learning.history] == pytest.approx([0.9, 0.81, 0.729, 0.6561])


def test_learning_takes_second_order_steps_of_its_learning_rates(spy: Spy) -> None:
    # Every step of a whole run against the reference, at the parameters and tasks of that moment.
    settings, mucn = config(alpha=0.3, alpha_prime=0.05, noise_std=2.0), MUCN(4, 8, RHO)
    ModalityMetaTrainer(data_of(40), "a", settings, RHO, 1, Checkpoint()).learn()
    for unimodal, multimodal, theta, step in spy.calls:
        nn.utils.vector_to_parameters(torch.cat([p.flatten() for p in theta]), mucn.parameters())
        assert_same(step, expected_step(mucn, unimodal, multimodal, settings), atol=1e-6)
    assert 3 < sum(call[3].gate_open for call in spy.calls) < len(spy.calls) - 3  # both branches, often


@pytest.mark.parametrize("label_input", ["multimodal", "prediction"])
def test_correct_feeds_label_without_noise(label_input: str) -> None:
    mucn, data = MUCN(4, 8, RHO), data_of()
    given = data.labels if label_input == "multimodal" else data.projected_prediction
    out = correct(mucn, data, config(label_input=label_input))
    assert torch.equal(out, mucn(data.x, given).detach())
    assert not out.requires_grad


def learn(folder: Path, given: SavedRepresentations | None = None, rho: float = RHO, **changes: Any) -> Any:
    folder.mkdir(exist_ok=True)
    return meta.meta_learn(given or saved(), config(**changes), rho, 1111, folder)


@pytest.mark.parametrize("rho", [1.0, 3.0])
def test_meta_learn_labels_stay_within_scale_and_move_and_nothing_else_does(tmp_path: Path, rho: float) -> None:
    given, before = saved(), saved()
    learned = learn(tmp_path, given, rho)
    for m in MODALITIES:
        assert learned.labels[m].abs().max() < rho
        assert not learned.labels[m].requires_grad
        assert learned.trajectory[m].shape == (4, 12)
        assert torch.equal(learned.labels[m], learned.trajectory[m][-1])
        assert not torch.equal(learned.labels[m], learned.trajectory[m][0])
        for part in ("unimodal", "projected", "projected_prediction"):
            assert torch.equal(getattr(given, part)[m], getattr(before, part)[m])
    assert torch.equal(given.labels, before.labels)


def test_meta_learn_denoises(tmp_path: Path) -> None:
    # Representations that give the label away: MUCN must recover labels that it sees under noise of σ = 1.
    learned = learn(tmp_path, saved(100), meta_epochs=24, alpha=0.1)
    for m in MODALITIES:
        rows = learned.history[learned.history["modality"] == m]
        assert rows["unimodal"].iloc[8:12].mean() < 0.9 * rows["unimodal"].iloc[0]  # before Eq. 16
        assert np.corrcoef(learned.labels[m], saved(100).labels)[0, 1] > 0.8


def test_meta_learn_modalities_are_learned_apart_with_noise_of_their_own(tmp_path: Path) -> None:
    twins = saved()
    for part in (twins.unimodal, twins.projected):
        part["v"] = part["a"]
    other, first = learn(tmp_path / "1", twins).labels, learn(tmp_path / "2").labels
    assert {m for m in MODALITIES if not torch.equal(first[m], other[m])} == {"v"}
    assert not torch.equal(other["a"], other["v"])


def test_learned_labels_round_trip(tmp_path: Path) -> None:
    learned, loaded = learn(tmp_path, multimodal_denoising=False), source.LearnedLabels.load(tmp_path)
    for m in MODALITIES:
        assert torch.equal(loaded.labels[m], learned.labels[m])
        assert torch.equal(loaded.trajectory[m], learned.trajectory[m])
    assert loaded.history["unimodal"].tolist() == learned.history["unimodal"].tolist()
    assert loaded.history["pre"].isna().all()  # undefined, and written as null: JSON has no NaN
    assert loaded.history["modality"].tolist() == [m for m in MODALITIES for _ in range(4)]
