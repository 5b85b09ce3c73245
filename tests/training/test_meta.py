"""Stage 2: the meta-gradient of Eq. 23 worked out four ways, its gate, its targets, its tasks, and its bookkeeping.

The reference for Eq. 23 is the function θ ↦ L_post(θ − α∇L(θ)), written here with `torch.func.functional_call`,
with central differences, and, for a module of two numbers, on paper. learn2learn appears in none of them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from small import StopAt, hashes
from torch import Tensor, nn

from mugkit.config import MetaLearning
from mugkit.data.schema import MODALITIES
from mugkit.models.mug import MUCN
from mugkit.training import denoising, meta
from mugkit.training.checkpoint import Checkpoint
from mugkit.training.denoising import ModalityData, Step, Task
from mugkit.training.label_sources import source
from mugkit.training.maml import MAML
from mugkit.training.meta import ModalityMetaTrainer, Steps, bilevel_step, correct
from mugkit.training.pretrain import SavedRepresentations

ALPHA, ALPHA_PRIME = 0.3, 0.05


def config(**changes: Any) -> MetaLearning:
    """Two batches of 12 clips, four epochs: Eq. 16 replaces Eq. 14 after two of them."""
    base = {"meta_epochs": 4, "meta_batch_size": 6, "extra_ratio": 1, "mucn_width": 8, "alpha": 0.05}
    return dataclasses.replace(MetaLearning(), **(base | changes))


def saved(clips: int = 12, seed: int = 0) -> SavedRepresentations:
    draw = torch.Generator().manual_seed(seed)
    labels = 6 * torch.rand(clips, generator=draw) - 3

    def around(dim: int) -> Tensor:
        return torch.tanh(labels.unsqueeze(1) + torch.randn(clips, dim, generator=draw))

    x, projected = ({m: around(dim) for m, dim in zip(MODALITIES, (5, 4, 3), strict=True)} for _ in range(2))
    return SavedRepresentations(x, projected, dict.fromkeys(MODALITIES, labels + 0.3), labels)


# --- Eqs. 15 and 23: the gradient through a gradient step


def task(seed: int, clips: int, towards: float) -> Task:
    """Clips whose target is `towards` on top of the noisy label's own side: opposite signs give opposite steps."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(clips, 3, generator=draw, dtype=torch.float64)
    noisy = 0.3 * torch.randn(clips, generator=draw, dtype=torch.float64)
    return Task.of(x, noisy, torch.full_like(noisy, towards))


# A step towards +2.5 on S makes MUCN worse on D, whose labels are −2.5: the gate closes. On like labels it opens.
SOURCE, AGAINST, ALIKE = task(1, 5, 2.5), task(2, 9, -2.5), task(2, 9, 2.5)


def small_mucn(residual: str = "paper") -> MUCN:
    torch.manual_seed(3)
    return MUCN(3, 4, 3.0, residual).double()


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone().requires_grad_() for name, p in module.named_parameters()}


def loss_at(module: nn.Module, theta: dict[str, Tensor], on: Task) -> Tensor:
    return (torch.func.functional_call(module, theta, (on.x, on.noisy)) - on.target).abs().mean()


def stepped(module: nn.Module, theta: dict[str, Tensor], on: Task, alpha: float, steps: int = 1) -> dict[str, Tensor]:
    """θ′: plain gradient steps, kept differentiable."""
    for _ in range(steps):
        grads = torch.autograd.grad(loss_at(module, theta, on), list(theta.values()), create_graph=True)
        theta = {name: p - alpha * g for (name, p), g in zip(theta.items(), grads, strict=True)}
    return theta


def meta_gradient(module: nn.Module, steps: int = 1) -> list[Tensor]:
    theta = weights(module)
    post = loss_at(module, stepped(module, theta, SOURCE, ALPHA, steps), AGAINST)
    return list(torch.autograd.grad(post, list(theta.values())))


