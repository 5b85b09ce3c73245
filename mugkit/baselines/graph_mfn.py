"""Graph-MFN: MFN with a graph of modalities instead of its attention; the strength of every edge is inferred.

A. Zadeh, P. P. Liang, J. Vanbriesen, S. Poria, E. Tong, E. Cambria, M. Chen, L.-P. Morency: Multimodal Language
Analysis in the Wild: CMU-MOSEI Dataset and Interpretable Dynamic Fusion Graph, ACL 2018.

At every word, the vertices l, a, v are the consecutive memories c_m^{[t−1, t]} of the LSTMs. A network computes each
further vertex from the vertices of its proper subsets, each multiplied by the efficacy α of its edge:

    la, lv, av   from their two modalities                         6 edges
    lav          from l, a, v, la, lv, av                          6 edges
    τ            from all seven, the output of the graph           7 edges
    α = σ(D_α([l; a; v]))                                          19 efficacies, between 0 (cut) and 1

τ updates the memory as the attention does in MFN: u^t = σ(D_γ1(τ)) ⊙ u^{t−1} + σ(D_γ2(τ)) ⊙ tanh(D_u(τ)).

Departures:
- Networks have one hidden layer and efficacies are probabilities; the published graph has neither.
- The gates read only τ; in the MMSA toolbox they also read u^{t−1}, and the vertices are LSTM states after a layer.
- The paper gives no MOSI sizes; those below are an early MMSA toolbox's, except the graph's inner width (100 there).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mugkit.baselines.base import Shapes, WordAligned
from mugkit.data.batch import Batch
from mugkit.data.schema import MODALITIES
from mugkit.models.memory import GatedMemory, ViewLSTMs, consecutive, two_layers
from mugkit.models.tokens import last_step

# Every vertex that is computed, in the order of computation, with the vertices it reads.
GRAPH: Mapping[str, tuple[str, ...]] = {
    "la": ("l", "a"),
    "lv": ("l", "v"),
    "av": ("a", "v"),
    "lav": ("l", "a", "v", "la", "lv", "av"),
    "τ": ("l", "a", "v", "la", "lv", "av", "lav"),
}
EDGES = tuple((source, target) for target, sources in GRAPH.items() for source in sources)


@dataclass(frozen=True)
class GraphMFNConfig:
    """Sizes: MMSA's for MOSI."""

    views: tuple[int, int, int] = (64, 32, 64)  # LSTMs of l, a, v
    memory: int = 128  # u
    vertex: int = 32  # every computed vertex
    graph: tuple[int, float] = (128, 0.0)  # hidden width and dropout of the vertices' networks and of D_α
    candidate: tuple[int, float] = (128, 0.0)  # of D_u
    retain: tuple[int, float] = (32, 0.7)  # of D_γ1
    update: tuple[int, float] = (64, 0.7)  # of D_γ2
    output: tuple[int, float] = (32, 0.7)  # of D_y


class DynamicFusionGraph(nn.Module):
    """Computes τ from the vertices l, a, v; every computed vertex has d dims, and all networks have the same form."""

    def __init__(self, dims: tuple[int, ...], d: int, width: int, dropout: float) -> None:
        super().__init__()
        size = dict(zip(MODALITIES, dims, strict=True)) | dict.fromkeys(GRAPH, d)
        self.networks = nn.ModuleDict(
            {target: two_layers(sum(size[s] for s in sources), width, d, dropout) for target, sources in GRAPH.items()}
        )
        self.efficacy = two_layers(sum(dims), width, len(EDGES), dropout)

    def efficacies(self, modalities: Mapping[str, Float[Tensor, "*batch dim"]]) -> Float[Tensor, "*batch edges"]:
        """α of every edge, in the order of EDGES."""
        return self.efficacy(torch.cat([modalities[m] for m in MODALITIES], dim=-1)).sigmoid()

    def vertices(
        self, modalities: Mapping[str, Float[Tensor, "*batch dim"]], alpha: Float[Tensor, "*batch edges"]
    ) -> dict[str, Float[Tensor, "*batch dim"]]:
        """All vertices, given the efficacy of every edge."""
        found, strengths = dict(modalities), dict(zip(EDGES, alpha.split(1, dim=-1), strict=True))
        for target, sources in GRAPH.items():
            seen = [strengths[source, target] * found[source] for source in sources]
            found[target] = self.networks[target](torch.cat(seen, dim=-1))
        return found

    def forward(self, modalities: Mapping[str, Float[Tensor, "*batch dim"]]) -> Float[Tensor, "*batch d"]:
        return self.vertices(modalities, self.efficacies(modalities))["τ"]


class GraphMFN(WordAligned):
    """ŷ = D_y of the LSTMs' last states and a memory written by the graph."""

    Config = GraphMFNConfig
    light = GraphMFNConfig((16, 8, 8), 16, 8, (16, 0.0), (16, 0.0), (16, 0.0), (16, 0.0), (32, 0.2))

    def __init__(self, shapes: Shapes, encoder: nn.Module | None, config: GraphMFNConfig) -> None:
        super().__init__(shapes, encoder, config)
        self.lstms = ViewLSTMs(self.dims, config.views)
        self.graph = DynamicFusionGraph(tuple(2 * d for d in config.views), config.vertex, *config.graph)
        self.memory = GatedMemory(config.vertex, config.memory, config.candidate, config.retain, config.update)
        width, dropout = config.output
        self.output = two_layers(sum(config.views) + config.memory, width, 1, dropout)

    def forward(self, batch: Batch) -> Float[Tensor, "batch"]:
        views, mask = self.views(batch)
        h, c = self.lstms([*views.values()])
        memories = [consecutive(view) for view in c.split(self.config.views, dim=-1)]
        u = self.memory(self.graph(dict(zip(MODALITIES, memories, strict=True))))
        return self.output(last_step(torch.cat([h, u], dim=-1), mask)).squeeze(-1)
