"""Turns a split on disk into batches on a device: text as features or tokens, frames gathered batch by batch."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mugkit.config import Network
from mugkit.data import disk, text
from mugkit.data.batch import Batch, Padded, Tokens, pad
from mugkit.data.schema import Split
from mugkit.device import to_device

Item = TypeVar("Item")
Made = TypeVar("Made")
TextLevel = Literal["pooled", "tokens"]


def prefetch(make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """Like `map`, but a thread makes the next result while the current result is used; it works no further ahead."""
    with ThreadPoolExecutor(1) as thread:
        made: Future[Made] | None = None
        for item in items:
            following = thread.submit(make, item)
            if made is not None:
                yield made.result()
            made = following
        if made is not None:
            yield made.result()


class ClipLoader:
    """Serves a split in batches: text is encoded or tokenized once, frames are gathered batch by batch.

    A frozen encoder's text is one vector per clip ('pooled') or per token; a trained encoder reads token ids.
    """

    def __init__(
        self, split: Split, config: Network, device: torch.device | str = "cpu", level: TextLevel = "pooled"
    ) -> None:
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
        """Width of a frozen encoder's text vectors; 0 if the encoder is trained and knows its own width."""
        frozen = self._features if self._states is None else self._states[0]
        return 0 if frozen is None else frozen.shape[1]

    def _text(self, index: Int64[Tensor, "batch"]) -> Tokens | Padded | Float[Tensor, "batch hidden"]:
        if self._states is not None:
            states, offsets = self._states
            return Padded.gathered(states.numpy(), offsets.numpy(), index.numpy()).to(self.device)
        if self._features is not None:
            return to_device(self._features[index], self.device)
        return pad([self._ids[clip] for clip in index.tolist()]).to(self.device)

    def _frames(self, modality: str, index: Int64[Tensor, "batch"]) -> Padded:
        sequences = self.split.sequences[modality]
        frames = Padded.gathered(sequences.frames, sequences.offsets, index.numpy())
        disk.release(sequences.frames, disk.KEPT_BYTES)
        return frames.to(self.device)

    def batch(self, index: Int64[Tensor, "batch"]) -> Batch:
        labels = to_device(torch.from_numpy(self.split.labels[index.numpy()]), self.device)
        frames = {m: self._frames(m, index) for m in self.split.sequences}
        return Batch(index, self._text(index), frames, labels)

    @property
    def lengths(self) -> Int64[Tensor, "clips"]:
        """The cost of each clip: its tokens if the encoder is trained, else its acoustic and visual frames, if any.

        Next to a trained encoder, the LSTMs cost little; with a frozen encoder, they are the only cost.
        """
        if self._ids:
            return torch.tensor([len(clip) for clip in self._ids])
        none = np.zeros(len(self.split), dtype=np.int64)
        return torch.from_numpy(sum((s.lengths for s in self.split.sequences.values()), start=none))

    def batches(self, batches: Iterable[Int64[Tensor, "batch"]]) -> Iterator[Batch]:
        """Makes a batch from each index, in this order; for a GPU, the next batch is made while the GPU computes."""
        return prefetch(self.batch, batches) if self.device.type == "cuda" else map(self.batch, batches)

    def by_length(self, batch_size: int) -> Iterator[Batch]:
        """All clips once, grouped by similar length; `Batch.index` says which clips a batch has.

        Here lengths include a frozen encoder's token states; `lengths`, which training uses, leaves them out.
        """
        lengths = self.lengths if self._states is None else self.lengths + self._states[1].diff()
        return self.batches(lengths.argsort(stable=True).split(batch_size))

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """All clips in their order; the last batch may be smaller, no clip is dropped."""
        return self.batches(torch.arange(len(self)).split(batch_size))
