"""The optimizer of stages 1 and 3 and of every baseline, one step of it, and the losses of an epoch's steps."""

import contextlib
import math
from collections.abc import Iterator, Sequence
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
    """AdamW (section 4.4) with a separate parameter group for the text encoder."""
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
    """One update: θ ← θ − α∇L (Eq. 6, with AdamW instead of the plain step); returns the loss, on its device.

    Raises:
        UserError: if the loss is not finite. On a GPU, `StepLosses` checks this later.
    """
    if is_looked_at(loss):
        check_finite(loss.item())
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), clip_norm)
    optimizer.step()
    return loss.detach()


def is_looked_at(loss: Tensor) -> bool:
    """Whether to check a loss immediately; not on a GPU, where Python would wait and then leave the GPU idle."""
    return loss.device.type == "cpu"


def check_finite(value: float) -> None:
    """Raises a UserError if a training loss is infinite or NaN."""
    if not math.isfinite(value):
        raise UserError(f"the training loss became {value}", field="learning_rate", fix="lower it, or check the data")


class StepLosses:
    """The losses of an epoch's steps, fetched from their device once, at the end; errors name clips of the batch."""

    def __init__(self, clips: ClipLoader, epoch: int) -> None:
        self._clips, self._epoch = clips, epoch
        self._rows: list[Tensor] = []
        self._batches: list[Tensor] = []

    @contextlib.contextmanager
    def of(self, batch: Batch) -> Iterator[None]:
        """Context of the step on a batch: an error raised inside names the clips."""
        self._batches.append(batch.index)
        try:
            yield
        except UserError as error:
            raise named(error, batch, self._clips, self._epoch) from error

    def note(self, *terms: Float[Tensor, ""]) -> None:
        """Stores the loss of the step, and further terms."""
        self._rows.append(torch.stack([term.detach() for term in terms]))

    def fetch(self) -> Float64[np.ndarray, "steps terms"]:
        """All stored terms; the only call in an epoch for which Python waits for a GPU.

        Raises:
            UserError: if a loss is not finite; names the clips of the first such step.
        """
        rows = torch.stack(self._rows).cpu().numpy().astype(np.float64)
        for number in np.flatnonzero(~np.isfinite(rows[:, 0]))[:1]:
            with self.of(self._clips.batch(self._batches[number])):
                check_finite(rows[number, 0])
        return rows


def listed(clips: Sequence[int | str]) -> str:
    """The first five clips, for an error."""
    return ", ".join(map(str, clips[:5])) + (", …" if len(clips) > 5 else "")


def named(error: UserError, batch: Batch, clips: ClipLoader, epoch: int) -> UserError:
    """An error of `step` that names clips: those with values that are not finite, else those of the whole batch."""
    wrong = ~torch.isfinite(batch.labels)
    for part in (*(frames.values for frames in batch.frames.values()), batch.text):
        if isinstance(part, Tensor):
            wrong = wrong | ~torch.isfinite(part).flatten(1).all(1)
    chosen = batch.index[wrong.cpu()] if wrong.any() else batch.index
    names = listed([clips.split.ids[clip] for clip in chosen.tolist()])
    what = "clips with values that are not finite" if wrong.any() else "all values finite; clips of the batch"
    return UserError(f"{error.problem} in epoch {epoch} ({what}: {names})", field=error.field, fix=error.fix)
