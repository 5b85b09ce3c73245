"""TFN: the outer product and what it holds."""

import pytest
import torch
from batches import SHAPES, token_batch

from mugkit.baselines.tfn import TFN, TFNConfig, tensor_fusion

SMALL = TFNConfig(lstm=4, d_l=3, d_a=2, d_v=2, inference=5, dropout=0.5)


def test_tensor_fusion_is_the_outer_product_with_ones() -> None:
    z_l, z_a, z_v = torch.randn(2, 3), torch.randn(2, 2), torch.randn(2, 1)
    fused = tensor_fusion(z_l, z_a, z_v)
    assert fused.shape == (2, 4, 3, 2)
    for clip in range(2):
        first, second, third = ([*z[clip].tolist(), 1.0] for z in (z_l, z_a, z_v))
        for i, x in enumerate(first):
            for j, y in enumerate(second):
                for k, w in enumerate(third):
                    assert fused[clip, i, j, k].item() == pytest.approx(x * y * w, rel=1e-5)


def test_tfn_predicts_from_the_tensor_of_its_three_subnetworks() -> None:
    torch.manual_seed(0)
    network, batch = TFN(SHAPES, None, SMALL).eval(), token_batch()
    z_l = network.subnets.text(batch.text.values, batch.text.mask).clamp(min=0)
    z = [torch.cat([part, torch.ones(3, 1)], dim=1) for part in
         (z_l, network.subnets.acoustic(batch.frames["a"]), network.subnets.visual(batch.frames["v"]))]  # fmt: skip
    rows = torch.stack([torch.kron(torch.kron(a, b), c) for a, b, c in zip(*z, strict=True)])
    torch.testing.assert_close(network(batch), network.inference(rows)[:, 0])
