"""Turns transcripts into token ids, and into the features of a frozen text encoder.

A frozen encoder's features never change, so they are computed once per data set and cached; the language network
(`mugkit.models.mug.LanguageNetwork`) then starts from the features. A trained encoder reads tokens.
"""

import contextlib
import functools
import itertools
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from jaxtyping import Float, Int64
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mugkit import files
from mugkit.data import encoders
from mugkit.data.batch import pad
from mugkit.data.encoders import identity, load_encoder, load_tokenizer, model_type
from mugkit.device import cpu_threads
from mugkit.errors import UserError
from mugkit.progress import progress

MAX_TOKENS = 128
log = logging.getLogger(__name__)


def tokenize(tokenizer: Any, text: Sequence[str]) -> list[list[int]]:
    """Token ids of every transcript, with special tokens, truncated at `MAX_TOKENS`; logs how many are truncated."""
    encoded = tokenizer(list(text), truncation=True, max_length=MAX_TOKENS)
    if cut := sum(bool(clip.overflowing) for clip in encoded.encodings or ()):
        log.warning("%d of %d transcripts are longer than %d tokens: the rest is not read", cut, len(text), MAX_TOKENS)
    ids: list[list[int]] = encoded["input_ids"]
    return ids


def token_ids(text: Sequence[str], encoder: str) -> list[list[int]]:
    """`tokenize` with the encoder's own tokenizer; computed once, then read from `home()/cache/text`."""
    cached = _cached(_key(text, encoder, "ids"), lambda: _tokenize(text, encoder))
    flat, offsets = cached["ids"].tolist(), cached["offsets"].tolist()
    return [flat[start:end] for start, end in itertools.pairwise(offsets)]


def _tokenize(text: Sequence[str], encoder: str) -> dict[str, Tensor]:
    ids = tokenize(load_tokenizer(encoder), text)
    flat = torch.tensor([token for clip in ids for token in clip], dtype=torch.int32)
    return {"ids": flat, "offsets": torch.tensor([0, *map(len, ids)]).cumsum(0)}


def check_pooling(kind: str, how: str) -> None:
    """Rejects pooling by the first token for T5: it has no token for the whole text, so this is only the first word.

    The paper does not say how it pools T5's states. Sentence-T5 (Ni et al., 2022) found their mean to work best.

    Raises:
        UserError: if the encoder is a T5 and pooling is 'first'; the fix is 'mean'.
    """
    if kind == "t5" and how == "first":
        raise UserError("T5 puts no token for the whole before a text", field="pooling", fix="--set pooling=mean")


def frozen_features(text: Sequence[str], encoder: str, pooling: str) -> Float[Tensor, "clips hidden"]:
    """x̂_l of all transcripts from a frozen encoder; computed once, then read from `home()/cache/text`.

    Raises:
        UserError: if the encoder is not on this machine and cannot be downloaded, or `check_pooling` rejects it.
    """
    return _cached(_key(text, encoder, pooling), lambda: {"features": _encode(text, encoder, pooling)})["features"]


def frozen_states(text: Sequence[str], encoder: str) -> tuple[Float[Tensor, "tokens hidden"], Int64[Tensor, "clips+1"]]:
    """A frozen encoder's last hidden states of all tokens of all transcripts.

    Clip c owns rows offsets[c]:offsets[c + 1], special tokens included. Computed once, then memory-mapped from
    `home()/cache/text`, where a token takes four bytes per dim: about 90 MB for 2,200 sentences and 384 dims.
    """
    states = _cached(_key(text, encoder), lambda: _encode_tokens(text, encoder))
    return states["states"], states["offsets"]


def _key(text: Sequence[str], encoder: str, *more: str) -> str:
    """A digest of everything that determines the states: the encoder, the transcripts and the code."""
    return files.digest([identity(encoder), list(text), MAX_TOKENS, _code(), *more])


@functools.cache
def _code() -> list[str]:
    """Hashes of the code that tokenizes, truncates, encodes and pools: this module and `encoders`."""
    return [files.sha256(Path(path)) for path in (__file__, encoders.__file__)]


def _cached(key: str, compute: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    path = files.home() / "cache" / "text" / f"{key}.safetensors"
    locks = files.home() / "cache" / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with FileLock(locks / key):  # if several runs need the same text, one encodes it and the others wait
        with contextlib.suppress(OSError, SafetensorError):  # does not exist yet, or is damaged
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
    """Encodes batches in parallel, one thread each: threads on one batch wait for each other at every operation."""
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

    # Transcripts of similar length share a batch, because a batch is as wide as its longest transcript.
    order = sorted(range(len(ids)), key=lambda clip: len(ids[clip]))
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    threads = torch.get_num_threads()
    with cpu_threads(1), ThreadPoolExecutor(threads) as pool:
        for _ in progress(pool.map(encode, batches), f"encode text with {encoder}", total=len(batches)):
            pass
    return {"states": states, "offsets": offsets}
