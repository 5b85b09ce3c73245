"""The two denoising tasks of stage 2 (sections 3.3.1 to 3.3.3, Eqs. 13, 14, 16–19, 21).

Unimodal: from a modality's own representation and the clip's label plus noise, recover the label, in later epochs mixed
with MUCN's previous label. Multimodal: from the projected representation and a noisy prediction, recover the label.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from mugkit.config import MetaLearning
from mugkit.models.losses import l1, l2_normalise
from mugkit.training.pretrain import SavedRepresentations
from mugkit.training.seeding import generator, shuffled


@dataclass(frozen=True)
class Task:
    """A denoising task: representations, noisy labels, and the labels to recover."""

    inputs: Float[Tensor, "batch d_m+2"]  # [x; ȳ; 1], as MUCN's closed form reads it
    noisy: Float[Tensor, "batch"]
    target: Float[Tensor, "batch"]

    @classmethod
    def of(cls, x: Float[Tensor, "batch d_m"], noisy: Float[Tensor, "batch"], target: Float[Tensor, "batch"]) -> "Task":
        return cls(torch.cat([x, noisy[:, None], torch.ones_like(noisy)[:, None]], dim=1), noisy, target)

    @property
    def x(self) -> Float[Tensor, "batch d_m"]:
        return self.inputs[:, :-2]

    def loss(self, mucn: torch.nn.Module) -> Float[Tensor, ""]:
        """Mean absolute error of the corrected labels."""
        return l1(mucn(self.x, self.noisy), self.target)  # Eqs. 14, 16 and 20

    def clip(self, row: int) -> "Task":
        return Task(self.inputs[row : row + 1], self.noisy[row : row + 1], self.target[row : row + 1])


@dataclass(frozen=True)
class StepSample:
    """The random part of several steps: S, D = S ∪ S′ (None without the multimodal task), and the noise of both."""

    batches: Int64[Tensor, "steps batch"]
    noise: Float[Tensor, "steps batch"]
    chosen: Int64[Tensor, "steps D"] | None = None
    noise_multimodal: Float[Tensor, "steps D"] | None = None

    def to(self, device: torch.device) -> "StepSample":
        chosen, noise = (None if part is None else part.to(device) for part in (self.chosen, self.noise_multimodal))
        return StepSample(self.batches.to(device), self.noise.to(device), chosen, noise)


@dataclass(frozen=True)
class Step:
    """What one bi-level step proposes and measures; numbers may be tensors, so that Python need not wait for a GPU."""

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
    def of(cls, saved: SavedRepresentations, modality: str, config: MetaLearning) -> "ModalityData":
        x, projected = saved.unimodal[modality], saved.projected[modality]
        if config.normalise_representations:
            x, projected = l2_normalise(x), l2_normalise(projected)  # Eq. 10
        return cls(x, projected, saved.projected_prediction[modality], saved.labels)

    @cached_property
    def wide(self) -> Float[Tensor, "clips d_m+2"]:
        """[x_m; 0; 1]."""
        return _with_room(self.x)

    @cached_property
    def wide_projected(self) -> Float[Tensor, "clips d_m+2"]:
        """[x_m′; 0; 1]."""
        return _with_room(self.projected)

    def to(self, device: torch.device) -> "ModalityData":
        return ModalityData(
            *(part.to(device) for part in (self.x, self.projected, self.projected_prediction, self.labels))
        )


def _with_room(x: Float[Tensor, "clips d_m"]) -> Float[Tensor, "clips d_m+2"]:
    """[x; 0; 1]: a place for the label, and the input of the bias."""
    return torch.cat([x, x.new_zeros(len(x), 1), x.new_ones(len(x), 1)], dim=1)


def decay(lambda_init: float, epoch: int) -> float:
    """λ = λ_init^(E+1), with E counted from 0 over all of stage 2."""
    return lambda_init ** (epoch + 1)  # Eq. 18


def unimodal_targets(
    labels: Float[Tensor, "clips"], previous: Float[Tensor, "clips"], epoch: int, config: MetaLearning
) -> Float[Tensor, "clips"]:
    """The targets of the unimodal denoising task: y at first (Eq. 14), later a mix of y and the previous y_mc (Eq. 17).

    No gradient flows into `previous`, what MUCN_m wrote after the previous epoch.
    """
    if epoch < config.halfway * config.meta_epochs:
        return labels  # Eq. 14
    share = decay(config.lambda_init, epoch)
    return share * previous.detach() + (1 - share) * labels  # Eq. 17, the target of Eq. 16


_AT_ONCE = 8  # steps per copy: copies are few, but small enough for a processor's cache


def _gathered(
    wide: Float[Tensor, "clips d_m+2"],
    index: Int64[Tensor, "steps batch"],
    noisy: Float[Tensor, "steps batch"],
    target: Float[Tensor, "steps batch"],
) -> Iterator[Task]:
    """The tasks of all steps; `wide` is [x; any value; 1] of all clips."""
    for clips, labels, targets in zip(*(part.split(_AT_ONCE) for part in (index, noisy, target)), strict=True):
        inputs = wide.index_select(0, clips.flatten()).view(*clips.shape, -1)
        inputs[..., -2] = labels
        yield from map(Task, inputs, labels, targets)


def unimodal_tasks(
    data: ModalityData,
    batches: Int64[Tensor, "steps batch"],
    targets: Float[Tensor, "clips"],
    noise: Float[Tensor, "steps batch"],
) -> Iterator[Task]:
    """S of every step: the unimodal representation and the clip's label plus noise."""
    return _gathered(data.wide, batches, data.labels[batches] + noise, targets[batches])  # Eq. 13


