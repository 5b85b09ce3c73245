"""One modality in stage 2: a pass of MUCN_m over the training split, the labels it then writes, and what it leaves.

Modalities do not depend on each other: `mugkit.stages.side_by_side` gives them to several processes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from mugkit.config import MetaLearning
from mugkit.nets.mucn import MUCN
from mugkit.stages import closed_form, faults
from mugkit.stages.denoising import ModalityData, Step, Task, decay, draws, tasks, unimodal_targets
from mugkit.stages.training import Checkpoint, derive_seed, progress

# From the unimodal tasks and the multimodal task to what is proposed for each unimodal task.
Steps = Callable[[Sequence[Task], Task | None], list[Step]]
BilevelSteps = Callable[[MUCN, MetaLearning], Steps]


@torch.no_grad()
def write_parameters(parameters: Sequence[Tensor], proposals: list[Step]) -> None:
    """θ ← the proposed parameters; with one task per clip, their mean."""
    for position, parameter in enumerate(parameters):
        values = [step.parameters[position] for step in proposals]
        parameter.copy_(values[0] if len(values) == 1 else torch.stack(values).mean(0))


_CLIPS = 2048  # at a time: hidden layers that stay in a processor's cache


@torch.no_grad()
def correct(mucn: torch.nn.Module, data: ModalityData, config: MetaLearning) -> Float[Tensor, "clips"]:
    """y_mc of all clips: what MUCN_m makes of the unimodal representation and a label without noise."""
    given = data.labels if config.label_input == "multimodal" else data.projected_prediction
    parts = zip(data.x.split(_CLIPS), given.split(_CLIPS), strict=True)
    return torch.cat([mucn(x, label) for x, label in parts])


def train_epoch(
    mucn: MUCN,
    data: ModalityData,
    previous: Float[Tensor, "clips"],
    config: MetaLearning,
    seed: int,
    epoch: int,
    steps: BilevelSteps | None = None,
) -> dict[str, float]:
    """One pass of MUCN_m over the training split; returns means of losses and how often the gate opened.

    Args:
        steps: `WithLearn2learn` in place of the closed form.

    Raises:
        NotFinite: a loss or a parameter.
    """
    propose = (steps or closed_form.ClosedForm)(mucn, config)
    targets = unimodal_targets(data.labels, previous, epoch, config)
    parameters = list(mucn.parameters())
    rows: list[tuple[Any, ...]] = []
    batches: list[Tensor] = []
    for drawn in draws(len(data.labels), config, seed, epoch):
        for batch, unimodal, multimodal in tasks(data, targets, drawn.to(data.labels.device)):
            learned_from = [unimodal] if config.gate == "batch" else [unimodal.clip(row) for row in range(len(batch))]
            proposals = propose(learned_from, multimodal)
            write_parameters(parameters, proposals)
            rows += [(one.unimodal, one.pre, one.post, one.gate_open) for one in proposals]
            batches.append(batch)
    columns = {name: [float(row[n]) for row in rows] for n, name in enumerate(("unimodal", "pre", "post", "gate_open"))}
    faults.check_epoch(mucn, columns["unimodal"], batches, epoch)
    return {name: float(pd.Series(values).mean()) for name, values in columns.items()}


def fresh_mucn(data: ModalityData, config: MetaLearning, rho: float, seed: int) -> MUCN:
    """MUCN_m with its initial weights."""
    torch.manual_seed(derive_seed(seed, "mucn"))
    mucn = MUCN(data.x.shape[1], config.mucn_width, rho, config.residual, config.mucn_output_bias)
    return mucn.to(data.x.device)


class Learning:
    """One modality as it learns, epoch by epoch; goes on from its checkpoint.

    Attributes:
        mucn: MUCN_m.
        history: one row an epoch.
        trajectory: y_mc after every epoch.

    Args:
        steps: see `train_epoch`.
    """

    def __init__(
        self,
        data: ModalityData,
        modality: str,
        config: MetaLearning,
        rho: float,
        seed: int,
        checkpoint: Checkpoint,
        steps: BilevelSteps | None = None,
    ) -> None:
        self.data, self.modality, self.config, self.seed = data, modality, config, seed
        self._checkpoint, self._steps = checkpoint, steps
        self.mucn = fresh_mucn(data, config, rho, seed)
        state = checkpoint.load() or {"history": [], "trajectory": torch.empty(0)}
        if "mucn" in state:
            self.mucn.load_state_dict(state["mucn"])
        self.history: list[dict[str, Any]] = state["history"]
        self.trajectory: list[Float[Tensor, "clips"]] = list(state["trajectory"])

    @property
    def left(self) -> range:
        """Epochs to come."""
        return range(len(self.history), self.config.meta_epochs)

    @property
    def previous(self) -> Float[Tensor, "clips"]:
        """y_mc after the last epoch; y before the first."""
        return self.trajectory[-1].to(self.data.labels.device) if self.trajectory else self.data.labels

    def took(self, row: Mapping[str, float], labels: Float[Tensor, "clips"]) -> None:
        """Notes an epoch that `mucn` has just been through.

        Args:
            row: what `train_epoch` returned.
            labels: what `correct` then did.
        """
        epoch = len(self.history)
        self.trajectory.append(labels.cpu())
        self.history.append(
            {"modality": self.modality, "epoch": epoch, "lambda": decay(self.config.lambda_init, epoch), **row}
        )
        self._checkpoint.save(
            {"mucn": self.mucn.state_dict(), "history": self.history, "trajectory": torch.stack(self.trajectory)}
        )

    def learn(self) -> None:
        """All epochs that are left, here."""
        with faults.of_modality(self.modality):
            for epoch in progress(self.left, f"stage 2, {self.modality}"):
                row = train_epoch(self.mucn, self.data, self.previous, self.config, self.seed, epoch, self._steps)
                self.took(row, correct(self.mucn, self.data, self.config))
