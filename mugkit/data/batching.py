"""From a split on disk to batches on a device: packed frames, text as features or tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from mugkit.config import Network
from mugkit.data.schema import FRAME_MODALITIES, Split

if TYPE_CHECKING:
    from mugkit.nets.text import Tokens


@dataclass(frozen=True)
class Batch:
    """Some clips of a split, on one device.

    Attributes:
        index: the clips' positions in their split.
        text: token ids, or x̂_l of a frozen encoder.
        frames: U_a and U_v, packed.
        labels: y.
    """

    index: Int64[Tensor, "batch"]
    text: Tokens | Float[Tensor, "batch hidden"]
    frames: Mapping[str, PackedSequence]
    labels: Float[Tensor, "batch"]


class Clips:
    """A split made ready for a network: text encoded or tokenized once, frames packed batch by batch."""

    def __init__(self, split: Split, config: Network, device: torch.device | str = "cpu") -> None:
        # Imported here: the data package stays importable without transformers.
        from mugkit.nets.text import frozen_features, load_tokenizer, tokenize

        self.split = split
        self.device = torch.device(device)
        self._ids: list[list[int]] = []
        self._features: Tensor | None = None
        if config.freeze_text:
            self._features = frozen_features(split.text, config.text_encoder, config.pooling)
        else:
            self._ids = tokenize(load_tokenizer(config.text_encoder), split.text)

    def __len__(self) -> int:
        return len(self.split)

    @property
    def text_width(self) -> int:
        """Dims of the cached x̂_l; 0 when the encoder is trained and knows its own width."""
        return 0 if self._features is None else self._features.shape[1]

    def _text(self, index: Int64[Tensor, "batch"]) -> Tokens | Float[Tensor, "batch hidden"]:
        from mugkit.nets.text import pad

        if self._features is not None:
            return self._features[index].to(self.device)
        return pad([self._ids[clip] for clip in index.tolist()]).to(self.device)

    def _frames(self, modality: str, index: Int64[Tensor, "batch"]) -> PackedSequence:
        sequences = self.split.sequences[modality]
        # np.array copies the clip out of the memory map; torch refuses read-only memory.
        clips = [torch.from_numpy(np.array(sequences[clip])) for clip in index.tolist()]
        return pack_sequence(clips, enforce_sorted=False).to(self.device)  # type: ignore[arg-type]

    def batch(self, index: Int64[Tensor, "batch"]) -> Batch:
        labels = torch.from_numpy(self.split.labels[index.numpy()]).to(self.device)
        frames = {m: self._frames(m, index) for m in FRAME_MODALITIES}
        return Batch(index, self._text(index), frames, labels)

    @property
    def lengths(self) -> Int64[Tensor, "clips"]:
        """Acoustic and visual frames of each clip together: what a clip costs the LSTMs."""
        return torch.from_numpy(sum(self.split.sequences[m].lengths for m in FRAME_MODALITIES))

    def batches(self, batches: Iterable[Int64[Tensor, "batch"]]) -> Iterator[Batch]:
        """The batches made of these clips, in this order."""
        for index in batches:
            yield self.batch(index)

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """All clips in their order; the last batch may be smaller, no clip is dropped."""
        return self.batches(torch.arange(len(self)).split(batch_size))
