"""Stage 2's tasks: what they are made of, whom they draw, and which labels they are to recover."""

import numpy as np
import pytest
import scipy.stats
import torch
from meta_cases import config, data_of, saved

from mugkit.training import denoising

# --- Eqs. 10, 13, 19, 21: what the tasks are made of


@pytest.mark.parametrize("multimodal", [False, True])
def test_task_by_hand(multimodal: bool) -> None:
    data, batch, noise = data_of(), torch.tensor([3, 0]), torch.tensor([0.5, -1.0])
    if multimodal:
        (on,) = denoising.multimodal_tasks(data, batch[None], noise[None])
        x, corrupted, target = data.projected, data.projected_prediction, data.labels
    else:
        target = torch.arange(12.0)
        (on,) = denoising.unimodal_tasks(data, batch[None], target, noise[None])
        x, corrupted = data.x, data.labels
    assert torch.equal(on.x, x[batch])
    assert torch.equal(on.noisy, torch.stack([corrupted[3] + 0.5, corrupted[0] - 1.0]))
    assert torch.equal(on.target, target[batch])


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
        (4, 5000, 10, 44),  # a few among many
    ],
)
def test_multimodal_set_is_batch_and_others_without_duplicates(batch: int, clips: int, ratio: int, size: int) -> None:
    chosen = torch.randperm(clips, generator=torch.Generator().manual_seed(0))[:batch]
    d = denoising.multimodal_sets(chosen[None], clips, ratio, torch.Generator().manual_seed(1))[0]
    assert d[:batch].tolist() == chosen.tolist()
    assert len(d) == len(set(d.tolist())) == size
    assert set(d.tolist()) <= set(range(clips))


@pytest.mark.parametrize(("clips", "ratio"), [(20, 1), (1000, 10)], ids=["some", "a few among many"])
def test_multimodal_set_others_are_as_likely_as_any(clips: int, ratio: int) -> None:
    draw, batch = torch.Generator().manual_seed(0), torch.arange(5)
    counts, draws = torch.zeros(clips), 4000
    for _ in range(draws):
        counts[denoising.multimodal_sets(batch[None], clips, ratio, draw)[0, 5:]] += 1
    assert counts[:5].sum() == 0
    expected = draws * 5 * ratio / (clips - 5)
    assert scipy.stats.chisquare(counts[5:], [expected] * (clips - 5)).pvalue > 0.01


@pytest.mark.parametrize("std", [1.0, 0.3])
def test_noises_are_normal_and_independent_of_each_other_and_of_the_epoch(std: float) -> None:
    settings = config(noise_std=std, meta_batch_size=600)
    (first,), (later,) = (denoising.step_samples(600, settings, 1111, epoch) for epoch in (0, 1))
    noises = [first.noise[0], first.noise_multimodal[0], later.noise[0]]
    for noise in noises:
        assert noise.mean().item() == pytest.approx(0, abs=0.15 * std)
        assert noise.std().item() == pytest.approx(std, rel=0.1)
        assert 0.25 < (noise.abs() > std).float().mean() < 0.39  # 0.317 of a normal lies outside ±σ
    assert np.abs(np.corrcoef(torch.stack(noises)) - np.eye(3)).max() < 0.15


def test_noise_on_s_is_the_same_without_the_multimodal_task_and_all_of_it_moves_to_a_device() -> None:
    both, alone = (list(denoising.step_samples(14, config(multimodal_denoising=on), 1111, 0)) for on in (True, False))
    for sample, paired in zip(both, alone, strict=True):
        assert torch.equal(sample.noise, paired.noise)
        assert torch.equal(sample.batches, paired.batches)
        assert paired.chosen is paired.noise_multimodal is None
        assert paired.to(torch.device("meta")).chosen is None
        for name, before in vars(sample).items():
            after = getattr(sample.to(torch.device("meta")), name)  # any other device: shapes without numbers
            assert (after.shape, after.dtype, after.device.type) == (before.shape, before.dtype, "meta")


# --- Eqs. 16–18: the targets


@pytest.mark.parametrize(
    ("epochs", "halfway", "mixed"),
    [(4, 0.5, [2, 3]), (5, 0.5, [3, 4]), (1, 0.5, []), (4, 0.25, [1, 2, 3]), (2, 0.0, [0, 1]), (4, 1.0, [])],
)
def test_unimodal_targets_switch_after_halfway(epochs: int, halfway: float, mixed: list[int]) -> None:
    y, previous, settings = torch.zeros(3), torch.ones(3), config(meta_epochs=epochs, halfway=halfway)
    assert [e for e in range(epochs) if denoising.unimodal_targets(y, previous, e, settings).any()] == mixed


def test_unimodal_targets_after_halfway_by_hand_send_no_gradient_back() -> None:
    y, previous = torch.tensor([1.0, -2.0]), torch.tensor([3.0, 0.0], requires_grad=True)
    targets = denoising.unimodal_targets(y, previous, 2, config(lambda_init=0.5))  # λ = 0.5³ = 0.125
    assert targets.tolist() == pytest.approx([0.125 * 3 + 0.875 * 1, 0.875 * -2])
    assert not targets.requires_grad
