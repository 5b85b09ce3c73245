"""Clips of `reviews` whose transcripts are as long as MOSI's.

The sentences of `reviews` are longer than MOSI's (27 tokens against 15), and what an encoder costs is decided by its
tokens. To compare at MOSI's lengths, clips are chosen so that the quantiles of their lengths are MOSI's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from mugkit.data.schema import Dataset, RaggedFrames, Split

# Tokens of CMU-MOSI's 1,284 training transcripts in BERT's uncased vocabulary, [CLS] and [SEP] included, cut at MMSA's
# 50: their quantiles in steps of 5 %.
MOSI_TOKENS = (4, 6, 7, 8, 8, 9, 10, 10, 11, 12, 12, 13, 14, 15, 17, 18, 20, 22, 26, 31, 50)


def like_mosi(lengths: Int64[np.ndarray, "clips"], count: int) -> Int64[np.ndarray, "count"]:
    """Positions of `count` clips whose lengths follow `MOSI_TOKENS`, none longer than its last; in their order.

    For each length that is wanted, longest first, the clip nearest to it that is left.
    """
    wanted = np.interp((np.arange(count) + 0.5) / count, np.linspace(0, 1, len(MOSI_TOKENS)), MOSI_TOKENS)
    left = np.flatnonzero(lengths <= MOSI_TOKENS[-1])
    chosen = []
    for length in wanted[::-1]:
        nearest = int(np.abs(lengths[left] - length).argmin())
        chosen.append(left[nearest])
        left = np.delete(left, nearest)
    return np.sort(chosen)


def only(dataset: Dataset, index: Int64[np.ndarray, "chosen"]) -> Dataset:
    """A data set whose training split holds these clips of it alone."""
    return dataclasses.replace(dataset, splits={**dataset.splits, "train": taken(dataset.train, index)})


def taken(split: Split, index: Int64[np.ndarray, "chosen"]) -> Split:
    """Some clips of a split, in the order given."""

    def pick(values: Sequence[str]) -> list[str]:
        return [values[clip] for clip in index]

    labels = {m: values[index] for m, values in split.true_labels.items()}
    sequences = {m: _taken(one, index) for m, one in split.sequences.items()}
    return Split(split.name, pick(split.ids), pick(split.text), split.labels[index], sequences, labels)


def _taken(sequences: RaggedFrames, index: Int64[np.ndarray, "chosen"]) -> RaggedFrames:
    offsets = np.concatenate([[0], np.cumsum(sequences.lengths[index])])
    return RaggedFrames(np.concatenate([sequences[clip] for clip in index]), offsets)
