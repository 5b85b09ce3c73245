"""Stage 2 gone wrong, said where it arises: which modality, which epoch, which clips.

A step size α that is too large throws MUCN's parameters to where nothing is finite any more. The tanh of Eq. 28 hides
that for a while (the loss stays within 2ρ), so the parameters are looked at beside the losses.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from mugkit.data.schema import MODALITY_NAMES
from mugkit.errors import UserError

_SHOWN = 5


class NotFinite(UserError):
    """A loss or a parameter of MUCN is not finite.

    Args:
        clips: positions of the batch's clips in the training split.
        epoch: of stage 2.
        what: the loss, or the parameters.
    """

    def __init__(self, clips: Sequence[int], epoch: int, what: str) -> None:
        self.clips, self.epoch, self.what = list(clips), epoch, what
        super().__init__(
            f"{what} of stage 2 became not finite in epoch {epoch} (clips of the batch, counted from 0: "
            f"{_list([str(clip) for clip in self.clips])})",
            field="alpha",
            fix="lower alpha, the step size of Eq. 15, and alpha_prime, that of Eq. 23",
        )

    def __reduce__(self) -> tuple:
        return (NotFinite, (self.clips, self.epoch, self.what))


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def check_epoch(
    mucn: nn.Module,
    losses: Sequence[float] | Tensor,
    batches: Sequence[Int64[Tensor, "batch"]],
    epoch: int,
) -> None:
    """Looks at one epoch of MUCN_m.

    Args:
        losses: of every step, in order: one a batch, or one a clip where each clip has a gate of its own.
        batches: the clips of every batch, in the order that they were taken in.

    Raises:
        NotFinite: names the first batch whose loss is not finite; the last one if only the parameters are not.
    """
    bad = (~torch.isfinite(torch.as_tensor(losses, dtype=torch.float64))).nonzero().flatten().tolist()
    if bad:
        steps = list(batches) if len(losses) == len(batches) else list(torch.cat(list(batches)).split(1))
        raise NotFinite(steps[bad[0]].tolist(), epoch, "the loss")
    if not all(bool(torch.isfinite(parameter).all()) for parameter in mucn.parameters()):
        raise NotFinite(batches[-1].tolist(), epoch, "the parameters")


@contextlib.contextmanager
def of_modality(modality: str) -> Iterator[None]:
    """Adds the modality to what goes wrong inside."""
    try:
        yield
    except NotFinite as error:
        error.what = f"{error.what} of the {MODALITY_NAMES[modality]} labels' network"
        raise


@contextlib.contextmanager
def of_clips(ids: Sequence[str]) -> Iterator[None]:
    """Says the clips of what goes wrong inside by their ids.

    Raises:
        UserError: in place of a NotFinite.
    """
    try:
        yield
    except NotFinite as error:
        names = _list([ids[clip] for clip in error.clips])
        problem = f"{error.what} became not finite in epoch {error.epoch} of stage 2 (clips of the batch: {names})"
        raise UserError(problem, field=error.field, fix=error.fix) from error
