"""MFN: one LSTM a modality, and a memory of what happened across modalities between two consecutive words.

A. Zadeh, P. P. Liang, N. Mazumder, S. Poria, E. Cambria, L.-P. Morency: Memory Fusion Network for Multi-view
Sequential Learning, AAAI 2018.

At every word t, with c the memories of the three LSTMs one beside the other:

    ĉ = c^{[t−1, t]} ⊙ softmax(D_a(c^{[t−1, t]}))            delta-memory attention
    u^t = σ(D_γ1(ĉ)) ⊙ u^{t−1} + σ(D_γ2(ĉ)) ⊙ tanh(D_u(ĉ))   multi-view gated memory

and after the last word ŷ = D_y([h_l; h_a; h_v; u]). The equations are in `mugkit.models.memory`.

Departures from the paper:
- The shared text encoder's token states are read where the paper reads GloVe words; frames are averaged to one a token.
- The authors' published code also shows u^{t−1} to the gates. Here they see ĉ alone, as the paper writes them.
- Frames are standardised by the training split; the code divides visual frames by their largest value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from mugkit.baselines.base import ScaledBaseline, Shapes
from mugkit.data.batch import Batch
from mugkit.data.loader import TextLevel
from mugkit.models.memory import MemoryFusion, MemorySizes, two_layers
from mugkit.models.tokens import TokenLanguage, aligned


@dataclass(frozen=True)
class MFNConfig:
    """Sizes: those published for the smallest error on MOSI."""

    encoder: MemorySizes = field(default_factory=MemorySizes)
    output: tuple[int, float] = (64, 0.5)  # hidden width and dropout of D_y


class MFN(ScaledBaseline):
    """ŷ = D_y of the LSTMs' last states and the memory."""

    level: ClassVar[TextLevel] = "tokens"
    Config: ClassVar[type[Any]] = MFNConfig
    light: ClassVar[Mapping[str, Any]] = {
        "encoder": MemorySizes((16, 8, 8), 16, (32, 0.0), (16, 0.0), (16, 0.0), (16, 0.0)),
        "output": (32, 0.2),
    }

    def __init__(self, shapes: Shapes, encoder: nn.Module | None, config: MFNConfig) -> None:
        super().__init__(shapes, encoder, config)
        self.language = TokenLanguage(encoder)
        self.encoder = MemoryFusion((shapes.text, shapes.acoustic, shapes.visual), config.encoder)
        width, dropout = config.output
        self.output = two_layers(self.encoder.d_out, width, 1, dropout)

    def forward(self, batch: Batch) -> Float[Tensor, "batch"]:
        states, mask = self.language(batch.text)
        frames = self.standardise(batch.frames)
        views = (states, aligned(frames["a"], mask), aligned(frames["v"], mask))
        return self.output(self.encoder(views, mask)).squeeze(-1)