def first_order_gradient(module: nn.Module) -> list[Tensor]:
    """What forgetting the inner step would give: ∇L_post at θ′ as if θ′ did not depend on θ."""
    adapted = stepped(module, weights(module), SOURCE, ALPHA)
    leaves = {name: p.detach().requires_grad_() for name, p in adapted.items()}
    return list(torch.autograd.grad(loss_at(module, leaves, AGAINST), list(leaves.values())))


def take(module: nn.Module, on: Task | None, steps: int = 1, alpha: float = ALPHA) -> Step:
    settings = config(alpha_prime=ALPHA_PRIME, adaptation_steps=steps)
    return bilevel_step(MAML(module, lr=alpha, first_order=False), SOURCE, on, settings)


def moved(module: nn.Module, step: Step) -> list[Tensor]:
    """The gradient that a closed gate's proposal implies."""
    return [(p.detach() - q) / ALPHA_PRIME for p, q in zip(module.parameters(), step.parameters, strict=True)]


def assert_equal(got: list[Tensor], expected: list[Tensor], atol: float) -> None:
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=atol)


@pytest.mark.parametrize("residual", ["paper", "scaled"])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_meta_gradient_equals_functional_call(residual: str, steps: int) -> None:
    mucn = small_mucn(residual)
    step = take(mucn, AGAINST, steps)
    assert not step.gate_open
    assert_equal(moved(mucn, step), meta_gradient(mucn, steps), atol=1e-13)


def test_meta_gradient_equals_central_differences() -> None:
    mucn, h = small_mucn(), 1e-6
    got = moved(mucn, take(mucn, AGAINST))
    for place, (name, values) in enumerate(weights(mucn).items()):
        numeric = torch.zeros_like(values)
        for index in np.ndindex(*values.shape):
            sides = []
            for sign in (1, -1):
                theta = weights(mucn)
                with torch.no_grad():
                    theta[name][index] += sign * h
                sides.append(loss_at(mucn, stepped(mucn, theta, SOURCE, ALPHA), AGAINST).item())
            numeric[index] = (sides[0] - sides[1]) / (2 * h)
        torch.testing.assert_close(got[place], numeric.detach(), rtol=0, atol=1e-7)


def test_meta_gradient_is_not_first_order() -> None:
    mucn = small_mucn()
    first = first_order_gradient(mucn)
    apart = max((a - b).abs().max().item() for a, b in zip(moved(mucn, take(mucn, AGAINST)), first, strict=True))
    assert apart > 0.01  # hundred thousand times what the tests above allow
    lazy = bilevel_step(MAML(mucn, lr=ALPHA, first_order=True), SOURCE, AGAINST, config(alpha_prime=ALPHA_PRIME))
    assert_equal(moved(mucn, lazy), first, atol=1e-13)  # and those tests would notice


class Product(nn.Module):
    """ŷ = a·b·x: linear in x, yet curved in its two parameters, so that the second order can be done on paper."""

    def __init__(self, a: float, b: float) -> None:
        super().__init__()
        self.a, self.b = (nn.Parameter(torch.tensor(v, dtype=torch.float64)) for v in (a, b))

    def forward(self, x: Tensor, noisy: Tensor) -> Tensor:
        return self.a * self.b * x[:, 0]


def one_clip(x: float, target: float) -> Task:
    values = torch.tensor([x, 0.0, target], dtype=torch.float64)
    return Task.of(values[:1].unsqueeze(0), values[1:2], values[2:])


