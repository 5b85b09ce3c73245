"""Parallel LSTMs and the gated memory, against loops over steps, clips and dims in float64."""

import numpy as np
import torch
from torch import Tensor, nn

from mugkit.models.memory import MemoryFusion, MemorySizes, ViewLSTMs

D_IN, D_OUT = (4, 3, 2), (3, 1, 2)
SIZES = MemorySizes((3, 1, 2), 4, (5, 0.0), (3, 0.0), (2, 0.0), (6, 0.0))


def views(batch: int = 2, time: int = 5) -> list[Tensor]:
    torch.manual_seed(1)
    return [torch.randn(batch, time, d, dtype=torch.float64, requires_grad=True) for d in D_IN]


def dense(network: nn.Sequential, x: np.ndarray) -> np.ndarray:
    first, last = (layer for layer in network if isinstance(layer, nn.Linear))
    hidden = np.maximum(first.weight.detach().numpy() @ x + first.bias.detach().numpy(), 0)
    return last.weight.detach().numpy() @ hidden + last.bias.detach().numpy()


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_view_lstms_equal_torchs_cells_step_by_step() -> None:
    torch.manual_seed(0)
    lstms, inputs = ViewLSTMs(D_IN, D_OUT).double(), views()
    states, memories = lstms(inputs)
    expected: list[list[Tensor]] = [[], []]
    for view, cell in zip(inputs, lstms.cells, strict=True):
        h = c = torch.zeros(2, cell.hidden_size, dtype=torch.float64)
        steps: list[tuple[Tensor, Tensor]] = []
        for step in range(view.shape[1]):
            h, c = cell(view[:, step], (h, c))
            steps.append((h, c))
        for kind, found in zip(expected, zip(*steps, strict=True), strict=True):
            kind.append(torch.stack(found, dim=1))
    torch.testing.assert_close(states, torch.cat(expected[0], dim=-1))
    torch.testing.assert_close(memories, torch.cat(expected[1], dim=-1))


def test_memory_fusion_equals_the_papers_equations_clip_by_clip() -> None:
    torch.manual_seed(0)
    fusion, inputs = MemoryFusion(D_IN, SIZES).double(), views()
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    found = fusion(inputs, mask).detach().numpy()
    states, memories = (part.detach().numpy() for part in fusion.lstms(inputs))
    for clip, length in enumerate((3, 5)):
        u, before = np.zeros(4), np.zeros(6)
        for step in range(length):
            pair = np.concatenate([before, memories[clip, step]])
            weights = np.exp(dense(fusion.attention, pair))
            attended = pair * weights / weights.sum()
            retained, updated = (sigmoid(dense(d, attended)) for d in (fusion.memory.retain, fusion.memory.update))
            u = retained * u + updated * np.tanh(dense(fusion.memory.candidate, attended))
            before = memories[clip, step]
        np.testing.assert_allclose(found[clip], np.concatenate([states[clip, length - 1], u]))
