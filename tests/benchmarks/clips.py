"""Clips that cost what the paper's do: those of `reviews` whose transcripts are as long as MOSI's, and made-up clips.

The sentences of `reviews` are longer than MOSI's (27 tokens against 15), and what an encoder costs is decided by its
tokens. To compare at MOSI's lengths, clips are chosen so that the quantiles of their lengths are MOSI's.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int64

from mugkit.data.schema import Dataset, RaggedFrames, Split

# Tokens of CMU-MOSI's 1,284 training transcripts in BERT's uncased vocabulary, [CLS] and [SEP] included, cut at MMSA's
# 50: their quantiles in steps of 5 %.
MOSI_TOKENS = (4, 6, 7, 8, 8, 9, 10, 10, 11, 12, 12, 13, 14, 15, 17, 18, 20, 22, 26, 31, 50)


def mosi_lengths(count: int) -> Float64[np.ndarray, "count"]:
    """Tokens of so many clips, at MOSI's quantiles, the shortest first."""
    return np.interp((np.arange(count) + 0.5) / count, np.linspace(0, 1, len(MOSI_TOKENS)), MOSI_TOKENS)


def like_mosi(lengths: Int64[np.ndarray, "clips"], count: int) -> Int64[np.ndarray, "count"]:
    """Positions of `count` clips whose lengths follow `MOSI_TOKENS`, none longer than its last; in their order.

    For each length that is wanted, longest first, the clip nearest to it that is left.
    """
    left = np.flatnonzero(lengths <= MOSI_TOKENS[-1])
    chosen = []
    for length in mosi_lengths(count)[::-1]:
        nearest = int(np.abs(lengths[left] - length).argmin())
        chosen.append(left[nearest])
        left = np.delete(left, nearest)
    return np.sort(chosen)


def only(dataset: Dataset, index: Int64[np.ndarray, "chosen"]) -> Dataset:
    """A data set whose training split holds these clips of it alone, in the order given."""
    split = dataset.train
    ids, text = ([values[clip] for clip in index] for values in (split.ids, split.text))
    labels = {m: values[index] for m, values in split.true_labels.items()}
    sequences = {m: RaggedFrames.of([frames[clip] for clip in index]) for m, frames in split.sequences.items()}
    taken = Split(split.name, ids, text, split.labels[index], sequences, labels)
    return dataclasses.replace(dataset, splits={**dataset.splits, "train": taken})


def random_frames(lengths: Sequence[int], dim: int, rng: np.random.Generator) -> RaggedFrames:
    """Frames of clips of these lengths: what they hold does not change what they cost."""
    frames = rng.standard_normal((sum(lengths), dim), dtype=np.float32)
    return RaggedFrames(frames, np.cumsum([0, *lengths], dtype=np.int64))