def test_meta_gradient_closed_form_of_two_numbers() -> None:
    # L = t − abx (t above), so a′ = a + αxb and b′ = b + αxa. L_post = a′b′u − z (z below).
    a, b, alpha, x, u = 0.7, -0.4, 0.5, 2.0, 1.5
    module = Product(a, b)
    source, against = one_clip(x, 5.0), one_clip(u, -5.0)
    step = bilevel_step(MAML(module, lr=alpha, first_order=False), source, against, config(alpha_prime=ALPHA_PRIME))
    a_, b_ = a + alpha * x * b, b + alpha * x * a
    by_a = u * (1 * b_ + a_ * alpha * x)  # ∂a′/∂a = 1, ∂b′/∂a = αx
    by_b = u * (alpha * x * b_ + a_ * 1)
    assert (step.pre, step.post) == (pytest.approx(a * b * u + 5), pytest.approx(a_ * b_ * u + 5))
    assert not step.gate_open
    assert [p.item() for p in step.parameters] == [
        pytest.approx(a - ALPHA_PRIME * by_a, abs=1e-14),
        pytest.approx(b - ALPHA_PRIME * by_b, abs=1e-14),
    ]
    assert abs(by_a - u * b_) > 0.1  # the first-order term alone is another number


# --- the gate: Eqs. 20, 22, 23


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("on", [ALIKE, None], ids=["gate open", "no multimodal task"])
def test_gate_open_proposes_exactly_the_inner_steps(on: Task | None, steps: int) -> None:
    mucn = small_mucn()
    step = take(mucn, on, steps)
    assert step.gate_open
    assert step.post < step.pre if on else math.isnan(step.pre) and math.isnan(step.post)
    assert_equal(step.parameters, list(stepped(mucn, weights(mucn), SOURCE, ALPHA, steps).values()), atol=1e-14)


def test_gate_equal_losses_is_closed() -> None:
    # 'post ≥ pre' takes Eq. 23; with α = 0 the two are equal and the meta-gradient is the plain gradient.
    mucn = small_mucn()
    step = take(mucn, AGAINST, alpha=0.0)
    theta = weights(mucn)
    plain = list(torch.autograd.grad(loss_at(mucn, theta, AGAINST), list(theta.values())))
    assert step.pre == step.post
    assert not step.gate_open
    assert_equal(moved(mucn, step), plain, atol=1e-13)


@pytest.mark.parametrize("on", [ALIKE, AGAINST])
def test_gate_reports_losses_before_and_after_the_step(on: Task) -> None:
    mucn = small_mucn()
    theta = weights(mucn)
    step = take(mucn, on)
    assert step.unimodal == pytest.approx(loss_at(mucn, theta, SOURCE).item(), abs=1e-14)
    assert step.pre == pytest.approx(loss_at(mucn, theta, on).item(), abs=1e-14)
    assert step.post == pytest.approx(loss_at(mucn, stepped(mucn, theta, SOURCE, ALPHA), on).item(), abs=1e-14)


@pytest.mark.parametrize("on", [ALIKE, AGAINST, None])
def test_bilevel_step_proposes_without_writing(on: Task | None) -> None:
    mucn = small_mucn()
    before = weights(mucn)
    step = take(mucn, on)
    assert all(torch.equal(p, before[name]) for name, p in mucn.named_parameters())
    assert all(p.grad is None for p in mucn.parameters())
    assert not any(p.requires_grad for p in step.parameters)


# --- Eqs. 13, 19, 21: what the tasks are made of


def data_of(clips: int = 12, **changes: Any) -> ModalityData:
    return ModalityData.of(saved(clips), "a", config(**changes))


def test_unimodal_task_by_hand() -> None:
    data, batch, noise = data_of(), torch.tensor([3, 0]), torch.tensor([0.5, -1.0])
    (on,) = denoising.unimodal_tasks(data, batch[None], torch.arange(12.0), noise[None])
    assert torch.equal(on.x, data.x[batch])
    assert torch.equal(on.noisy, torch.stack([data.labels[3] + 0.5, data.labels[0] - 1.0]))
    assert on.target.tolist() == [3.0, 0.0]


def test_multimodal_task_by_hand() -> None:
    data, chosen, noise = data_of(), torch.tensor([3, 0]), torch.tensor([0.5, -1.0])
    (on,) = denoising.multimodal_tasks(data, chosen[None], noise[None])
    assert torch.equal(on.x, data.projected[chosen])
    prediction = data.projected_prediction
    assert torch.equal(on.noisy, torch.stack([prediction[3] + 0.5, prediction[0] - 1.0]))
    assert torch.equal(on.target, data.labels[chosen])


