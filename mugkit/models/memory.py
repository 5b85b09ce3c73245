"""The memory over time that MFN, Graph-MFN and MFM share.

One LSTM per modality runs over word-aligned sequences. Two gates write the interactions of the modalities at two
consecutive steps into a memory u (Zadeh et al. 2018, "Memory Fusion Network", section 3). The LSTMs do not read u, so
only the LSTMs and u are computed step by step; everything between them is computed for all steps at once. Padding is at
the end and no step reads later steps, so it is enough to read the states at each clip's own last step.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from mugkit.models.tokens import last_step


@dataclass(frozen=True)
class MemorySizes:
    """Sizes of a memory fusion network. The defaults are those its authors published for MOSI, with 300-dim words."""

    views: tuple[int, int, int] = (88, 48, 16)  # dims of the language, acoustic and visual LSTMs
    memory: int = 128  # dims of u
    attention: tuple[int, float] = (128, 0.0)  # hidden width and dropout of D_a
    candidate: tuple[int, float] = (64, 0.2)  # of D_u
    retain: tuple[int, float] = (256, 0.0)  # of D_γ1
    update: tuple[int, float] = (64, 0.2)  # of D_γ2


def two_layers(d_in: int, width: int, d_out: int, dropout: float = 0.0) -> nn.Sequential:
    """The D networks of these papers: one hidden layer of rectified linear units."""
    return nn.Sequential(nn.Linear(d_in, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, d_out))


def consecutive(c: Float[Tensor, "batch time dim"]) -> Float[Tensor, "batch time 2*dim"]:
    """c^{[t−1, t]}: the memories of two consecutive steps; those before the first step are zero."""
    return torch.cat([F.pad(c, (0, 0, 1, 0))[:, :-1], c], dim=-1)


def _by_gate(weight: Float[Tensor, "4*d *d_in"]) -> Float[Tensor, "4 d *d_in"]:
    """An LSTM cell's weights by gate: input, forget, output, candidate (torch stores the candidate third)."""
    i, f, g, o = weight.chunk(4)
    return torch.stack([i, f, o, g])


class ViewLSTMs(nn.Module):
    """One LSTM per modality, computed together: one loop over time instead of three."""

    def __init__(self, d_in: Sequence[int], d_out: Sequence[int]) -> None:
        super().__init__()
        self.cells: Iterable[Any] = nn.ModuleList(nn.LSTMCell(i, o) for i, o in zip(d_in, d_out, strict=True))
        self.d_out = tuple(d_out)

    def _inputs(self, views: Sequence[Float[Tensor, "batch time d_in"]]) -> Float[Tensor, "batch time 4 total"]:
        """The contribution of the inputs to every gate, for all steps at once."""
        parts = []
        for view, cell in zip(views, self.cells, strict=True):
            weight, bias = _by_gate(cell.weight_ih), _by_gate(cell.bias_ih + cell.bias_hh)
            parts.append(F.linear(view, weight.flatten(0, 1), bias.flatten()).unflatten(-1, (4, -1)))
        return torch.cat(parts, dim=-1)

    def _recurrent(self) -> Float[Tensor, "total 4*total"]:
        """The recurrent weights of all cells as one matrix, in which no LSTM reads another modality's state."""
        gates = zip(*(_by_gate(cell.weight_hh) for cell in self.cells), strict=True)
        return torch.cat([torch.block_diag(*gate) for gate in gates]).T

    def forward(
        self, views: Sequence[Float[Tensor, "batch time d_in"]]
    ) -> tuple[Float[Tensor, "batch time total"], Float[Tensor, "batch time total"]]:
        """States h and memories c after every step, with the modalities concatenated."""
        inputs, recurrent = self._inputs(views), self._recurrent()
        h = c = inputs.new_zeros(len(inputs), sum(self.d_out))
        states, memories = [], []
        for step in inputs.unbind(1):  # step: (batch, 4, total)
            gates = step + (h @ recurrent).unflatten(-1, (4, -1))
            i, f, o = gates[:, :3].sigmoid().unbind(1)
            c = torch.addcmul(f * c, i, gates[:, 3].tanh())
            h = o * c.tanh()
            states.append(h)
            memories.append(c)
        return torch.stack(states, dim=1), torch.stack(memories, dim=1)


class GatedMemory(nn.Module):
    """The multi-view gated memory: u^t = γ1 ⊙ u^{t−1} + γ2 ⊙ tanh(û^t).

    û = D_u(x), γ1 = σ(D_γ1(x)) retains, γ2 = σ(D_γ2(x)) updates; x is the input at step t. `networks` holds hidden
    width and dropout of D_u, D_γ1 and D_γ2.
    """

    def __init__(self, d_in: int, d: int, *networks: tuple[int, float]) -> None:
        super().__init__()
        made = (two_layers(d_in, width, d, dropout) for width, dropout in networks)
        self.candidate, self.retain, self.update = made

    def forward(self, x: Float[Tensor, "batch time d_in"]) -> Float[Tensor, "batch time d"]:
        """u after every step, starting from u⁰ = 0."""
        retained = self.retain(x).sigmoid()
        written = self.update(x).sigmoid() * self.candidate(x).tanh()
        u, memories = torch.zeros_like(written[:, 0]), []
        for keep, write in zip(retained.unbind(1), written.unbind(1), strict=True):
            u = torch.addcmul(write, keep, u)
            memories.append(u)
        return torch.stack(memories, dim=1)


class MemoryFusion(nn.Module):
    """MFN without its output layers: maps word-aligned sequences to [h_l; h_a; h_v; u] at the last step."""

    def __init__(self, d_in: Sequence[int], sizes: MemorySizes) -> None:
        super().__init__()
        total = sum(sizes.views)
        self.lstms = ViewLSTMs(d_in, sizes.views)
        width, dropout = sizes.attention
        self.attention = two_layers(2 * total, width, 2 * total, dropout)
        self.memory = GatedMemory(2 * total, sizes.memory, sizes.candidate, sizes.retain, sizes.update)
        self.d_out = total + sizes.memory

    def attended(self, c: Float[Tensor, "batch time total"]) -> Float[Tensor, "batch time 2*total"]:
        """ĉ^{[t−1, t]} = c^{[t−1, t]} ⊙ softmax(D_a(c^{[t−1, t]})), which gives weight to dims that change together."""
        pair = consecutive(c)
        return pair * self.attention(pair).softmax(dim=-1)

    def forward(
        self, views: Sequence[Float[Tensor, "batch time d_in"]], mask: Int64[Tensor, "batch time"]
    ) -> Float[Tensor, "batch d_out"]:
        h, c = self.lstms(views)
        u = self.memory(self.attended(c))
        return last_step(torch.cat([h, u], dim=-1), mask)
