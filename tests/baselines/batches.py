"""Small random batches for tests of baselines, with padding that can be made to hold anything."""

from dataclasses import replace

import torch
from torch import Tensor

from mugkit.baselines.base import Shapes
from mugkit.data.batch import Batch, Padded

SHAPES = Shapes(text=6, acoustic=5, visual=4)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def frames(lengths: tuple[int, ...], dim: int, seed: int = 0) -> Padded:
    generator = torch.Generator().manual_seed(seed)
    clips = [torch.randn(length, dim, generator=generator) for length in lengths]
    return Padded.of(clips)


def token_batch(tokens: tuple[int, ...] = (4, 2, 5), padding: float = 0.0, seed: int = 1) -> Batch:
    """Clips with so many tokens; acoustic frames outnumber the tokens, visual frames are fewer."""
    mask = (torch.arange(max(tokens)) < torch.tensor(tokens)[:, None]).long()
    states = random(*mask.shape, SHAPES.text, seed=seed).masked_fill(mask[..., None] == 0, padding)
    packed = {
        "a": frames(tuple(n + 3 for n in tokens), SHAPES.acoustic, seed=seed + 1),
        "v": frames(tuple(max(1, n - 1) for n in tokens), SHAPES.visual, seed=seed + 2),
    }
    return Batch(torch.arange(len(tokens)), Padded(states, mask), packed, random(len(tokens), seed=seed + 3))


def pooled_batch(clips: int = 8, seed: int = 1) -> Batch:
    """Clips of one to four tokens' frames whose text is a vector each."""
    batch = token_batch(tuple(n % 4 + 1 for n in range(clips)), seed=seed)
    return replace(batch, text=random(clips, SHAPES.text, seed=seed))
