"""The language network (Eq. 1): a pretrained encoder, then one layer down to d_l.

A frozen encoder's features never change, so they are computed once per data set and cached; `LanguageNetwork`
then starts at the features. A trained encoder reads tokens. The rest of the network sees no difference.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from jaxtyping import Float, Int64
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mugkit import files
from mugkit.data.batching import moved
from mugkit.errors import UserError
from mugkit.nets import encoders, lean_bert
from mugkit.nets.encoders import identity, load_encoder, load_tokenizer, model_type
from mugkit.nets.precision import as_weights, computing, is_compiled
from mugkit.stages.training import cpu_threads, progress

MAX_TOKENS = 128
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tokens:
    """Token ids of a batch, zero-padded, and the mask that is 1 on tokens.

    Attributes:
        places: of the tokens, counted through all rows, if known: a GPU would have to be waited for to tell how many.
    """

    ids: Int64[Tensor, "batch length"]
    mask: Int64[Tensor, "batch length"]
    places: Int64[Tensor, "tokens"] | None = None

    def to(self, device: torch.device) -> Tokens:
        places = None if self.places is None else moved(self.places, device)
        return Tokens(moved(self.ids, device), moved(self.mask, device), places)


def activation(name: str) -> nn.Module:
    """f of Eqs. 1 and 7 by its configuration name."""
    return {"tanh": nn.Tanh, "relu": nn.ReLU}[name]()


def tokenize(tokenizer: Any, text: Sequence[str]) -> list[list[int]]:
    """Token ids of every transcript, special tokens included, cut at `MAX_TOKENS`; how many were cut is logged."""
    encoded = tokenizer(list(text), truncation=True, max_length=MAX_TOKENS)
    if cut := sum(bool(clip.overflowing) for clip in encoded.encodings or ()):
        log.warning("%d of %d transcripts are longer than %d tokens: the rest is not read", cut, len(text), MAX_TOKENS)
    ids: list[list[int]] = encoded["input_ids"]
    return ids


def token_ids(text: Sequence[str], encoder: str) -> list[list[int]]:
    """`tokenize` with the encoder's own tokenizer; done once, then read from `home()/cache/text`."""
    cached = _cached(_key(text, encoder, "ids"), lambda: _tokenize(text, encoder))
    flat, offsets = cached["ids"].tolist(), cached["offsets"].tolist()
    return [flat[start:end] for start, end in itertools.pairwise(offsets)]


def _tokenize(text: Sequence[str], encoder: str) -> dict[str, Tensor]:
    ids = tokenize(load_tokenizer(encoder), text)
    flat = torch.tensor([token for clip in ids for token in clip], dtype=torch.int32)
    return {"ids": flat, "offsets": torch.tensor([0, *map(len, ids)]).cumsum(0)}


def pad(ids: Sequence[Sequence[int]]) -> Tokens:
    """A batch as long as its longest transcript, and no longer."""
    lengths = torch.tensor([len(row) for row in ids])
    mask = torch.arange(int(lengths.max())) < lengths[:, None]
    padded = torch.zeros(mask.shape, dtype=torch.long)
    padded[mask] = torch.tensor([token for row in ids for token in row])
    return Tokens(padded, mask.long(), mask.flatten().nonzero()[:, 0])


def pool(
    states: Float[Tensor, "batch tokens hidden"], mask: Int64[Tensor, "batch tokens"], how: str
) -> Float[Tensor, "batch hidden"]:
    """x̂_l of Eq. 1: the first token's state, or the mean over the tokens."""
    if how == "first":
        return states[:, 0]
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1)


def check_pooling(kind: str, how: str) -> None:
    """Refuses the first token of a T5, which is the transcript's first word: T5 has no token for the whole.

    The paper does not say how it pools T5's states. Their mean is what Sentence-T5 (Ni et al., 2022) found best.

    Raises:
        UserError: the configuration has to name 'mean'.
    """
    if kind == "t5" and how == "first":
        raise UserError("T5 puts no token for the whole before a text", field="pooling", fix="--set pooling=mean")


class TextEncoder(nn.Module):
    """BERT(U_l; θ_BERT) and pooling, the first line of Eq. 1; of T5 (section 4.3), its encoder in BERT's place.

    Raises:
        UserError: the first token of a T5 is to stand for the transcript.
    """

    def __init__(self, encoder: nn.Module, pooling: str) -> None:
        super().__init__()
        check_pooling(encoder.config.model_type, pooling)  # type: ignore[union-attr,arg-type]
        self.encoder = encoder
        self.pooling = pooling

    @property
    def width(self) -> int:
        return int(self.encoder.config.hidden_size)  # type: ignore[union-attr,arg-type]

    def forward(self, tokens: Tokens) -> Float[Tensor, "batch hidden"]:
        with computing(self.encoder):
            if lean_bert.applies(self.encoder) and not is_compiled(self.encoder):
                layout = lean_bert.Layout.of(tokens.mask, tokens.places)
                states = lean_bert.last_states(self.encoder, tokens.ids, layout, self.pooling == "first")
            else:
                states = self.encoder(input_ids=tokens.ids, attention_mask=tokens.mask).last_hidden_state
        return pool(as_weights(states, self.encoder), tokens.mask, self.pooling)  # x̂_l


