"""What a stage writes: its unfinished state, so that an interrupted run resumes, and the weights at its end."""

from __future__ import annotations

import hashlib
import io
import logging
import math
import pickle
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from mugkit import files

log = logging.getLogger(__name__)
_DIGEST = 32  # bytes of a SHA-256


@dataclass
class Checkpoint:
    """Where an unfinished stage keeps its state, so that an interrupted run resumes near where it was.

    Attributes:
        path: the file; None keeps nothing.
        pause: seconds after a state was written in which no other is; epochs may be shorter than it takes to write one.
    """

    path: Path | None = None
    pause: float = 0.0
    _written: float = field(default=-math.inf, repr=False, compare=False)

    def part(self, name: str) -> Checkpoint:
        """That of a part of the stage, beside this one."""
        return Checkpoint(self.path and self.path.with_name(f"{name}-{self.path.name}"), self.pause)

    def load(self) -> dict[str, Any] | None:
        """The last saved state; None if there is none, or a damaged one, which is told.

        A SHA-256 stands before the state: torch itself would read flipped bits as other weights. Only tensors and
        plain values are ever read (`weights_only`).
        """
        if self.path is None or not self.path.exists():
            return None
        content = self.path.read_bytes()
        digest, state = content[:_DIGEST], memoryview(content)[_DIGEST:]
        try:
            if hashlib.sha256(state).digest() != digest:
                raise ValueError("its checksum differs")
            saved: dict[str, Any] = torch.load(io.BytesIO(state), weights_only=True, map_location="cpu")
        except (ValueError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            reason = str(error).partition("\n")[0]
            log.warning("%s: damaged (%s); that stage begins again", self.path, reason)
            return None
        return saved

    def save(self, state: dict[str, Any]) -> None:
        """Writes the state, unless one was written within the pause."""
        if self.path is None or time.monotonic() < self._written + self.pause:
            return
        content = io.BytesIO()
        torch.save(state, content)
        with files.atomic_path(self.path) as temporary, temporary.open("wb") as stream:
            stream.write(hashlib.sha256(content.getbuffer()).digest())
            stream.write(content.getbuffer())
        self._written = time.monotonic()


def save_weights(network: nn.Module, path: Path) -> None:
    """All weights by name; those that layers share are written once, under the first of their names.

    `safetensors.torch.load_model` reads them back. Its `save_model` would write the same weights and, of shared ones, a
    header in an order that changes from process to process; equal weights should be equal bytes.
    """
    kept: dict[tuple[int, tuple[int, ...]], str] = {}
    state = network.state_dict()
    for name in sorted(state):
        kept.setdefault((state[name].data_ptr(), tuple(state[name].shape)), name)
    save_file({name: state[name].contiguous() for name in kept.values()}, path)
