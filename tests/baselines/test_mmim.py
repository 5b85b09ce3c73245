"""MMIM: its bounds against SciPy and loops, who trains what, what is remembered, and its size."""

import copy

import numpy as np
import pytest
import torch
from batches import SHAPES, pooled_batch, random
from scipy import stats
from torch import Tensor

from mugkit.baselines.mmim import MMIM, RIDGE, Conditional, MMIMConfig, mixture_entropy
from mugkit.models.losses import info_nce

SMALL = MMIMConfig(visual=4, acoustic=3, d=8, fusion=10, dropout=0.0)


@pytest.fixture
def mmim() -> MMIM:
    torch.manual_seed(0)
    return MMIM(SHAPES, None, SMALL)


def test_conditional_is_a_gaussian_log_density_but_for_its_constant() -> None:
    torch.manual_seed(0)
    q, x, y = Conditional(6, 4).double(), random(5, 6).double(), random(5, 4, seed=1).double()
    mean, variance = q.mean(x).detach().numpy(), q.log_variance(x).tanh().exp().detach().numpy()
    density = stats.norm.logpdf(y.numpy(), mean, np.sqrt(variance)).sum(1).mean()
    assert q(x, y).item() == pytest.approx(density + 0.5 * 4 * np.log(2 * np.pi))


def entropy_of(positive: Tensor, negative: Tensor) -> Tensor:
    labels = torch.cat([torch.ones(len(positive)), -torch.ones(len(negative))])
    return mixture_entropy(torch.cat([positive, negative]), labels)


def test_mixture_entropy_equals_determinants_by_hand() -> None:
    classes = random(9, 3).double(), random(6, 3, seed=1).double() * 2
    expected = 0.0
    for x in classes:
        centred = x.numpy() - x.numpy().mean(0)
        covariance = sum(np.outer(row, row) for row in centred) / len(centred) + RIDGE * np.eye(3)
        expected += 0.25 * np.log(np.linalg.det(covariance))
    assert entropy_of(*classes).item() == pytest.approx(expected)
    unlabelled = random(5, 3, seed=2).double() + 9  # y = 0 is in neither class
    x, labels = torch.cat([unlabelled, *classes]), torch.tensor([0.0] * 5 + [1.0] * 9 + [-1.0] * 6)
    assert mixture_entropy(x, labels).item() == pytest.approx(expected)


@pytest.mark.parametrize("sizes", [(0, 5), (5, 0), (1, 5), (5, 1)])
def test_mixture_entropy_of_a_class_without_two_clips_is_left_out(sizes: tuple[int, int]) -> None:
    x = random(sizes[0], 3).requires_grad_()
    found = entropy_of(x, random(sizes[1], 3))
    found.backward()
    assert found.item() == 0.0
    assert not x.grad.any()


def test_loss_is_task_and_contrast_minus_bound(mmim: MMIM) -> None:
    clips = pooled_batch(12)
    found = mmim.loss(clips, 0)  # q has moved before it was used: what is compared comes after
    h = mmim.features(clips)
    z = torch.tanh(mmim.fusion.layers[2](torch.tanh(mmim.fusion.layers[0](torch.cat([h["l"], h["a"], h["v"]], -1)))))
    task = (mmim.fusion.output(z)[:, 0] - clips.labels).abs().mean()
    cpc = sum(info_nce(h[m], mmim.guesses[m](z), 1.0) for m in "lav")
    likelihood = sum(mmim.q[m](h["l"], h[m]) for m in "av")
    entropy = sum(mixture_entropy(mmim.projections[m](h[m]), clips.labels) for m in "av")
    torch.testing.assert_close(found, task + 0.1 * cpc - 0.1 * (likelihood + entropy))


def test_fitting_q_raises_the_likelihood_and_moves_nothing_else(mmim: MMIM) -> None:
    h = mmim.features(pooled_batch(12))
    before, likelihood = {k: v.clone() for k, v in mmim.state_dict().items()}, mmim.log_likelihood(h).item()
    for _ in range(20):
        mmim.fit_q(h)
    moved = {name for name, value in mmim.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == set(mmim.trained_apart)
    assert mmim.log_likelihood(h).item() > likelihood + 0.1
    assert all(p.grad is None for p in mmim.parameters())
    assert not any(p.requires_grad for p in mmim.q.parameters())  # the second half leaves q alone


def test_entropy_counts_the_batch_before_and_forgets_older_ones_and_epochs(mmim: MMIM) -> None:
    batches = [pooled_batch(12, seed=100 * i) for i in range(3)]
    features = [{m: mmim.projections[m](mmim.features(b)[m]) for m in "av"} for b in batches]
    found = [mmim.entropy(mmim.features(b), b.labels) for b in batches]
    labels = torch.cat([b.labels for b in batches[1:]])
    both = {m: torch.cat([f[m] for f in features[1:]]) for m in "av"}
    expected = sum(mixture_entropy(x, labels) for x in both.values())
    torch.testing.assert_close(found[2], expected)
    assert not any(x.requires_grad for remembered in mmim.memory.values() for x in remembered)
    mmim.begin_epoch(None, 1, 1111)  # type: ignore[arg-type]
    torch.testing.assert_close(mmim.entropy(mmim.features(batches[0]), batches[0].labels), found[0])


def test_restored_state_fits_q_as_an_uninterrupted_run(mmim: MMIM) -> None:
    batches = [pooled_batch(12, seed=100 * i) for i in range(4)]
    for clips in batches[:2]:
        mmim.fit_q(mmim.features(clips))
    resumed = MMIM(SHAPES, None, SMALL)
    resumed.load_state_dict({k: v.clone() for k, v in mmim.state_dict().items()})
    resumed.restore(copy.deepcopy(mmim.state()))  # as through a file
    for network in (mmim, resumed):
        for clips in batches[2:]:
            network.fit_q(network.features(clips))
    for parameter, restored in zip(mmim.q.parameters(), resumed.q.parameters(), strict=True):
        torch.testing.assert_close(parameter, restored, rtol=0, atol=0)


def test_main_step_leaves_q_alone_but_passes_through_it(mmim: MMIM) -> None:
    clips = pooled_batch(12)
    optimizer = torch.optim.AdamW(mmim.parameters(), lr=0.1)
    loss = mmim.loss(clips, 0)
    fitted = {name: p.clone() for name, p in mmim.q.named_parameters()}
    loss.backward()
    optimizer.step()
    for name, p in mmim.q.named_parameters():
        torch.testing.assert_close(p, fitted[name], rtol=0, atol=0)
    mmim.zero_grad()
    (-mmim.log_likelihood(mmim.features(clips))).backward()
    assert mmim.sequences["a"].down.weight.grad.abs().sum() > 0
