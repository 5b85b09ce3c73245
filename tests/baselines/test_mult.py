"""MulT: attention, positions, blocks and readout against references worked out with loops in float64."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from batches import SHAPES, token_batch
from torch import Tensor, nn

from mugkit.baselines.mult import Block, Memory, MulT, MulTConfig, Transformer
from mugkit.models.tokens import sinusoids

SMALL = MulTConfig(d=4, heads=2, blocks=2, memory_blocks=2)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def mult() -> MulT:
    torch.manual_seed(0)
    return MulT(SHAPES, None, SMALL).eval()


def norm(x: np.ndarray, layer: nn.LayerNorm) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    scale = np.sqrt((centred**2).mean(-1, keepdims=True) + layer.eps)
    return centred / scale * layer.weight.detach().numpy() + layer.bias.detach().numpy()


def dense(x: np.ndarray, weight: Tensor, bias: Tensor) -> np.ndarray:
    return x @ weight.detach().numpy().T + bias.detach().numpy()


def attend(target: np.ndarray, source: np.ndarray, attention: nn.MultiheadAttention) -> np.ndarray:
    """One clip's multi-head attention, element by element."""
    weights, biases = attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3)
    q = dense(target, weights[0], biases[0])
    k, v = (dense(source, w, b) for w, b in zip(weights[1:], biases[1:], strict=True))
    width = q.shape[1] // attention.num_heads
    read = np.zeros_like(q)
    for head in range(attention.num_heads):
        part = slice(head * width, (head + 1) * width)
        for i in range(len(q)):
            scores = np.array([q[i, part] @ k[j, part] / math.sqrt(width) for j in range(len(k))])
            share = np.exp(scores) / np.exp(scores).sum()
            read[i, part] = sum(share[j] * v[j, part] for j in range(len(k)))
    return dense(read, attention.out_proj.weight, attention.out_proj.bias)


def block_by_hand(block: Block, target: np.ndarray, source: np.ndarray) -> np.ndarray:
    x = target + attend(norm(target, block.norm), norm(source, block.norm), block.attention)
    inner, outer = block.inner[0], block.inner[3]
    hidden = np.maximum(dense(norm(x, block.norm_inner), inner.weight, inner.bias), 0.0)
    return x + dense(hidden, outer.weight, outer.bias)


def double(made: Callable[..., nn.Module], *arguments: float) -> nn.Module:
    """In float64, with normalisations that are not the identity."""
    torch.manual_seed(1)
    network = made(*arguments).double().eval()
    for module in network.modules():
        if isinstance(module, nn.LayerNorm):
            nn.init.normal_(module.weight, 1.0, 0.2)
            nn.init.normal_(module.bias, 0.0, 0.2)
    return network


def test_sinusoids_are_sines_and_cosines_of_falling_rates() -> None:
    made = sinusoids(5, 6)
    for i in range(5):
        for j in range(3):
            angle = i / 10_000 ** (2 * j / 6)
            assert made[i, 2 * j] == pytest.approx(math.sin(angle), abs=1e-6)
            assert made[i, 2 * j + 1] == pytest.approx(math.cos(angle), abs=1e-6)


def embedded(x: Tensor) -> np.ndarray:
    return (math.sqrt(x.shape[-1]) * x[0] + sinusoids(*x.shape[1:])).numpy()


def test_crossmodal_blocks_read_the_source_as_it_was_at_first() -> None:
    network = double(Transformer, 6, 2, 2, 0.0)
    target, source = random(1, 3, 6), random(1, 5, 6, seed=1)
    x = embedded(target)
    for block in network.blocks:
        x = block_by_hand(block, x, embedded(source))
    found = network(target, source, torch.ones(1, 5, dtype=torch.long))
    np.testing.assert_allclose(found[0].detach().numpy(), norm(x, network.norm), atol=1e-6)


def test_memory_is_self_attention_read_at_each_clips_last_element() -> None:
    network = double(Memory, 6, 2, 2, 0.0)
    x, lengths = random(2, 5, 6), (5, 3)
    mask = (torch.arange(5) < torch.tensor(lengths)[:, None]).long()
    found = network(x, mask).detach().numpy()
    for clip, length in enumerate(lengths):
        states = embedded(x[clip : clip + 1, :length])
        for block in network.blocks:
            states = block_by_hand(block, states, states)
        np.testing.assert_allclose(found[clip], norm(states, network.norm)[-1], atol=1e-6)


def test_mult_uses_each_transformer_with_its_own_source_and_target(mult: MulT, monkeypatch: pytest.MonkeyPatch) -> None:
    x, masks = mult.sequences(token_batch((4, 2)))
    position = {id(x[m]): m for m in x}
    called = {}
    for name, transformer in mult.crossmodal.items():

        def note(target: Tensor, source: Tensor, mask: Tensor, name: str = name) -> Tensor:
            assert mask is masks[position[id(source)]]
            called[name] = f"{position[id(source)]}_to_{position[id(target)]}"
            return target

        monkeypatch.setattr(transformer, "forward", note)
    for target in "lav":
        mult.rewritten(target, x, masks)
    assert called == {name: name for name in mult.crossmodal}


def test_mult_adds_the_residual_layer_before_the_output(mult: MulT) -> None:
    clips = token_batch((4, 2))
    x, masks = mult.sequences(clips)
    last = torch.cat([mult.rewritten(target, x, masks) for target in "lav"], dim=-1)
    assert last.shape == (2, 24)
    first, _, _, second = mult.residual
    both = last + second(torch.relu(first(last)))
    torch.testing.assert_close(mult(clips), both @ mult.output.weight[0] + mult.output.bias)


def test_mult_reads_convolved_frames(mult: MulT) -> None:
    clips = token_batch((4, 2))
    x, _ = mult.sequences(clips)
    frames = torch.nn.functional.pad(clips.frames["a"].values[0], (0, 0, 1, 1))
    kernel = mult.convolutions["a"].weight
    for step in range(7):
        expected = sum(kernel[:, :, k] @ frames[step + k] for k in range(3))
        torch.testing.assert_close(x["a"][0, step], expected)
