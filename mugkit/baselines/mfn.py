"""MFN: one LSTM per modality, and a memory of the interactions of modalities at two consecutive words.

A. Zadeh, P. P. Liang, N. Mazumder, S. Poria, E. Cambria, L.-P. Morency: Memory Fusion Network for Multi-view
Sequential Learning, AAAI 2018.

At every word t, with c the concatenated memories of the three LSTMs:

    ĉ = c^{[t−1, t]} ⊙ softmax(D_a(c^{[t−1, t]}))            delta-memory attention
    u^t = σ(D_γ1(ĉ)) ⊙ u^{t−1} + σ(D_γ2(ĉ)) ⊙ tanh(D_u(ĉ))   multi-view gated memory

and after the last word ŷ = D_y([h_l; h_a; h_v; u]). `mugkit.models.memory` implements the equations.

Departure: the gates read only ĉ, as in the paper; in the authors' published code they also read u^{t−1}.
"""

from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor, nn

from mugkit.baselines.base import Shapes, WordAligned
from mugkit.data.batch import Batch
from mugkit.models.memory import MemoryFusion, MemorySizes, two_layers


@dataclass(frozen=True)
class MFNConfig:
    """Sizes: those published with the smallest error on MOSI."""

    encoder: MemorySizes = field(default_factory=MemorySizes)
    output: tuple[int, float] = (64, 0.5)  # hidden width and dropout of D_y


class MFN(WordAligned):
    """ŷ = D_y of the LSTMs' last states and the memory."""

    Config = MFNConfig
    light = MFNConfig(encoder=MemorySizes((16, 8, 8), 16, (32, 0.0), (16, 0.0), (16, 0.0), (16, 0.0)), output=(32, 0.2))

    def __init__(self, shapes: Shapes, encoder: nn.Module | None, config: MFNConfig) -> None:
        super().__init__(shapes, encoder, config)
        self.encoder = MemoryFusion(self.dims, config.encoder)
        width, dropout = config.output
        self.output = two_layers(self.encoder.d_out, width, 1, dropout)

    def forward(self, batch: Batch) -> Float[Tensor, "batch"]:
        views, mask = self.views(batch)
        return self.output(self.encoder([*views.values()], mask)).squeeze(-1)
