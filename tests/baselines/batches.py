"""Small random batches for tests of token-level baselines, with padding that can be made to hold anything."""

from __future__ import annotations

import torch

from mugkit.baselines.base import Shapes
from mugkit.data.batch import Batch, Padded

SHAPES = Shapes(text=6, acoustic=3, visual=2)


def frames(lengths: tuple[int, ...], dim: int, seed: int = 0) -> Padded:
    generator = torch.Generator().manual_seed(seed)
    clips = [torch.randn(length, dim, generator=generator) for length in lengths]
    return Padded.of(clips)


def token_batch(tokens: tuple[int, ...] = (4, 2, 5), padding: float = 0.0) -> Batch:
    """Clips with so many tokens; acoustic frames outnumber the tokens, visual frames are fewer."""
    generator = torch.Generator().manual_seed(1)
    count, width = len(tokens), max(tokens)
    states = torch.full((count, width, SHAPES.text), padding)
    mask = torch.zeros(count, width, dtype=torch.long)
    for row, length in enumerate(tokens):
        states[row, :length] = torch.randn(length, SHAPES.text, generator=generator)
        mask[row, :length] = 1
    packed = {
        "a": frames(tuple(n + 3 for n in tokens), SHAPES.acoustic, seed=2),
        "v": frames(tuple(max(1, n - 1) for n in tokens), SHAPES.visual, seed=3),
    }
    labels = torch.randn(count, generator=generator)
    return Batch(torch.arange(count), Padded(states, mask), packed, labels)
