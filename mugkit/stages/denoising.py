"""The two denoising tasks of stage 2 (sections 3.3.1 and 3.3.2, Eqs. 13, 14, 16–19, 21).

Unimodal: from a modality's own representation and the clip's label with noise on it, recover the clip's label, later
partly MUCN's own last word. Multimodal: from the projected representation and a noisy prediction, recover the label.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from mugkit.config import MetaLearning
from mugkit.nets.projection import l2_normalise
from mugkit.stages.pretrain import SavedRepresentations
from mugkit.stages.training import generator, l1, shuffled


@dataclass(frozen=True)
class Task:
    """A denoising task: representations, noisy labels, and the labels to recover."""

    x: Float[Tensor, "batch d_m"]
    noisy: Float[Tensor, "batch"]
    target: Float[Tensor, "batch"]

    def loss(self, mucn: torch.nn.Module) -> Float[Tensor, ""]:
        """Mean absolute error of the corrected labels (Eqs. 14, 16 and 20)."""
        return l1(mucn(self.x, self.noisy), self.target)

    def clip(self, row: int) -> Task:
        """The task made of one clip alone."""
        return Task(self.x[row : row + 1], self.noisy[row : row + 1], self.target[row : row + 1])


@dataclass(frozen=True)
class Draw:
    """The random part of one step: S, D = S ∪ S′, and the noise of either (Eqs. 13, 21); D is None without its task."""

    batch: Int64[Tensor, "batch"]
    noise: Float[Tensor, "batch"]
    chosen: Int64[Tensor, "D"] | None = None
    noise_multimodal: Float[Tensor, "D"] | None = None


@dataclass(frozen=True)
class Step:
    """What one bi-level step proposes and measured; numbers may be tensors, so that a GPU need not be waited for."""

    parameters: list[Tensor]
    unimodal: float | Float[Tensor, ""]
    pre: float | Float[Tensor, ""]
    post: float | Float[Tensor, ""]
    gate_open: bool | Bool[Tensor, ""]


@dataclass(frozen=True)
class ModalityData:
    """One modality of `SavedRepresentations`, as MUCN sees it."""

    x: Float[Tensor, "clips d_m"]
    projected: Float[Tensor, "clips d_m"]
    projected_prediction: Float[Tensor, "clips"]
    labels: Float[Tensor, "clips"]

    @classmethod
    def of(cls, saved: SavedRepresentations, modality: str, config: MetaLearning) -> ModalityData:
        x, projected = saved.unimodal[modality], saved.projected[modality]
        if config.normalise_representations:
            x, projected = l2_normalise(x), l2_normalise(projected)  # Eq. 10
        return cls(x, projected, saved.projected_prediction[modality], saved.labels)

    def to(self, device: torch.device) -> ModalityData:
        return ModalityData(
            *(part.to(device) for part in (self.x, self.projected, self.projected_prediction, self.labels))
        )


def decay(lambda_init: float, epoch: int) -> float:
    """λ = λ_init^(E+1), E counted from 0 over the whole of stage 2."""
    return lambda_init ** (epoch + 1)  # Eq. 18


def unimodal_targets(
    labels: Float[Tensor, "clips"], previous: Float[Tensor, "clips"], epoch: int, config: MetaLearning
) -> Float[Tensor, "clips"]:
    """What the unimodal denoising task must recover: y at first (Eq. 14), later partly MUCN's own last word.

    Args:
        labels: y.
        previous: y_mc as MUCN_m wrote it after the previous epoch; a constant, no gradient flows into it.
        epoch: E.
    """
    if epoch < config.halfway * config.meta_epochs:
        return labels  # Eq. 14
    share = decay(config.lambda_init, epoch)
    return share * previous.detach() + (1 - share) * labels  # Eq. 17, the target of Eq. 16


def unimodal_task(
    data: ModalityData, batch: Int64[Tensor, "batch"], targets: Float[Tensor, "clips"], noise: Float[Tensor, "batch"]
) -> Task:
    """S: the unimodal representation and the clip's label with noise on it."""
    x, labels, target = (values.index_select(0, batch) for values in (data.x, data.labels, targets))
    return Task(x, labels + noise, target)  # Eq. 13


_FEW = 16  # D is a small part of the split if it is less than one in so many


def multimodal_set(batch: Int64[Tensor, "batch"], clips: int, ratio: int, draw: torch.Generator) -> Int64[Tensor, "D"]:
    """D = S ∪ S′: the batch, and b·|S| other clips drawn without replacement (all of them if there are fewer).

    A few among many are drawn with replacement, and those drawn again left out: as likely, and no list of all others
    makes an epoch's cost grow with the square of its clips.
    """
    size = (1 + ratio) * len(batch)
    if _FEW * size < clips:
        drawn = torch.cat([batch, torch.randint(clips, (2 * size + _FEW,), generator=draw)])
        ordered, place = drawn.sort(stable=True)
        again = place[1:][ordered[1:] == ordered[:-1]]  # of a clip that is there more than once all but the first
        chosen = drawn[torch.ones(len(drawn), dtype=torch.bool).index_fill_(0, again, False)][:size]
        if len(chosen) == size:
            return chosen
    outside = torch.ones(clips, dtype=torch.bool)
    outside[batch] = False
    others = outside.nonzero().squeeze(-1)
    chosen = torch.randperm(len(others), generator=draw)[: ratio * len(batch)]
    return torch.cat([batch, others[chosen]])


def multimodal_task(data: ModalityData, chosen: Int64[Tensor, "D"], noise: Float[Tensor, "D"]) -> Task:
    """D: the projected representation, a noisy prediction as the corrupted label, and the clean label."""
    x, prediction, labels = (
        values.index_select(0, chosen) for values in (data.projected, data.projected_prediction, data.labels)
    )
    return Task(x, prediction + noise, labels)  # Eqs. 19, 21


def draws(clips: int, config: MetaLearning, seed: int, epoch: int) -> Iterator[Draw]:
    """One epoch's batches and noises, drawn on the CPU, so that they are the same on every device."""
    # Two streams: without the multimodal task the unimodal one still sees the same noise, so ablations are paired.
    draw, draw_multimodal = generator(seed, "noise", epoch), generator(seed, "multimodal", epoch)
    for batch in shuffled(clips, seed, epoch).split(config.meta_batch_size):
        noise = config.noise_std * torch.randn(len(batch), generator=draw)
        if not config.multimodal_denoising:
            yield Draw(batch, noise)
            continue
        chosen = multimodal_set(batch, clips, config.extra_ratio, draw_multimodal)
        yield Draw(batch, noise, chosen, config.noise_std * torch.randn(len(chosen), generator=draw_multimodal))


def on_device(drawn: Iterable[Draw], device: torch.device) -> Iterable[Draw]:
    """The same draws on a device: to a GPU all of an epoch's go in four pieces and are split there."""
    if device.type == "cpu":
        return drawn
    steps = list(drawn)
    columns = [[getattr(one, f.name) for one in steps] for f in fields(Draw)]
    moved = [
        [None] * len(steps) if one[0] is None else torch.cat(one).to(device).split([len(part) for part in one])
        for one in columns
    ]
    return [Draw(*step) for step in zip(*moved, strict=True)]
