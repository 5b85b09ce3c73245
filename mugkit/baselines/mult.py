"""MulT, the Multimodal Transformer for unaligned sequences.

Tsai, Bai, Liang, Kolter, Morency, Salakhutdinov: Multimodal Transformer for Unaligned Multimodal Language Sequences.
ACL 2019.

A convolution over time (for text with kernel 1: a linear layer) maps each modality to d dims; sinusoids encode the
positions. For every ordered pair of modalities, a crossmodal transformer updates the target β, block by block, with
what it attends to in the source α; the two may differ in length:

    Z ← Z + softmax(Q(LN Z) K(LN X_α)ᵀ / √d_head) V(LN X_α),    Z ← Z + FF(LN Z)

Every block reads the same X_α, the source before the first block. The two updated copies of a target are concatenated
to 2d dims, and a self-attention transformer reads them. Its states at the last elements of the three targets, 6d dims,
go through a residual layer to the prediction. The loss is the mean absolute error.

Departures:
- The residual path carries Z, as in the published code; the paper's equations print LN Z.
- Only padding is masked: the paper has no mask, and the mask of the published code changes with the padding.
- The last element is each clip's own, not the padded batch's.
- Attention weights, residuals and inner layers share one dropout rate; the published code has five.
- Matrices have torch's default initialisation; the published code has Xavier's, about twice as large.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from mugkit.baselines.base import Baseline, Shapes
from mugkit.data.batch import Batch
from mugkit.data.schema import MODALITIES
from mugkit.device import to_device
from mugkit.models.tokens import TokenLanguage, last_step, sinusoids


@dataclass(frozen=True)
class MulTConfig:
    """The paper's sizes for MOSI (its Table 5)."""

    d: int = 40  # dims of each modality inside
    heads: int = 10
    blocks: int = 4  # of each crossmodal transformer
    memory_blocks: int = 4  # of each self-attention transformer; published code: as many, but at least three
    kernel: int = 3  # of the convolutions over sound and video; text has 1, of the paper's "1 or 3"
    text_dropout: float = 0.2
    block_dropout: float = 0.2
    output_dropout: float = 0.1


class Block(nn.Module):
    """Attention to a source, then a feed-forward layer, each with layer normalisation before it and a residual path."""

    def __init__(self, d: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.norm_inner = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attention = nn.MultiheadAttention(d, heads, dropout, batch_first=True)
        self.inner = nn.Sequential(nn.Linear(d, 4 * d), nn.ReLU(), nn.Dropout(dropout), nn.Linear(4 * d, d))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "batch target d"],
        source: Float[Tensor, "batch source d"],
        padding: Bool[Tensor, "batch source"],
    ) -> Float[Tensor, "batch target d"]:
        keys = self.norm(source)
        read, _ = self.attention(self.norm(x), keys, keys, key_padding_mask=padding, need_weights=False)
        x = x + self.dropout(read)
        return x + self.dropout(self.inner(self.norm_inner(x)))


class Transformer(nn.Module):
    """Blocks in which a target reads a source that the blocks do not change."""

    def __init__(self, d: int, heads: int, blocks: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(d, heads, dropout) for _ in range(blocks))
        self.norm, self.dropout = nn.LayerNorm(d), nn.Dropout(dropout)

    def embed(self, x: Float[Tensor, "batch length d"]) -> Float[Tensor, "batch length d"]:
        """√d x + positions."""
        length, d = x.shape[1:]
        return self.dropout(d**0.5 * x + to_device(sinusoids(length, d), x.device))

    def forward(
        self,
        target: Float[Tensor, "batch target d"],
        source: Float[Tensor, "batch source d"],
        mask: Int64[Tensor, "batch source"],
    ) -> Float[Tensor, "batch target d"]:
        """The updated target; `mask` is 1 where the source has an element."""
        x, source, padding = self.embed(target), self.embed(source), mask == 0
        for block in self.blocks:
            x = block(x, source, padding)
        return self.norm(x)


class Memory(Transformer):
    """Self-attention that returns only each clip's last element; the last block computes no other element."""

    def forward(  # type: ignore[override]
        self, x: Float[Tensor, "batch length d"], mask: Int64[Tensor, "batch length"]
    ) -> Float[Tensor, "batch d"]:
        x, padding = self.embed(x), mask == 0
        *before, final = self.blocks
        for block in before:
            x = block(x, x, padding)
        end = last_step(x, mask)[:, None]
        return self.norm(final(end, x, padding)).squeeze(1)


class MulT(Baseline):
    """ŷ from the last elements of three sequences, each updated from the two others."""

    level = "tokens"
    Config = MulTConfig
    light = MulTConfig(d=16, heads=1, blocks=1, memory_blocks=1, text_dropout=0.0, block_dropout=0.0)

    def __init__(self, shapes: Shapes, encoder: nn.Module | None, config: MulTConfig) -> None:
        super().__init__(shapes, encoder, config)
        self.language = TokenLanguage(encoder)
        d, frames = config.d, {"a": shapes.acoustic, "v": shapes.visual}
        self.text_dropout = nn.Dropout(config.text_dropout)
        self.text = nn.Linear(shapes.text, d, bias=False)
        self.convolutions = nn.ModuleDict(
            {m: nn.Conv1d(dim, d, config.kernel, padding="same", bias=False) for m, dim in frames.items()}
        )
        shape, memory = (config.heads, config.blocks), (config.heads, config.memory_blocks)
        pairs = [f"{source}_to_{target}" for target in MODALITIES for source in MODALITIES if source != target]
        self.crossmodal = nn.ModuleDict({pair: Transformer(d, *shape, config.block_dropout) for pair in pairs})
        self.memories = nn.ModuleDict({m: Memory(2 * d, *memory, config.block_dropout) for m in MODALITIES})
        self.residual = nn.Sequential(
            nn.Linear(6 * d, 6 * d), nn.ReLU(), nn.Dropout(config.output_dropout), nn.Linear(6 * d, 6 * d)
        )
        self.output = nn.Linear(6 * d, 1)

    def sequences(
        self, batch: Batch
    ) -> tuple[dict[str, Float[Tensor, "batch length d"]], dict[str, Int64[Tensor, "batch length"]]]:
        """The modalities at d dims, and masks that are 1 where there is an element."""
        states, mask = self.language(batch.text)
        x, masks = {"l": self.text(self.text_dropout(states))}, {"l": mask}
        for m, convolution in self.convolutions.items():
            frames, masks[m] = batch.frames[m].values, batch.frames[m].mask
            x[m] = convolution(frames.transpose(1, 2)).transpose(1, 2)
        return x, masks

    def rewritten(
        self,
        target: str,
        x: Mapping[str, Float[Tensor, "batch length d"]],
        masks: Mapping[str, Int64[Tensor, "batch length"]],
    ) -> Float[Tensor, "batch two_d"]:
        """The state of a target at its last element, after it has attended to both other modalities and to itself."""
        copies = [
            self.crossmodal[f"{source}_to_{target}"](x[target], x[source], masks[source])
            for source in MODALITIES
            if source != target
        ]
        return self.memories[target](torch.cat(copies, dim=-1), masks[target])

    def forward(self, batch: Batch) -> Float[Tensor, "batch"]:
        x, masks = self.sequences(batch)
        last = torch.cat([self.rewritten(target, x, masks) for target in MODALITIES], dim=-1)  # (batch, 6d)
        return self.output(last + self.residual(last)).squeeze(-1)
