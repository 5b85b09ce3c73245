"""Clips that lack a modality: prepared files hold frames of zeros there, and training takes them as they are.

A clip without any frame is refused when it is prepared (`validate`); values that are not finite became 0.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mugkit.data import disk
from mugkit.data.schema import MODALITY_NAMES, Dataset, RaggedFrames

_BLOCK_BYTES = 8 * 2**20
_SHOWN = 5


def silent(sequences: RaggedFrames) -> list[int]:
    """The clips all of whose frames are zero; frames are looked at a few MB at a time."""
    start, used = 0, np.zeros(len(sequences.frames), dtype=bool)
    for block in disk.blocks(sequences.frames, _BLOCK_BYTES):
        used[start : start + len(block)] = block.any(axis=1)
        start += len(block)
    frames = np.concatenate([[0], np.cumsum(used)])  # frames with something in them, before each position
    return np.flatnonzero(np.diff(frames[sequences.offsets]) == 0).tolist()


def lacking(dataset: Dataset) -> Mapping[tuple[str, str], list[str]]:
    """Ids of the clips that lack a modality, by modality and split; only where there are any."""
    found = {
        (m, name): [split.ids[clip] for clip in silent(sequences)]
        for name, split in dataset.splits.items()
        for m, sequences in split.sequences.items()
    }
    return {place: ids for place, ids in found.items() if ids}


def told(dataset: Dataset) -> list[str]:
    """A line for each modality and split: how many clips lack it, and the first of them."""
    return [
        f"no {MODALITY_NAMES[m]} frames but zeros in {len(ids)} of {len(dataset.splits[split])} clips of {split}: "
        + ", ".join(ids[:_SHOWN])
        + (", …" if len(ids) > _SHOWN else "")
        for (m, split), ids in lacking(dataset).items()
    ]