@pytest.mark.parametrize("normalise", [True, False])
def test_modality_data_normalises_representations_if_asked(normalise: bool) -> None:
    given, data = saved(), data_of(normalise_representations=normalise)
    x, projected = given.unimodal["a"], given.projected["a"]
    if normalise:
        x, projected = (v / v.square().sum(1, keepdim=True).sqrt() for v in (x, projected))
    torch.testing.assert_close(data.x, x)
    torch.testing.assert_close(data.projected, projected)
    assert torch.equal(data.labels, given.labels)


@pytest.mark.parametrize(
    ("batch", "clips", "ratio", "size"),
    [
        (4, 100, 10, 44),
        (4, 100, 0, 4),
        (4, 20, 10, 20),  # fewer others than wanted: all of them
        (4, 4, 10, 4),  # nobody else
        (1, 12, 10, 11),
        (4, 5000, 10, 44),  # a few among many
        (4, 5000, 0, 4),
    ],
)
def test_multimodal_set_is_batch_and_others_without_duplicates(batch: int, clips: int, ratio: int, size: int) -> None:
    chosen = torch.randperm(clips, generator=torch.Generator().manual_seed(0))[:batch]
    d = denoising.multimodal_sets(chosen[None], clips, ratio, torch.Generator().manual_seed(1))[0]
    assert d[:batch].tolist() == chosen.tolist()
    assert len(d) == len(set(d.tolist())) == size
    assert set(d.tolist()) <= set(range(clips))


def test_multimodal_set_others_are_random_and_reach_everyone() -> None:
    draw, batch = torch.Generator().manual_seed(0), torch.arange(3)
    drawn = [frozenset(denoising.multimodal_sets(batch[None], 20, 1, draw)[0, 3:].tolist()) for _ in range(60)]
    assert len(set(drawn)) > 20
    assert frozenset().union(*drawn) == frozenset(range(3, 20))


def test_multimodal_set_few_among_many_are_as_likely_as_any() -> None:
    draw, batch = torch.Generator().manual_seed(0), torch.arange(5)
    counts = torch.zeros(1000)
    for _ in range(4000):
        counts[denoising.multimodal_sets(batch[None], 1000, 10, draw)[0, 5:]] += 1
    assert counts[:5].sum() == 0
    expected = 4000 * 50 / 995
    assert scipy.stats.chisquare(counts[5:], [expected] * 995).pvalue > 0.01


# --- Eqs. 16–18: the targets


@pytest.mark.parametrize(
    ("epochs", "halfway", "mixed"),
    [(4, 0.5, [2, 3]), (5, 0.5, [3, 4]), (1, 0.5, []), (4, 0.25, [1, 2, 3]), (2, 0.0, [0, 1]), (4, 1.0, [])],
)
def test_unimodal_targets_switch_after_halfway(epochs: int, halfway: float, mixed: list[int]) -> None:
    y, previous, settings = torch.zeros(3), torch.ones(3), config(meta_epochs=epochs, halfway=halfway)
    assert [e for e in range(epochs) if denoising.unimodal_targets(y, previous, e, settings).any()] == mixed


def test_unimodal_targets_after_halfway_by_hand() -> None:
    y, previous = torch.tensor([1.0, -2.0]), torch.tensor([3.0, 0.0])
    targets = denoising.unimodal_targets(y, previous, 2, config(lambda_init=0.5))  # λ = 0.5³ = 0.125
    assert targets.tolist() == pytest.approx([0.125 * 3 + 0.875 * 1, 0.875 * -2])


def test_unimodal_targets_send_no_gradient_to_previous_labels() -> None:
    previous = torch.ones(3, requires_grad=True)
    assert not denoising.unimodal_targets(torch.zeros(3), previous, 3, config()).requires_grad


