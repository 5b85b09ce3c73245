"""Reports divergence in stage 2 where it arises: the modality, the epoch and the clips.

If the step size α is too large, MUCN's parameters grow until they are no longer finite. The tanh of Eq. 28 hides that
for a while (the loss stays within 2ρ), so the parameters are checked as well as the losses.
"""

import contextlib
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from mugkit.data.schema import MODALITY_NAMES
from mugkit.errors import UserError
from mugkit.training.optim import listed


class NotFinite(UserError):
    """A loss or a parameter of MUCN is not finite; `clips` are those of the batch, by position or by id."""

    def __init__(self, what: str, epoch: int, clips: Sequence[int | str]) -> None:
        self.what, self.epoch, self.clips = what, epoch, [*clips]
        super().__init__(
            f"{what} became not finite in epoch {epoch} of stage 2 (clips of the batch: {listed(self.clips)})",
            field="alpha",
            fix="lower alpha, the step size of Eq. 15, and alpha_prime, that of Eq. 23",
        )

    def __reduce__(self) -> tuple:
        return NotFinite, (self.what, self.epoch, self.clips)


def check_epoch(
    mucn: nn.Module, losses: Sequence[float] | Tensor, batches: Sequence[Int64[Tensor, "batch"]], epoch: int
) -> None:
    """Raises NotFinite if a loss of an epoch of MUCN_m is not finite (first step), or a parameter (last batch).

    There is one loss per batch, or one per clip if each clip has its own gate.
    """
    bad = (~torch.isfinite(torch.as_tensor(losses, dtype=torch.float64))).nonzero().flatten().tolist()
    if bad:
        steps = list(batches) if len(losses) == len(batches) else list(torch.cat(list(batches)).split(1))
        raise NotFinite("the loss", epoch, steps[bad[0]].tolist())
    if not all(bool(torch.isfinite(parameter).all()) for parameter in mucn.parameters()):
        raise NotFinite("the parameters", epoch, batches[-1].tolist())


@contextlib.contextmanager
def of_modality(modality: str) -> Iterator[None]:
    """Adds the modality to a `NotFinite` that is raised inside."""
    try:
        yield
    except NotFinite as error:
        what = f"{error.what} of the {MODALITY_NAMES[modality]} labels' network"
        raise NotFinite(what, error.epoch, error.clips) from error


@contextlib.contextmanager
def of_clips(ids: Sequence[str]) -> Iterator[None]:
    """Replaces the positions of clips by their ids in a `NotFinite` that is raised inside."""
    try:
        yield
    except NotFinite as error:
        raise NotFinite(error.what, error.epoch, [ids[int(clip)] for clip in error.clips]) from error