class LanguageNetwork(nn.Module):
    """x_l = f(W_down x̂_l + b_down) (Eq. 1).

    Args:
        width: dims of x̂_l.
        d_l: dims of x_l.
        f: name of the activation.
        encoder: trained along when given; without it the input is x̂_l itself (a frozen encoder's features).
    """

    def __init__(self, width: int, d_l: int, f: str, encoder: TextEncoder | None = None) -> None:
        super().__init__()
        self.encoder = encoder
        self.down = nn.Linear(width, d_l)
        self.f = activation(f)

    def forward(self, text: Tokens | Float[Tensor, "batch hidden"]) -> Float[Tensor, "batch d_l"]:
        hidden = text if isinstance(text, Tensor) else self.encoder(text)  # type: ignore[misc]
        return self.f(self.down(hidden))  # Eq. 1


def frozen_features(text: Sequence[str], encoder: str, pooling: str) -> Float[Tensor, "clips hidden"]:
    """x̂_l of all transcripts from a frozen encoder; computed once, then read from `home()/cache/text`.

    Raises:
        UserError: the encoder is not here, or has no first token to pool by.
    """
    return _cached(_key(text, encoder, pooling), lambda: {"features": _encode(text, encoder, pooling)})["features"]


def frozen_states(text: Sequence[str], encoder: str) -> tuple[Float[Tensor, "tokens hidden"], Int64[Tensor, "clips+1"]]:
    """A frozen encoder's last hidden states of all tokens of all transcripts.

    Clip c has the rows offsets[c]:offsets[c + 1], special tokens included. Computed once, then memory-mapped from
    `home()/cache/text`, where a token takes four bytes a dim: about 90 MB for 2,200 sentences and 384 dims.
    """
    states = _cached(_key(text, encoder), lambda: _encode_tokens(text, encoder))
    return states["states"], states["offsets"]


def _key(text: Sequence[str], encoder: str, *more: str) -> str:
    """Everything that decides the states: the encoder, the transcripts, and the code between them."""
    return files.digest([identity(encoder), list(text), MAX_TOKENS, _code(), *more])


@functools.cache
def _code() -> list[str]:
    """How transcripts are tokenized, cut, encoded and pooled: the sources of this module and of `encoders`."""
    return [files.sha256(Path(path)) for path in (__file__, encoders.__file__)]


def _cached(key: str, compute: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    path = files.home() / "cache" / "text" / f"{key}.safetensors"
    locks = files.home() / "cache" / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with FileLock(locks / key):  # of many runs that need the same text one encodes it, the others wait
        with contextlib.suppress(OSError, SafetensorError):  # not there yet, or damaged
            return load_file(path)
        tensors = compute()
        with files.atomic_path(path) as temporary:
            save_file(tensors, temporary)
        return tensors


def _encode(text: Sequence[str], encoder: str, pooling: str) -> Float[Tensor, "clips hidden"]:
    check_pooling(model_type(encoder), pooling)
    states, offsets = frozen_states(text, encoder)
    if pooling == "first":
        return states[offsets[:-1]]
    return torch.segment_reduce(states, "mean", offsets=offsets)


def _encode_tokens(text: Sequence[str], encoder: str, batch_size: int = 64) -> dict[str, Tensor]:
    """Batches side by side, a thread each: threads that share one batch wait for each other at every operation."""
    model = load_encoder(encoder)
    ids = token_ids(text, encoder)
    offsets = torch.tensor([0, *map(len, ids)]).cumsum(0)
    states = torch.empty(int(offsets[-1]), model.config.hidden_size)  # type: ignore[union-attr,arg-type]

    @torch.no_grad()
    def encode(chosen: list[int]) -> None:
        tokens = pad([ids[clip] for clip in chosen])
        batch = model(input_ids=tokens.ids, attention_mask=tokens.mask).last_hidden_state
        for clip, clip_states in zip(chosen, batch, strict=True):
            states[offsets[clip] : offsets[clip + 1]] = clip_states[: len(ids[clip])]

    # Similar lengths together: a batch is as wide as its longest transcript.
    order = sorted(range(len(ids)), key=lambda clip: len(ids[clip]))
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    threads = torch.get_num_threads()
    with cpu_threads(1), ThreadPoolExecutor(threads) as pool:
        for _ in progress(pool.map(encode, batches), f"encode text with {encoder}", total=len(batches)):
            pass
    return {"states": states, "offsets": offsets}
