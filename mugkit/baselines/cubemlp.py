"""CubeMLP: MLPs along the three axes of time, modality and channel.

Sun, Wang, Liu, Chen, Lin: CubeMLP: An MLP-based Model for Multimodal Sentiment Analysis and Depression Estimation. ACM
Multimedia 2022.

Text, sound and video become sequences of the same length L and d channels and are stacked to X of L × 3 × d. A block
mixes X along one axis after another, each time with an MLP that also changes the size of the axis:

    X ← W₂ gelu(W₁ LN(X)) + W_r X        along L, then along the modalities, then along d

After the last block, X is averaged over time, its modalities are concatenated, and one linear layer predicts. The loss
is the mean absolute error.

Departures:
- `aligned` aligns sound and video with tokens, special tokens included; the paper's data are already word-aligned.
- Padding is zero after the recurrent networks; in the published code it is partly the bias of their normalisation.
- Tokens after the L-th are not read.
- There is no dropout before the blocks (0.1 in the published command for MOSI).
- Residual layers start orthogonal; torch's default shrinks the cube, too much for the small profiles' lower rate.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from mugkit.baselines.base import Baseline, Shapes
from mugkit.data.batch import Batch, Padded
from mugkit.models.tokens import Bidirectional, TokenLanguage, aligned

AXES = (1, 2, 3)  # time, modality, channel of (batch, time, modality, channel)
CELLS: Mapping[str, type[nn.LSTM] | type[nn.GRU]] = {"gru": nn.GRU, "lstm": nn.LSTM}


@dataclass(frozen=True)
class CubeMLPConfig:
    """The published command for MOSI."""

    d: int = 128  # channels at the start
    length: int = 100  # L
    cell: Literal["gru", "lstm"] = "gru"  # of the recurrent networks; the published code has both
    layers: int = 2  # of each recurrent network
    blocks: tuple[tuple[int, int, int], ...] = ((50, 3, 128), (10, 3, 32))  # sizes of the axes after each block
    dropout: float = 0.1


class AxisMLP(nn.Module):
    """An MLP along one axis of the cube, with a linear residual path because the axis changes its size."""

    def __init__(self, axis: int, d_in: int, d_out: int, dropout: float) -> None:
        super().__init__()
        self.axis = axis
        self.layers = nn.Sequential(
            nn.LayerNorm(d_in), nn.Linear(d_in, d_out), nn.GELU(), nn.Linear(d_out, d_out), nn.Dropout(dropout)
        )
        self.residual = nn.Linear(d_in, d_out, bias=False)
        nn.init.orthogonal_(self.residual.weight)

    def forward(self, cube: Float[Tensor, "batch time modality channel"]) -> Float[Tensor, "batch t m c"]:
        x = cube.movedim(self.axis, -1)
        return (self.layers(x) + self.residual(x)).movedim(-1, self.axis)


class Frames(nn.Module):
    """Frames to d channels per token: a bidirectional network with summed directions, layer normalisation, ReLU."""

    def __init__(self, d_in: int, d: int, layers: int, cell: str) -> None:
        super().__init__()
        widths = (d_in, *[2 * d] * (layers - 1))
        self.layers = nn.ModuleList(Bidirectional(width, d, CELLS[cell]) for width in widths)
        self.norm = nn.LayerNorm(d)

    def forward(self, frames: Padded, mask: Int64[Tensor, "batch tokens"]) -> Float[Tensor, "batch tokens d"]:
        """Zero at padding."""
        states = aligned(frames, mask)
        for layer in self.layers:
            states, _ = layer(states, mask)
        both = states.unflatten(-1, (2, -1)).sum(-2)
        return self.norm(both).relu() * mask[..., None]


class CubeMLP(Baseline):
    """ŷ from a cube of time, modality and channel that is mixed along each of its axes."""

    level = "tokens"
    Config = CubeMLPConfig
    # 0.5 is the published default; at 0.1 the model memorises clips if the encoder is frozen.
    light = CubeMLPConfig(d=16, length=48, cell="lstm", layers=1, blocks=((16, 3, 16), (8, 3, 16)), dropout=0.5)

    def __init__(self, shapes: Shapes, encoder: nn.Module | None, config: CubeMLPConfig) -> None:
        super().__init__(shapes, encoder, config)
        self.language = TokenLanguage(encoder)
        self.text = nn.Linear(shapes.text, config.d, bias=False)
        dims = {"a": shapes.acoustic, "v": shapes.visual}
        self.sequences = nn.ModuleDict(
            {m: Frames(dim, config.d, config.layers, config.cell) for m, dim in dims.items()}
        )
        sizes = ((config.length, 3, config.d), *config.blocks)
        self.blocks = nn.Sequential()
        for before, after in pairwise(sizes):
            for axis in AXES:
                self.blocks.append(AxisMLP(axis, before[axis - 1], after[axis - 1], config.dropout))
        _, modalities, channels = sizes[-1]
        self.output = nn.Linear(modalities * channels, 1)

    def cube(self, batch: Batch) -> Float[Tensor, "batch time modality channel"]:
        """The three modalities at L steps: cut after the L-th token, zero after a clip's last token."""
        states, mask = self.language(batch.text)
        text = self.text(states) * mask[..., None]
        rest = [self.sequences[m](batch.frames[m], mask) for m in ("a", "v")]
        cube = torch.stack([text, *rest], dim=2)
        missing = self.config.length - cube.shape[1]  # if negative, steps are cut off
        return functional.pad(cube, (0, 0, 0, 0, 0, missing))

    def forward(self, batch: Batch) -> Float[Tensor, "batch"]:
        mixed = self.blocks(self.cube(batch))
        return self.output(mixed.mean(1).flatten(1)).squeeze(-1)
