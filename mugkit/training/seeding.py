"""Seeds: every purpose and every epoch has its own stream of random numbers; the order of clips is drawn here."""

import zlib

import torch
from jaxtyping import Int64
from torch import Tensor


def derive_seed(seed: int, *names: str | int) -> int:
    """A seed for one purpose, e.g. `derive_seed(1111, "meta", "a", 3)`; distinct names give unrelated streams.

    Every epoch starts from its own seed, so a resumed run draws the same numbers as an uninterrupted run.
    """
    return zlib.crc32(repr((seed, *names)).encode())


def generator(seed: int, *names: str | int) -> torch.Generator:
    """A CPU generator for one purpose."""
    return torch.Generator().manual_seed(derive_seed(seed, *names))


def shuffled(clips: int, seed: int, epoch: int) -> Int64[Tensor, "clips"]:
    """The order of clips in one epoch."""
    return torch.randperm(clips, generator=generator(seed, "order", epoch))


def similar_lengths(
    lengths: Int64[Tensor, "clips"], batch_size: int, seed: int, epoch: int, span: int = 8
) -> list[Int64[Tensor, "batch"]]:
    """One epoch's batches, each of clips of similar length: an LSTM takes as many steps as the longest clip has.

    Clips are shuffled and sorted by length within every `span` batches; then the batches are shuffled. Every clip
    occurs once; no clip is dropped.
    """
    chunks = shuffled(len(lengths), seed, epoch).split(span * batch_size)
    batches = [part for c in chunks for part in c[lengths[c].argsort(stable=True)].split(batch_size)]
    order = torch.randperm(len(batches), generator=generator(seed, "batches", epoch))
    return [batches[position] for position in order.tolist()]
