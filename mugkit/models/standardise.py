"""Brings frames to one scale: features such as pitch in hertz are hundreds of times larger than others.

The baselines published before 2020 scale features beforehand or apply batch normalisation to clip means. Here the mean
and standard deviation of the training split replace both: they do not depend on the other clips of a batch.
"""

from collections.abc import Mapping

import torch
from torch import nn

from mugkit.data import disk
from mugkit.data.batch import Padded
from mugkit.data.schema import RaggedFrames


class Standardise(nn.Module):
    """(u − mean) / std for every dim of a frame; the identity until it is fitted."""

    def __init__(self, dims: Mapping[str, int]) -> None:
        super().__init__()
        self.dims = dict(dims)
        for m, dim in dims.items():
            self.register_buffer(f"mean_{m}", torch.zeros(dim))
            self.register_buffer(f"scale_{m}", torch.ones(dim))

    def fit(self, sequences: Mapping[str, RaggedFrames]) -> None:
        """Computes mean and scale from all frames of a split, block by block; the scale of a constant dim is 1."""
        for m in self.dims:
            mean, scale = _moments(sequences[m])
            getattr(self, f"mean_{m}").copy_(mean)
            getattr(self, f"scale_{m}").copy_(scale)

    def forward(self, frames: Mapping[str, Padded]) -> dict[str, Padded]:
        """The standardised frames; padding stays zero."""
        scaled = {}
        for m in self.dims:
            values = (frames[m].values - getattr(self, f"mean_{m}")) * getattr(self, f"scale_{m}")
            scaled[m] = Padded(values * frames[m].mask[..., None], frames[m].mask)
        return scaled


def _moments(sequences: RaggedFrames) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and 1/std of every dim, summed in float64."""
    total = torch.zeros(sequences.dim, dtype=torch.float64)
    squares = torch.zeros_like(total)
    for block in disk.blocks(sequences.frames):
        values = torch.from_numpy(block.astype("float64"))  # a copy of the memory map's block
        total += values.sum(0)
        squares += values.square().sum(0)
    mean = total / len(sequences.frames)
    variance = squares / len(sequences.frames) - mean.square()
    # Rounding leaves a constant dim with a variance that is not exactly 0.
    constant = variance <= 1e-12 * mean.square().clamp(min=1e-12)
    return mean, torch.where(constant, 1.0, variance.clamp(min=1e-300).rsqrt())
