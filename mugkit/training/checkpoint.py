"""What a stage writes: a checkpoint, from which an interrupted run resumes, and the final weights."""

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
    """The checkpoint file of an unfinished stage, from which an interrupted run resumes near where it stopped."""

    path: Path | None = None  # None: nothing is saved
    pause: float = 0.0  # minimum seconds from one save to the next; an epoch may take less time than a save
    _written: float = field(default=-math.inf, repr=False, compare=False)

    def part(self, name: str) -> "Checkpoint":
        """The checkpoint of a part of the stage, in the same folder."""
        return Checkpoint(self.path and self.path.with_name(f"{name}-{self.path.name}"), self.pause)

    def load(self) -> dict[str, Any] | None:
        """The last saved state; None if there is none, or if it is damaged, which is logged.

        The file begins with the SHA-256 of the state, because torch would read flipped bits as other weights. Only
        tensors and plain values are read (`weights_only`).
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
        """Writes the state, unless the last save was less than `pause` seconds ago."""
        if self.path is None or time.monotonic() < self._written + self.pause:
            return
        content = io.BytesIO()
        torch.save(state, content)
        with files.atomic_path(self.path) as temporary, temporary.open("wb") as stream:
            stream.write(hashlib.sha256(content.getbuffer()).digest())
            stream.write(content.getbuffer())
        self._written = time.monotonic()


def save_weights(network: nn.Module, path: Path) -> None:
    """Writes all weights by name; weights that layers share are written once, under the first of their names.

    `safetensors.torch.load_model` reads them back. Its `save_model` writes the same weights, but lists shared weights
    in the header in an order that changes from process to process; here equal weights give equal bytes.
    """
    kept: dict[tuple[int, tuple[int, ...]], str] = {}
    state = network.state_dict()
    for name in sorted(state):
        kept.setdefault((state[name].data_ptr(), tuple(state[name].shape)), name)
    save_file({name: state[name].contiguous() for name in kept.values()}, path)
