"""Mini-batches: clips of different lengths in one zero-padded array, with a mask."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mugkit.device import to_device


@dataclass(frozen=True)
class Tokens:
    """Zero-padded token ids of a batch, and a mask that is 1 on tokens."""

    ids: Int64[Tensor, "batch length"]
    mask: Int64[Tensor, "batch length"]
    places: Int64[Tensor, "tokens"] | None = None  # in the flattened batch; computing them would synchronize a GPU

    def to(self, device: torch.device) -> "Tokens":
        places = None if self.places is None else to_device(self.places, device)
        return Tokens(to_device(self.ids, device), to_device(self.mask, device), places)


def pad(ids: Sequence[Sequence[int]]) -> Tokens:
    """Pads token ids to the length of the longest transcript."""
    lengths = torch.tensor([len(row) for row in ids])
    mask = torch.arange(int(lengths.max())) < lengths[:, None]
    padded = torch.zeros(mask.shape, dtype=torch.long)
    padded[mask] = torch.tensor([token for row in ids for token in row])
    return Tokens(padded, mask.long(), mask.flatten().nonzero()[:, 0])


@dataclass(frozen=True)
class Padded:
    """Clips of different lengths in one zero-padded array: frames, or a frozen encoder's token states."""

    values: Float[Tensor, "batch length dim"]
    mask: Int64[Tensor, "batch length"]  # 1 on elements, 0 on padding

    @classmethod
    def of(cls, clips: Sequence[Float[Tensor, "_ dim"]]) -> "Padded":
        lengths = torch.tensor([len(clip) for clip in clips])
        mask = torch.arange(int(lengths.max())) < lengths[:, None]
        return cls(pad_sequence(list(clips), batch_first=True), mask.long())

    @classmethod
    def gathered(
        cls,
        elements: Float32[np.ndarray, "elements dim"],
        offsets: Int64[np.ndarray, "clips+1"],
        index: Int64[np.ndarray, "batch"],
    ) -> "Padded":
        """Selects clips from the elements of all clips (possibly memory-mapped), in a single copy."""
        start, end = offsets[index, None], offsets[index + 1, None]
        position = start + np.arange((end - start).max())
        mask = position < end
        values = np.take(np.asarray(elements), np.where(mask, position, start), axis=0)
        values[~mask] = 0
        return cls(torch.from_numpy(values), torch.from_numpy(mask.astype(np.int64)))

    @property
    def lengths(self) -> Int64[Tensor, "batch"]:
        return self.mask.sum(1)

    def to(self, device: torch.device) -> "Padded":
        return Padded(to_device(self.values, device), to_device(self.mask, device))


@dataclass(frozen=True)
class Batch:
    """Some clips of a split, on one device."""

    index: Int64[Tensor, "batch"]  # positions in the split; on the CPU
    text: Tokens | Padded | Float[Tensor, "batch hidden"]  # ids; or a frozen encoder's states, or these pooled to x̂_l
    frames: Mapping[str, Padded]  # U_a and U_v
    labels: Float[Tensor, "batch"]  # y

    @cached_property
    def index_there(self) -> Int64[Tensor, "batch"]:
        """`index` on the batch's device, to index tables on that device."""
        return to_device(self.index, self.labels.device)