def test_learning_hands_each_epoch_the_labels_after_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Tensor] = []
    original = meta.train_epoch

    def spy(mucn: MUCN, data: ModalityData, previous: Tensor, *rest: Any) -> dict[str, float]:
        given.append(previous.clone())
        return original(mucn, data, previous, *rest)

    monkeypatch.setattr(meta, "train_epoch", spy)
    learning = ModalityMetaTrainer(data_of(), "a", config(lambda_init=0.9), 3.0, 1, Checkpoint())
    learning.learn()
    trajectory, history = learning.trajectory, learning.history
    assert torch.equal(given[0], data_of().labels)
    assert all(torch.equal(given[e], trajectory[e - 1]) for e in (1, 2, 3))
    assert [row["lambda"] for row in history] == pytest.approx([0.9, 0.81, 0.729, 0.6561])


def test_learning_takes_second_order_steps_of_its_learning_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    # Every step of a whole run against the reference above, at the parameters and tasks of that moment.
    spy, settings = Spy(monkeypatch), config(alpha=0.3, alpha_prime=ALPHA_PRIME, noise_std=2.0)
    ModalityMetaTrainer(data_of(40), "a", settings, 3.0, 1, Checkpoint()).learn()
    mucn = MUCN(4, 8, 3.0)
    for unimodal, multimodal, theta, step in spy.calls:
        assert multimodal is not None
        torch.nn.utils.vector_to_parameters(torch.cat([p.flatten() for p in theta]), mucn.parameters())
        start = weights(mucn)
        adapted = stepped(mucn, start, unimodal, 0.3)
        expected = [p.detach() for p in adapted.values()]
        if not step.gate_open:
            grads = torch.autograd.grad(loss_at(mucn, adapted, multimodal), list(start.values()))
            expected = [p.detach() - ALPHA_PRIME * g for p, g in zip(start.values(), grads, strict=True)]
        assert_equal(step.parameters, expected, atol=1e-6)
    assert 3 < sum(call[3].gate_open for call in spy.calls) < len(spy.calls) - 3  # both branches, often


# --- an epoch


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


def one_epoch(data: ModalityData, settings: MetaLearning, epoch: int = 0) -> tuple[list[Tensor], dict[str, float]]:
    torch.manual_seed(0)
    mucn = MUCN(data.x.shape[1], 8, 3.0)
    row = meta.train_epoch(mucn, data, torch.zeros(len(data.labels)), settings, 1111, epoch)
    return [p.detach() for p in mucn.parameters()], row


def test_train_epoch_visits_every_clip_once_and_writes_each_proposal(monkeypatch: pytest.MonkeyPatch) -> None:
    spy, data = Spy(monkeypatch), data_of(14)
    final, row = one_epoch(data, config())
    assert [len(call[0].target) for call in spy.calls] == [6, 6, 2]  # none dropped
    seen = torch.cat([call[0].target for call in spy.calls])
    assert sorted(seen.tolist()) == sorted(data.labels.tolist())
    for now, following in zip(spy.calls, spy.calls[1:], strict=False):
        assert_equal(following[2], now[3].parameters, atol=0)
    assert_equal(final, spy.calls[-1][3].parameters, atol=0)
    assert row["gate_open"] == pytest.approx(np.mean([call[3].gate_open for call in spy.calls]))
    assert row["post"] == pytest.approx(np.mean([call[3].post for call in spy.calls]))


def test_train_epoch_sample_gate_averages_one_task_a_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    spy = Spy(monkeypatch)
    final, _ = one_epoch(data_of(5), config(gate="sample"))
    assert [len(call[0].target) for call in spy.calls] == [1] * 5
    for call in spy.calls[1:]:  # all five start from the same θ and are judged on the same D
        assert_equal(call[2], spy.calls[0][2], atol=0)
        assert call[1] is spy.calls[0][1]
    mean = [torch.stack(same).mean(0) for same in zip(*(call[3].parameters for call in spy.calls), strict=True)]
    assert_equal(final, mean, atol=1e-7)


