"""The optimizer of stages 1 and 3 and of every baseline, one step of it, and the losses of an epoch's steps."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from mugkit.config import Optimization
from mugkit.data.batch import Batch
from mugkit.data.loader import ClipLoader
from mugkit.errors import UserError


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

    def __init__(self, clips: ClipLoader, epoch: int) -> None:
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


def named(error: UserError, batch: Batch, clips: ClipLoader, epoch: int) -> UserError:
    """An error of `step` with the clips to look at: those with values that are not finite, else the whole batch."""
    wrong = ~torch.isfinite(batch.labels)
    for part in (*(frames.values for frames in batch.frames.values()), batch.text):
        if isinstance(part, Tensor):
            wrong = wrong | ~torch.isfinite(part).flatten(1).all(1)
    chosen = batch.index[wrong.cpu()] if wrong.any() else batch.index
    names = ", ".join(clips.split.ids[clip] for clip in chosen[:5].tolist()) + (", …" if len(chosen) > 5 else "")
    what = "clips with values that are not finite" if wrong.any() else "all values finite; clips of the batch"
    return UserError(f"{error.problem} in epoch {epoch} ({what}: {names})", field=error.field, fix=error.fix)
