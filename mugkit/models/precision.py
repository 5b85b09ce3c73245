"""In which precision a trained text encoder computes, and whether it is compiled.

Nearly all arithmetic of a training step is the encoder's, so it alone takes bfloat16 where the configuration says so:
its matrix products while it trains. Its weights, and everything behind its states (heads, losses, labels), stay
float32, as does all that is done without training: validation, test, and the representations that stage 1 saves.
"""

from __future__ import annotations

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
    """The configuration's text encoder, to be trained along.

    Raises:
        UserError: the encoder is not here, or its file lacks weights that we use.
    """
    encoder = load_encoder(config.text_encoder)
    encoder.mugkit_precision = config.precision  # type: ignore[assignment]
    if config.compile and not (reason := why_not_compiled()):
        encoder.compile(dynamic=True)
    elif config.compile:
        log.warning("the text encoder is not compiled: %s", reason)
    return encoder


def computing(encoder: nn.Module) -> AbstractContextManager[Any]:
    """What an encoder computes in; whoever reads its states makes them float32 again."""
    if getattr(encoder, "mugkit_precision", "float32") == "float32" or not encoder.training:
        return contextlib.nullcontext()
    return torch.autocast(next(encoder.parameters()).device.type, torch.bfloat16)


def as_weights(states: Tensor, encoder: nn.Module) -> Tensor:
    """An encoder's states in the type of its weights, whatever it computed in."""
    return states.to(next(encoder.parameters()).dtype)


def is_compiled(encoder: nn.Module) -> bool:
    return getattr(encoder, "_compiled_call_impl", None) is not None


def why_not_compiled(compile: Callable[..., Any] = torch.compile) -> str:
    """Why torch.compile does not work here, e.g. for want of a C++ compiler; '' if it does."""
    try:
        compile(lambda x: x * 2 + 1)(torch.ones(2))
    except Exception as error:  # whatever a compiler's absence looks like
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return ""
