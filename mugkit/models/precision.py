"""Precision and compilation of a trained text encoder.

The encoder does nearly all arithmetic of a training step. If the configuration says bfloat16, only the encoder's matrix
products use it, and only while the encoder trains. Its weights and everything after its states (heads, losses, labels)
stay float32. So does everything outside training: validation, test, and the representations that stage 1 saves.
"""

import contextlib
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from mugkit.config import Network
from mugkit.data.encoders import load_encoder

log = logging.getLogger(__name__)


def trained_encoder(config: Network) -> nn.Module:
    """The configuration's text encoder, ready to be trained with the network; raises as `load_encoder` does."""
    encoder = load_encoder(config.text_encoder)
    encoder.mugkit_precision = config.precision  # type: ignore[assignment]
    if config.compile and not (reason := why_not_compiled()):
        encoder.compile(dynamic=True)
    elif config.compile:
        log.warning("the text encoder is not compiled: %s", reason)
    return encoder


def computing(encoder: nn.Module) -> AbstractContextManager[Any]:
    """The precision context of an encoder's forward pass; `as_weights` converts its states back."""
    if getattr(encoder, "mugkit_precision", "float32") == "float32" or not encoder.training:
        return contextlib.nullcontext()
    return torch.autocast(next(encoder.parameters()).device.type, torch.bfloat16)


def as_weights(states: Tensor, encoder: nn.Module) -> Tensor:
    """An encoder's states, converted to the dtype of its weights."""
    return states.to(next(encoder.parameters()).dtype)


def is_compiled(encoder: nn.Module) -> bool:
    return getattr(encoder, "_compiled_call_impl", None) is not None


def why_not_compiled(compile: Callable[..., Any] = torch.compile) -> str:
    """Why torch.compile does not work on this machine, e.g. because it has no C++ compiler; '' if it works."""
    try:
        compile(lambda x: x * 2 + 1)(torch.ones(2))
    except Exception as error:  # a missing compiler can raise any error
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return ""
