"""From a split on disk to batches on a device: packed frames, text as features or tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_sequence, pad_sequence

from mugkit.config import Network
from mugkit.data import disk
from mugkit.data.schema import Split

if TYPE_CHECKING:
    from mugkit.nets.text import Tokens

TextLevel = Literal["pooled", "tokens"]


@dataclass(frozen=True)
class TokenStates:
    """A frozen encoder's last hidden states of a batch, zero-padded, and the mask that is 1 on tokens."""

    states: Float[Tensor, "batch tokens hidden"]
    mask: Int64[Tensor, "batch tokens"]


@dataclass(frozen=True)
class Batch:
    """Some clips of a split, on one device.

    Attributes:
        index: the clips' positions in their split.
        text: token ids; or what a frozen encoder made of them, by token or pooled to x̂_l.
        frames: U_a and U_v, packed.
        labels: y.
    """

    index: Int64[Tensor, "batch"]
    text: Tokens | TokenStates | Float[Tensor, "batch hidden"]
    frames: Mapping[str, PackedSequence]
    labels: Float[Tensor, "batch"]


class Clips:
    """A split made ready for a network: text encoded or tokenized once, frames packed batch by batch.

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

    def _token_states(self, index: Int64[Tensor, "batch"]) -> TokenStates:
        states, offsets = self._states  # type: ignore[misc]
        clips = [states[offsets[clip] : offsets[clip + 1]] for clip in index.tolist()]
        lengths = torch.tensor([len(clip) for clip in clips])
        mask = (torch.arange(int(lengths.max())) < lengths[:, None]).long()
        return TokenStates(pad_sequence(clips, batch_first=True).to(self.device), mask.to(self.device))

    def _text(self, index: Int64[Tensor, "batch"]) -> Tokens | TokenStates | Float[Tensor, "batch hidden"]:
        from mugkit.nets.text import pad

        if self._states is not None:
            return self._token_states(index)
        if self._features is not None:
            return self._features[index].to(self.device)
        return pad([self._ids[clip] for clip in index.tolist()]).to(self.device)

    def _frames(self, modality: str, index: Int64[Tensor, "batch"]) -> PackedSequence:
        sequences = self.split.sequences[modality]
        # np.array copies the clip out of the memory map; torch refuses read-only memory.
        clips = [torch.from_numpy(np.array(sequences[clip])) for clip in index.tolist()]
        disk.release(sequences.frames)
        return pack_sequence(clips, enforce_sorted=False).to(self.device)  # type: ignore[arg-type]

    def batch(self, index: Int64[Tensor, "batch"]) -> Batch:
        labels = torch.from_numpy(self.split.labels[index.numpy()]).to(self.device)
        frames = {m: self._frames(m, index) for m in self.split.sequences}
        return Batch(index, self._text(index), frames, labels)

    @property
    def lengths(self) -> Int64[Tensor, "clips"]:
        """Acoustic and visual frames of each clip together: what a clip costs the LSTMs. Zero where there are none."""
        none = np.zeros(len(self.split), dtype=np.int64)
        return torch.from_numpy(sum((s.lengths for s in self.split.sequences.values()), start=none))

    def batches(self, batches: Iterable[Int64[Tensor, "batch"]]) -> Iterator[Batch]:
        """The batches made of these clips, in this order."""
        for index in batches:
            yield self.batch(index)

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """All clips in their order; the last batch may be smaller, no clip is dropped."""
        return self.batches(torch.arange(len(self)).split(batch_size))
