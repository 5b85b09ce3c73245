"""What the training loops of all stages share: seeds, order of clips, optimizer, checkpoints, progress."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import math
import os
import pickle
import sys
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from safetensors.torch import save_file
from torch import Tensor, nn

from mugkit import files
from mugkit.config import Optimization
from mugkit.errors import UserError

if TYPE_CHECKING:
    from mugkit.data.batching import Batch, Clips

Item = TypeVar("Item")
log = logging.getLogger(__name__)
_DIGEST = 32  # bytes of a SHA-256


def derive_seed(seed: int, *names: str | int) -> int:
    """A seed for one purpose, e.g. `derive_seed(1111, "meta", "a", 3)`; distinct names give unrelated streams.

    Random state is never carried from one epoch to the next: every epoch starts from its own seed, so a resumed
    run draws what an uninterrupted one would have drawn.
    """
    return zlib.crc32(repr((seed, *names)).encode())


def generator(seed: int, *names: str | int) -> torch.Generator:
    """A CPU generator for one purpose."""
    return torch.Generator().manual_seed(derive_seed(seed, *names))


def shuffled(clips: int, seed: int, epoch: int) -> Int64[Tensor, "clips"]:
    """The order of clips in one epoch."""
    return torch.randperm(clips, generator=generator(seed, "order", epoch))


def similar_lengths(
    lengths: Int64[Tensor, "clips"], batch_size: int, seed: int, epoch: int, span: int = 8
) -> list[Int64[Tensor, "batch"]]:
    """One epoch's batches, in each of them clips of similar length: an LSTM takes as many steps as the longest has.

    Clips are shuffled, sorted by length within every `span` batches, and the batches shuffled again. Every clip
    comes once; no clip is dropped.
    """
    chunks = shuffled(len(lengths), seed, epoch).split(span * batch_size)
    batches = [part for c in chunks for part in c[lengths[c].argsort(stable=True)].split(batch_size)]
    order = torch.randperm(len(batches), generator=generator(seed, "batches", epoch))
    return [batches[position] for position in order.tolist()]


def l1(prediction: Float[Tensor, "batch"], target: Float[Tensor, "batch"]) -> Float[Tensor, ""]:
    """Mean absolute error, the loss of Eqs. 6, 9, 14, 16, 20, 25 and 26."""
    return (target - prediction).abs().mean()


def choose_device(name: str = "auto") -> torch.device:
    """`auto` is the first GPU if there is one, else the CPU."""
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


@contextlib.contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Runs a block with a fixed number of CPU threads (0: leave as it is), so that sums add up in one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def adamw(network: nn.Module, config: Optimization) -> torch.optim.AdamW:
    """AdamW (section 4.4) with a group of its own for the text encoder."""
    text: list[nn.Parameter] = []
    other: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        (text if name.startswith("language.encoder.") else other).append(parameter)
    rate = config.learning_rate
    groups: list[dict[str, Any]] = [{"params": other, "lr": rate}]
    if text:
        groups.append({"params": text, "lr": rate if config.text_learning_rate is None else config.text_learning_rate})
    return torch.optim.AdamW(groups, lr=rate, weight_decay=config.weight_decay, fused=True)


def step(
    network: nn.Module, optimizer: torch.optim.Optimizer, loss: Float[Tensor, ""], clip_norm: float
) -> Float[Tensor, ""]:
    """One update: θ ← θ − α∇L (Eq. 6, with AdamW for the plain step); returns the loss, on its device.

    Raises:
        UserError: the loss is not finite. On a GPU `StepLosses` finds that out.
    """
    if is_looked_at(loss):
        check_finite(loss.item())
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), clip_norm)
    optimizer.step()
    return loss.detach()


def is_looked_at(loss: Tensor) -> bool:
    """Whether to look at a loss right away: a GPU would have to be waited for, and would have nothing to do after."""
    return loss.device.type == "cpu"


def check_finite(value: float) -> None:
    """Refuses a training loss that is infinite or no number."""
    if not math.isfinite(value):
        raise UserError(f"the training loss became {value}", field="learning_rate", fix="lower it, or check the data")


class StepLosses:
    """The losses of an epoch's steps, fetched from their device once, at its end.

    Args:
        clips: what is trained on: an error names those of its batch.
    """

    def __init__(self, clips: Clips, epoch: int) -> None:
        self._clips, self._epoch = clips, epoch
        self._rows: list[Tensor] = []
        self._batches: list[Tensor] = []

    @contextlib.contextmanager
    def of(self, batch: Batch) -> Iterator[None]:
        """Around the step that a batch is used in."""
        self._batches.append(batch.index)
        try:
            yield
        except UserError as error:
            raise named(error, batch, self._clips, self._epoch) from error

    def note(self, *terms: Float[Tensor, ""]) -> None:
        """That step's loss, and further terms to keep."""
        self._rows.append(torch.stack([term.detach() for term in terms]))

    def fetch(self) -> Float64[np.ndarray, "steps terms"]:
        """All of them; the one time in an epoch that a GPU is waited for.

        Raises:
            UserError: a loss was not finite; the first such step's clips are named.
        """
        rows = torch.stack(self._rows).cpu().numpy().astype(np.float64)
        for number in np.flatnonzero(~np.isfinite(rows[:, 0]))[:1]:
            with self.of(self._clips.batch(self._batches[number])):
                check_finite(rows[number, 0])
        return rows


def named(error: UserError, batch: Batch, clips: Clips, epoch: int) -> UserError:
    """An error of `step` with the clips to look at: those with values that are not finite, else the whole batch."""
    wrong = ~torch.isfinite(batch.labels)
    for part in (*(frames.values for frames in batch.frames.values()), batch.text):
        if isinstance(part, Tensor):
            wrong = wrong | ~torch.isfinite(part).flatten(1).all(1)
    chosen = batch.index[wrong.cpu()] if wrong.any() else batch.index
    names = ", ".join(clips.split.ids[clip] for clip in chosen[:5].tolist()) + (", …" if len(chosen) > 5 else "")
    what = "clips with values that are not finite" if wrong.any() else "all values finite; clips of the batch"
    return UserError(f"{error.problem} in epoch {epoch} ({what}: {names})", field=error.field, fix=error.fix)


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


def progress(items: Iterable[Item], label: str, total: int | None = None) -> Iterable[Item]:
    """A progress bar in terminals and notebooks, nothing in logs; `MUGKIT_PROGRESS=0` turns it off."""
    if os.environ.get("MUGKIT_PROGRESS") == "0":
        return items
    from tqdm.auto import tqdm

    # disable=None: only where there is no terminal, and a notebook is not a terminal.
    hidden = False if "ipykernel" in sys.modules else None
    bar: Iterable[Item] = tqdm(items, desc=label, total=total, leave=False, disable=hidden)
    return bar


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
