"""Stage 3: multi-task training from scratch on y and the unimodal labels (section 3.4, Eqs. 24–27)."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mugkit.config import Hyperparameters, Network
from mugkit.data.batch import Batch
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.device import choose_device
from mugkit.models.losses import l1
from mugkit.models.mug import MultiTaskNetwork, Representations, build
from mugkit.training.label_sources.source import LabelSource
from mugkit.training.trainer import Build, Objective


def joint_loss(
    network: MultiTaskNetwork, reps: Representations, batch: Batch, source: LabelSource, beta: float
) -> Float[Tensor, ""]:
    """L = L_M + Σ_m β·L_m; only L_M if the source gives no labels ('W/O Unimodal Tasks').

    The sources of Self-MM and SUGRM also weight each clip's unimodal losses; all other sources weight clips equally.
    """
    multimodal = l1(network.predict(reps), batch.labels)  # Eq. 26
    targets, weights = source.targets(batch.index_there), source.weights(batch.index_there)
    if not targets:
        return multimodal
    predicted = network.predict_unimodal(reps.unimodal)  # Eq. 24
    if weights is None:
        unimodal = [l1(predicted[m], targets[m]) for m in MODALITIES]  # Eq. 25
    else:
        unimodal = [(weights[m] * (targets[m] - predicted[m]).abs()).mean() for m in MODALITIES]
    return multimodal + beta * torch.stack(unimodal).sum()  # Eq. 27


class JointObjective(Objective):
    """Eq. 27 with any source of unimodal labels, which is notified of every epoch and step."""

    def __init__(self, network: MultiTaskNetwork, source: LabelSource, beta: float) -> None:
        self.network, self.source, self.beta = network, source, beta

    def loss(self, batch: Batch, epoch: int) -> Float[Tensor, ""]:
        reps = self.network.represent(batch)
        self._reps = reps.detach()
        return joint_loss(self.network, reps, batch, self.source, self.beta)

    def begin_epoch(self, train: ClipLoader, epoch: int, seed: int) -> None:
        self.source.begin_epoch(train, epoch, seed)

    def before_step(self, batch: Batch, epoch: int) -> None:
        self.source.before_step(self.network, batch, epoch)

    def after_step(self, batch: Batch, epoch: int) -> None:
        self.source.after_step(self.network, self._reps, batch, epoch)

    def finish(self, folder: Path) -> None:
        self.source.finish(folder)

    def state(self) -> dict[str, Any]:
        return self.source.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        self.source.restore(state)


# (configuration, d′_m by modality, width of the text features) → network.
BuildNetwork = Callable[[Network, Mapping[str, int], int], Any]


def builder(
    dataset: Dataset,
    hp: Hyperparameters,
    source: LabelSource,
    device: str = "auto",
    network_of: BuildNetwork | None = None,
) -> Build:
    """Returns a function that builds a multi-task network (by `network_of`, else MUG's) and its objective."""

    def make(train: ClipLoader) -> tuple[Any, Objective]:
        network = (network_of or build)(hp.network, dataset.dims, train.text_width).to(choose_device(device))
        return network, JointObjective(network, source, hp.joint.beta)

    return make
