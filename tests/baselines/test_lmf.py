"""LMF: the low-rank product equals a full weight tensor's."""

from collections.abc import Sequence

import torch
from batches import SHAPES, token_batch

from mugkit.baselines.lmf import LMF, LMFConfig, LowRankFusion

SMALL = LMFConfig(lstm=4, d_l=3, d_a=2, d_v=2, rank=2, dropout=0.5)


def fusion(rank: int = 3, d_out: int = 2) -> LowRankFusion:
    torch.manual_seed(0)
    made = LowRankFusion((3, 2, 4), rank, d_out).double()
    torch.nn.init.normal_(made.bias)
    return made


def vectors(batch: int = 5) -> list[torch.Tensor]:
    torch.manual_seed(1)
    return [torch.randn(batch, d, dtype=torch.float64) for d in (3, 2, 4)]


def full_weight(made: LowRankFusion) -> torch.Tensor:
    """W of TFN's first layer, (d_out, d_l + 1, d_a + 1, d_v + 1): a weighted sum of outer products of factors."""
    first, second, third = (factor.detach() for factor in made.factors)
    rank, _, d_out = first.shape
    outputs = []
    for out in range(d_out):
        outer = [torch.kron(torch.kron(first[r, :, out], second[r, :, out]), third[r, :, out]) for r in range(rank)]
        outputs.append(sum(made.weights[0, r].detach() * outer[r] for r in range(rank)))
    return torch.stack(outputs).view(d_out, *(factor.shape[1] for factor in made.factors))


def outer_product(z: Sequence[torch.Tensor]) -> torch.Tensor:
    """TFN's tensor: each vector ending in a one."""
    with_one = [torch.cat([part, part.new_ones(len(part), 1)], dim=1) for part in z]
    clips = [torch.kron(torch.kron(a, b), c) for a, b, c in zip(*with_one, strict=True)]
    return torch.stack(clips)


def test_low_rank_fusion_equals_tfns_layer_with_the_full_tensor() -> None:
    made, z = fusion(), vectors()
    weight = full_weight(made)
    assert weight.shape == (2, 4, 3, 5)
    expected = torch.nn.functional.linear(outer_product(z), weight.flatten(1), made.bias)
    torch.testing.assert_close(made(*z), expected)


def test_lmf_fuses_its_three_subnetworks_into_one_number() -> None:
    torch.manual_seed(0)
    network, batch = LMF(SHAPES, None, SMALL).eval(), token_batch()
    z = (network.subnets.text(batch.text.values, batch.text.mask), network.subnets.acoustic(batch.frames["a"]),
         network.subnets.visual(batch.frames["v"]))  # fmt: skip
    expected = outer_product(z) @ full_weight(network.fusion).flatten() + network.fusion.bias
    torch.testing.assert_close(network(batch), expected)


def test_low_rank_fusion_starts_with_every_factor_at_its_own_scale() -> None:
    torch.manual_seed(0)
    factor = LowRankFusion((199, 3, 3), rank=8, d_out=40).factors[0]
    torch.testing.assert_close(factor.std().item(), (2 / 240) ** 0.5, rtol=0.03, atol=0)