def test_train_epoch_without_multimodal_denoising_has_no_second_task(monkeypatch: pytest.MonkeyPatch) -> None:
    spy = Spy(monkeypatch)
    _, row = one_epoch(data_of(), config(multimodal_denoising=False))
    assert [call[1] for call in spy.calls] == [None, None]
    assert row["gate_open"] == 1.0
    assert math.isnan(row["pre"])


def noises(monkeypatch: pytest.MonkeyPatch, std: float, epoch: int = 0) -> tuple[Tensor, Tensor]:
    """The noise on S and on S ∪ S′ of one batch of 600 clips, told from the tasks themselves."""
    spy, data = Spy(monkeypatch), data_of(600)
    settings = config(noise_std=std, meta_batch_size=600)
    one_epoch(data, settings, epoch)
    unimodal, multimodal, _, _ = spy.calls[-1]
    assert multimodal is not None
    return unimodal.noisy - unimodal.target, multimodal.noisy - (multimodal.target + 0.3)


@pytest.mark.parametrize("std", [1.0, 0.3])
def test_train_epoch_noise_is_standard_normal_times_std(monkeypatch: pytest.MonkeyPatch, std: float) -> None:
    for noise in noises(monkeypatch, std):
        assert noise.mean().item() == pytest.approx(0, abs=0.15 * std)
        assert noise.std().item() == pytest.approx(std, rel=0.1)
        assert 0.25 < (noise.abs() > std).float().mean() < 0.39  # 0.317 of a normal lies outside ±σ


def test_train_epoch_noises_are_independent_of_each_other_and_of_the_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    (on_s, on_d), (later, _) = noises(monkeypatch, 1.0), noises(monkeypatch, 1.0, epoch=1)
    for one, other in ((on_s, on_d), (on_s, later)):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.15


# --- the whole stage


def learn(
    folder: Path, seed: int = 1111, given: SavedRepresentations | None = None, **changes: Any
) -> dict[str, Tensor]:
    folder.mkdir(parents=True, exist_ok=True)
    return dict(meta.meta_learn(given or saved(), config(**changes), 3.0, seed, folder).labels)


@pytest.mark.parametrize("label_input", ["multimodal", "prediction"])
def test_correct_feeds_label_without_noise(label_input: str) -> None:
    mucn, data = MUCN(4, 8, 3.0), data_of()
    given = data.labels if label_input == "multimodal" else data.projected_prediction
    out = correct(mucn, data, config(label_input=label_input))
    assert torch.equal(out, mucn(data.x, given).detach())
    assert not out.requires_grad


def test_meta_learn_moves_nothing_but_mucn(tmp_path: Path) -> None:
    given, before = saved(), saved()
    learned = learn(tmp_path, given=given)
    for part in ("unimodal", "projected", "projected_prediction"):
        for m in MODALITIES:
            values = getattr(given, part)[m]
            assert torch.equal(values, getattr(before, part)[m])
            assert not values.requires_grad
            assert values.grad is None
    assert torch.equal(given.labels, before.labels)
    assert not any(values.requires_grad for values in learned.values())


def test_draw_to_another_device_moves_every_part() -> None:
    # 'meta' stands for any other device: shapes without numbers.
    for multimodal in (True, False):
        for one in denoising.step_samples(14, config(multimodal_denoising=multimodal), 1111, 0):
            other = one.to(torch.device("meta"))
            for field in dataclasses.fields(denoising.StepSample):
                before, after = getattr(one, field.name), getattr(other, field.name)
                if before is None:
                    assert after is None
                else:
                    assert (after.shape, after.dtype, after.device.type) == (before.shape, before.dtype, "meta")


