"""Stage 3: multi-task training from scratch on y and the unimodal labels (section 3.4, Eqs. 24–27)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mugkit.config import Hyperparameters, Network
from mugkit.data.batching import Batch, Clips
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.labels.source import LabelSource, MultiTaskNetwork, OnlineSource, save_labels
from mugkit.nets.mug import Representations, build
from mugkit.stages.fitting import Build, Objective, Result, train_and_test
from mugkit.stages.training import Checkpoint, choose_device, l1


def joint_loss(
    network: MultiTaskNetwork, reps: Representations, batch: Batch, source: LabelSource | None, beta: float
) -> Float[Tensor, ""]:
    """L = L_M + Σ_m β·L_m; without a label source only L_M ('W/O Unimodal Tasks').

    Self-MM's source also weighs each clip's unimodal losses; for all others every clip counts the same.
    """
    multimodal = l1(network.predict(reps), batch.labels)  # Eq. 26
    if source is None:
        return multimodal
    predicted = network.predict_unimodal(reps.unimodal)  # Eq. 24
    targets, weights = source.targets(batch.index), source.weights(batch.index)
    if weights is None:
        unimodal = [l1(predicted[m], targets[m].to(predicted[m])) for m in MODALITIES]  # Eq. 25
    else:
        unimodal = [_weighted_l1(predicted[m], targets[m], weights[m]) for m in MODALITIES]
    return multimodal + beta * torch.stack(unimodal).sum()  # Eq. 27


def _weighted_l1(
    prediction: Float[Tensor, "batch"], target: Float[Tensor, "batch"], weight: Float[Tensor, "batch"]
) -> Float[Tensor, ""]:
    return (weight.to(prediction) * (target.to(prediction) - prediction).abs()).mean()


class JointObjective(Objective):
    """Eq. 27 with any source of unimodal labels; an online source is told of every step.

    Args:
        beta: weight of each unimodal loss.
    """

    def __init__(self, network: MultiTaskNetwork, source: LabelSource | None, beta: float) -> None:
        self.network, self.source, self.beta = network, source, beta

    @property
    def _online(self) -> OnlineSource | None:
        return self.source if isinstance(self.source, OnlineSource) else None

    def loss(self, batch: Batch, epoch: int) -> Float[Tensor, ""]:
        reps = self.network.represent(batch)
        self._reps = reps.stopped()
        return joint_loss(self.network, reps, batch, self.source, self.beta)

    def begin_epoch(self, train: Clips, epoch: int, seed: int) -> None:
        if self._online:
            self._online.begin_epoch(train, epoch, seed)

    def before_step(self, batch: Batch, epoch: int) -> None:
        if self._online:
            self._online.before_step(self.network, batch, epoch)

    def after_step(self, batch: Batch, epoch: int) -> None:
        if self._online:
            self._online.after_step(self.network, self._reps, batch, epoch)

    def finish(self, folder: Path) -> None:
        if self._online:
            save_labels(self._online, folder)

    def state(self) -> dict[str, Any]:
        return self._online.state() if self._online else {}

    def restore(self, state: Mapping[str, Any]) -> None:
        if self._online:
            self._online.restore(state)


# Configuration, d′_m by modality and the text's width → network.
BuildNetwork = Callable[[Network, Mapping[str, int], int], Any]


def builder(
    dataset: Dataset,
    hp: Hyperparameters,
    source: LabelSource | None,
    device: str = "auto",
    network_of: BuildNetwork | None = None,
) -> Build:
    """Builds a multi-task network and its objective.

    Args:
        network_of: builds another network in place of MUG's (Self-MM's own).
    """

    def make(train: Clips) -> tuple[Any, Objective]:
        network = (network_of or build)(hp.network, dataset.dims, train.text_width).to(choose_device(device))
        return network, JointObjective(network, source, hp.joint.beta)

    return make


def train_jointly(
    dataset: Dataset,
    hp: Hyperparameters,
    source: LabelSource | None,
    seed: int,
    folder: Path,
    checkpoint: Checkpoint | None = None,
    device: str = "auto",
    network_of: BuildNetwork | None = None,
) -> Result:
    """Runs stage 3 from scratch; leaves weights, predictions and history in `folder`."""
    make = builder(dataset, hp, source, device, network_of)
    return train_and_test(dataset, hp, make, seed, folder, checkpoint, device)
