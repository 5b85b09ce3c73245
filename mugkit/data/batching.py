"""From a split on disk to batches on a device: padded frames, text as features or tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mugkit.config import Network
from mugkit.data import disk
from mugkit.data.schema import Split

if TYPE_CHECKING:
    from mugkit.nets.text import Tokens

Item = TypeVar("Item")
Made = TypeVar("Made")
TextLevel = Literal["pooled", "tokens"]


@dataclass(frozen=True)
class Padded:
    """Clips of different lengths in one array, filled up with zeros: frames, or a frozen encoder's token states.

    Attributes:
        values: the clips' elements.
        mask: 1 on elements, 0 on padding.
    """

    values: Float[Tensor, "batch length dim"]
    mask: Int64[Tensor, "batch length"]

    @classmethod
    def of(cls, clips: Sequence[Float[Tensor, "_ dim"]]) -> Padded:
        """Clips given one by one."""
        lengths = torch.tensor([len(clip) for clip in clips])
        return cls(
            pad_sequence(list(clips), batch_first=True), (torch.arange(int(lengths.max())) < lengths[:, None]).long()
        )

    @classmethod
    def gathered(
        cls,
        elements: Float32[np.ndarray, "elements dim"],
        offsets: Int64[np.ndarray, "clips+1"],
        index: Int64[np.ndarray, "batch"],
    ) -> Padded:
        """The chosen clips out of all clips' elements (possibly memory-mapped), copied in one go."""
        start, end = offsets[index, None], offsets[index + 1, None]
        position = start + np.arange((end - start).max())
        mask = position < end
        values = np.take(np.asarray(elements), np.where(mask, position, start), axis=0)
        values[~mask] = 0
        return cls(torch.from_numpy(values), torch.from_numpy(mask.astype(np.int64)))

    @property
    def lengths(self) -> Int64[Tensor, "batch"]:
        """Elements of each clip."""
        return self.mask.sum(1)

    def to(self, device: torch.device) -> Padded:
        return Padded(moved(self.values, device), moved(self.mask, device))


@dataclass(frozen=True)
class Batch:
    """Some clips of a split, on one device.

    Attributes:
        index: the clips' positions in their split; on the CPU.
        text: token ids; or what a frozen encoder made of them, by token or pooled to x̂_l.
        frames: U_a and U_v.
        labels: y.
    """

    index: Int64[Tensor, "batch"]
    text: Tokens | Padded | Float[Tensor, "batch hidden"]
    frames: Mapping[str, Padded]
    labels: Float[Tensor, "batch"]

    @cached_property
    def index_there(self) -> Int64[Tensor, "batch"]:
        """`index` on the batch's device, for tables that are there."""
        return moved(self.index, self.labels.device)


def moved(values: Tensor, device: torch.device) -> Tensor:
    """On the device. A GPU fetches them from pinned memory by itself, without anybody waiting."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)


def ahead(make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """`map`, in a thread that makes the next while the present one is used, and no more than the next."""
    with ThreadPoolExecutor(1) as thread:
        made: Future[Made] | None = None
        for item in items:
            following = thread.submit(make, item)
            if made is not None:
                yield made.result()
            made = following
        if made is not None:
            yield made.result()


class Clips:
    """A split made ready for a network: text encoded or tokenized once, frames gathered batch by batch.

    Args:
        level: how a frozen encoder's text is given: 'pooled' to one vector a clip, or one vector a token. An encoder
            that is trained along reads token ids at either level.
    """

    def __init__(
        self, split: Split, config: Network, device: torch.device | str = "cpu", level: TextLevel = "pooled"
    ) -> None:
        # Imported here: the data package stays importable without transformers.
        from mugkit.nets import text

        self.split = split
        self.device = torch.device(device)
        self._ids: list[list[int]] = []
        self._features: Tensor | None = None
        self._states: tuple[Tensor, Tensor] | None = None
        if config.freeze_text and level == "tokens":
            self._states = text.frozen_states(split.text, config.text_encoder)
        elif config.freeze_text:
            self._features = text.frozen_features(split.text, config.text_encoder, config.pooling)
        else:
            self._ids = text.token_ids(split.text, config.text_encoder)

    def __len__(self) -> int:
        return len(self.split)

    @property
    def text_width(self) -> int:
        """Dims of a frozen encoder's text; 0 when the encoder is trained and knows its own width."""
        frozen = self._features if self._states is None else self._states[0]
        return 0 if frozen is None else frozen.shape[1]

    def _text(self, index: Int64[Tensor, "batch"]) -> Tokens | Padded | Float[Tensor, "batch hidden"]:
        from mugkit.nets.text import pad

        if self._states is not None:
            states, offsets = self._states
            return Padded.gathered(states.numpy(), offsets.numpy(), index.numpy()).to(self.device)
        if self._features is not None:
            return moved(self._features[index], self.device)
        return pad([self._ids[clip] for clip in index.tolist()]).to(self.device)

    def _frames(self, modality: str, index: Int64[Tensor, "batch"]) -> Padded:
        sequences = self.split.sequences[modality]
        frames = Padded.gathered(sequences.frames, sequences.offsets, index.numpy())
        disk.release(sequences.frames, disk.KEPT_BYTES)
        return frames.to(self.device)

    def batch(self, index: Int64[Tensor, "batch"]) -> Batch:
        labels = moved(torch.from_numpy(self.split.labels[index.numpy()]), self.device)
        frames = {m: self._frames(m, index) for m in self.split.sequences}
        return Batch(index, self._text(index), frames, labels)

    @property
    def lengths(self) -> Int64[Tensor, "clips"]:
        """What a clip costs: its tokens where the encoder is trained along, else its acoustic and visual frames.

        Next to an encoder the LSTMs cost little; without one they are all there is. Zero where there are no frames.
        """
        if self._ids:
            return torch.tensor([len(clip) for clip in self._ids])
        none = np.zeros(len(self.split), dtype=np.int64)
        return torch.from_numpy(sum((s.lengths for s in self.split.sequences.values()), start=none))

    def batches(self, batches: Iterable[Int64[Tensor, "batch"]]) -> Iterator[Batch]:
        """The batches made of these clips, in this order; for a GPU the next one is made while it computes."""
        return ahead(self.batch, batches) if self.device.type == "cuda" else map(self.batch, batches)

    def by_length(self, batch_size: int) -> Iterator[Batch]:
        """All clips once, those of similar length together; `Batch.index` says which they are.

        A frozen encoder's token states count too; `lengths`, which training goes by, leaves them out.
        """
        lengths = self.lengths if self._states is None else self.lengths + self._states[1].diff()
        return self.batches(lengths.argsort(stable=True).split(batch_size))

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """All clips in their order; the last batch may be smaller, no clip is dropped."""
        return self.batches(torch.arange(len(self)).split(batch_size))
