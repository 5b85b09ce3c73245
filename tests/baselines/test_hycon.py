"""HyCon's pairs and losses, against loops over clips; batches without pairs."""

import math
from dataclasses import replace

import pytest
import torch
from batches import SHAPES, pooled_batch
from torch import Tensor, nn

from mugkit.baselines.hycon import HyCon, Pairs, contrast, sentiment_classes


def unit(clips: int, d: int, seed: int) -> Tensor:
    values = torch.randn(clips, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return nn.functional.normalize(values, dim=1)


def hardest(similarities: list[float], sharpness: float) -> float:
    """Softmax-weighted mean, one number at a time."""
    weights = [math.exp(s * sharpness) for s in similarities]
    return sum(w * s for w, s in zip(weights, similarities, strict=True)) / sum(weights)


def reference(
    anchors: Tensor, others: Tensor, classes: list[int], margin: float, level: float, floor: float, tau: float
) -> float:
    apart, near, far = [], [], []
    for i, own in enumerate(classes):
        s = [float(sum(a * b for a, b in zip(anchors[i], other, strict=True))) for other in others]
        positive = [s[j] for j, c in enumerate(classes) if c == own and j != i]
        negative = [s[j] for j, c in enumerate(classes) if c != own]
        if positive:
            near.append(max(0.0, level - hardest(positive, -1 / tau)))
        if negative:
            far.append(max(0.0, hardest(negative, 1 / tau) - floor))
        if positive and negative:
            apart.append(max(0.0, hardest(negative, 1 / tau) - hardest(positive, -1 / tau) + margin))
    return sum(sum(part) / len(part) if part else 0.0 for part in (apart, near, far))


@pytest.mark.parametrize(
    ("scale", "label", "expected"), [(3.0, 1.4, 1), (3.0, -2.6, -3), (1.0, 0.6, 2), (1.0, -1.0, -3), (3.0, 0.2, 0)]
)
def test_sentiment_classes_are_sevenths_of_the_scale(scale: float, label: float, expected: int) -> None:
    assert sentiment_classes(torch.tensor([label]), scale).item() == expected


@pytest.mark.parametrize("seed", range(4))
def test_contrast_equals_loops_over_clips(seed: int) -> None:
    classes = [0, 1, 0, 2, 1, 1, 3]  # two classes have a single clip
    anchors, others = unit(7, 4, seed), unit(7, 4, seed + 100)
    pairs = Pairs.of(torch.tensor(classes, dtype=torch.float64))
    for first, second in ((anchors, others), (anchors, anchors)):
        ours = contrast(first, second, pairs, margin=0.3, level=0.7, floor=0.1, temperature=0.2)
        assert ours.item() == pytest.approx(reference(first, second, classes, 0.3, 0.7, 0.1, 0.2), rel=1e-9)


@pytest.mark.parametrize("labels", [[2.0], [3.0, 1.0, -1.0]], ids=["one clip", "all classes differ"])
def test_contrast_without_positives_is_zero(labels: list[float]) -> None:
    z = unit(len(labels), 4, 0).requires_grad_()
    loss = contrast(z, z, Pairs.of(torch.tensor(labels)), 0.3, 0.7, 1.0, 0.1)
    (gradient,) = torch.autograd.grad(loss, z)
    assert loss.item() == 0.0
    assert not gradient.any()


@pytest.fixture
def network() -> HyCon:
    torch.manual_seed(0)
    return HyCon(replace(SHAPES, label_scale=1.0), None, HyCon.light)


def test_contrastive_sums_means_over_modalities_and_pairs(network: HyCon) -> None:
    x = {m: 3 * unit(6, 4, seed) for seed, m in enumerate("lav")}  # lengths must not matter
    classes, c = [0, 0, 1, 1, 2, 0], network.config
    z = {m: unit(6, 4, seed) for seed, m in enumerate("lav")}
    intra = [reference(z[m], z[m], classes, c.intra_margin, c.level, c.floor, c.temperature) for m in "lav"]
    ordered = [(m, n) for m in "lav" for n in "lav" if m != n]
    inter = [
        reference(z[m], z[n], classes, c.inter_margin, c.level - c.gap, c.floor, c.temperature) for m, n in ordered
    ]
    semi = [sum(max(0.0, 1 - c.gap - float(z[m][i] @ z[n][i])) for i in range(6)) / 6 for m, n in ("la", "lv", "av")]
    expected = sum(intra) / 3 + sum(inter) / 6 + sum(semi) / 3
    ours = network.contrastive(x, torch.tensor(classes) / 3)  # ±1 is the largest label
    assert ours.item() == pytest.approx(expected, rel=1e-6)


def test_loss_adds_the_weighted_contrastive_losses(network: HyCon) -> None:
    batch = pooled_batch()
    error = sum(abs(float(y) - float(p)) for y, p in zip(batch.labels, network(batch).detach(), strict=True)) / 8
    contrastive = network.contrastive(network.represent(batch), batch.labels).item()
    assert contrastive > 0.1
    assert network.loss(batch, 0).item() == pytest.approx(error + 0.1 * contrastive, rel=1e-5)