def multimodal_tasks(
    data: ModalityData, chosen: Int64[Tensor, "steps D"], noise: Float[Tensor, "steps D"]
) -> Iterator[Task]:
    """D of every step: the projected representation, a noisy prediction as the corrupted label, and the clean label."""
    noisy = data.projected_prediction[chosen] + noise  # Eqs. 19, 21
    return _gathered(data.wide_projected, chosen, noisy, data.labels[chosen])


_FEW = 16  # D is a small part of the split if it has less than 1/16 of the clips


def multimodal_sets(
    batches: Int64[Tensor, "steps batch"], clips: int, ratio: int, draw: torch.Generator
) -> Int64[Tensor, "steps D"]:
    """D = S ∪ S′: each batch, and b·|S| other clips drawn without replacement (all of them if there are fewer).

    If D is a small part of the split, clips are drawn with replacement and repeated clips are dropped. All sets stay
    equally likely, and an epoch's cost does not grow with the square of its clips, as with a list of all other clips.
    """
    size = (1 + ratio) * batches.shape[1]
    if _FEW * size < clips:
        drawn = torch.cat(
            [batches, torch.randint(clips, (len(batches), size + size // 8 + _FEW), generator=draw)], dim=1
        )
        ordered, place = drawn.sort(dim=1, stable=True)
        again = torch.zeros_like(drawn, dtype=torch.bool)  # every occurrence of a clip but the first
        again.scatter_(1, place[:, 1:], ordered[:, 1:] == ordered[:, :-1])
        kept = ~again & ((~again).cumsum(1) <= size)
        if int(kept.sum()) == size * len(batches):
            return drawn[kept].view(len(batches), size)
    return torch.stack([_with_others(batch, clips, ratio * len(batch), draw) for batch in batches])


def _with_others(batch: Int64[Tensor, "batch"], clips: int, count: int, draw: torch.Generator) -> Int64[Tensor, "D"]:
    outside = torch.ones(clips, dtype=torch.bool)
    outside[batch] = False
    others = outside.nonzero().squeeze(-1)
    return torch.cat([batch, others[torch.randperm(len(others), generator=draw)[:count]]])


def step_samples(clips: int, config: MetaLearning, seed: int, epoch: int) -> Iterator[StepSample]:
    """One epoch's batches and noises: first those of all full batches, then those of a smaller last batch, if any.

    Drawn on the CPU, so that they are the same on every device.
    """
    # Two streams: the unimodal task sees the same noise with and without the multimodal task, so ablations are paired.
    draw, draw_multimodal = generator(seed, "noise", epoch), generator(seed, "multimodal", epoch)
    order, size = shuffled(clips, seed, epoch), config.meta_batch_size
    whole = clips - clips % size
    for batches in (order[:whole].view(-1, size), order[None, whole:]):
        if not batches.numel():
            continue
        noise = config.noise_std * torch.randn(batches.shape, generator=draw)
        if not config.multimodal_denoising:
            yield StepSample(batches, noise)
            continue
        chosen = multimodal_sets(batches, clips, config.extra_ratio, draw_multimodal)
        yield StepSample(
            batches, noise, chosen, config.noise_std * torch.randn(chosen.shape, generator=draw_multimodal)
        )


def tasks(
    data: ModalityData, targets: Float[Tensor, "clips"], drawn: StepSample
) -> Iterator[tuple[Int64[Tensor, "batch"], Task, Task | None]]:
    """The batch of every step, its unimodal task and its multimodal task (None if there is no such task)."""
    unimodal = unimodal_tasks(data, drawn.batches, targets, drawn.noise)
    multimodal: Iterable[Task | None] = repeat(None, len(drawn.batches))
    if drawn.chosen is not None and drawn.noise_multimodal is not None:
        multimodal = multimodal_tasks(data, drawn.chosen, drawn.noise_multimodal)
    return zip(drawn.batches, unimodal, multimodal, strict=True)