@pytest.mark.parametrize("rho", [1.0, 3.0])
def test_meta_learn_labels_stay_within_scale_and_move(tmp_path: Path, rho: float) -> None:
    learned = meta.meta_learn(saved(), config(), rho, 1, tmp_path)
    for m in MODALITIES:
        assert learned.labels[m].abs().max() < rho
        assert not torch.equal(learned.trajectory[m][0], learned.trajectory[m][-1])
        assert torch.equal(learned.labels[m], learned.trajectory[m][-1])
        assert learned.trajectory[m].shape == (4, 12)


def test_meta_learn_denoises(tmp_path: Path) -> None:
    # Representations that give the label away: MUCN must recover labels that it sees under noise of σ = 1.
    learned = meta.meta_learn(saved(100), config(meta_epochs=24, alpha=0.1), 3.0, 1, tmp_path)
    for m in MODALITIES:
        rows = learned.history[learned.history["modality"] == m]
        assert rows["unimodal"].iloc[8:12].mean() < 0.9 * rows["unimodal"].iloc[0]  # before Eq. 16
        assert np.corrcoef(learned.labels[m], saved(100).labels)[0, 1] > 0.8


def test_meta_learn_modalities_are_learned_apart(tmp_path: Path) -> None:
    other = saved()
    other.unimodal["v"].neg_()
    one, two = learn(tmp_path / "1"), learn(tmp_path / "2", given=other)
    assert {m for m in MODALITIES if not torch.equal(one[m], two[m])} == {"v"}


def test_meta_learn_modalities_draw_their_own_noise(tmp_path: Path) -> None:
    twins = saved()
    for part in (twins.unimodal, twins.projected):
        part["v"] = part["a"]
    learned = learn(tmp_path, given=twins)
    assert not torch.equal(learned["a"], learned["v"])


def test_meta_learn_same_seed_same_bytes_other_seed_other_labels(tmp_path: Path) -> None:
    for name, seed in (("1", 1111), ("2", 1111), ("3", 1112)):
        torch.manual_seed(int(name))  # the process's own random state decides nothing
        learn(tmp_path / name, seed)
    assert hashes(tmp_path / "1") == hashes(tmp_path / "2")
    assert set(hashes(tmp_path / "1")) == {"labels.safetensors", "history.json"}
    assert hashes(tmp_path / "1")["labels.safetensors"] != hashes(tmp_path / "3")["labels.safetensors"]


@pytest.mark.parametrize("call", [3, 12])  # within the first modality; the last of all
def test_meta_learn_interrupted_then_resumed_equals_uninterrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    learn(tmp_path / "whole")
    checkpoint, folder = Checkpoint(tmp_path / "partial" / "checkpoint.pt"), tmp_path / "resumed"
    folder.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(meta, "train_epoch", StopAt(meta.train_epoch, call))
        with pytest.raises(KeyboardInterrupt):
            meta.meta_learn(saved(), config(), 3.0, 1111, folder, checkpoint)
    assert hashes(folder) == {}
    rest = StopAt(meta.train_epoch, 1000)
    monkeypatch.setattr(meta, "train_epoch", rest)
    meta.meta_learn(saved(), config(), 3.0, 1111, folder, checkpoint)
    assert 1000 - rest.left == 12 - (call - 1)  # finished epochs are not done again
    assert hashes(folder) == hashes(tmp_path / "whole")


def test_learned_labels_round_trip(tmp_path: Path) -> None:
    learned = meta.meta_learn(saved(), config(multimodal_denoising=False), 3.0, 1111, tmp_path)
    loaded = source.LearnedLabels.load(tmp_path)
    for m in MODALITIES:
        assert torch.equal(loaded.labels[m], learned.labels[m])
        assert torch.equal(loaded.trajectory[m], learned.trajectory[m])
    assert loaded.history["unimodal"].tolist() == learned.history["unimodal"].tolist()
    assert loaded.history["pre"].isna().all()  # undefined, and written as null: JSON has no NaN
    assert loaded.history["modality"].tolist() == [m for m in MODALITIES for _ in range(4)]
