"""Base classes of sources that make labels during training: a table of labels, and the rule that moves them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from mugkit.config import Hyperparameters
from mugkit.data.batch import Batch
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.models.mug import MultiTaskNetwork, Representations
from mugkit.training.label_sources.source import FixedLabels, save_labels


class OnlineLabels(FixedLabels):
    """Labels that start as y; subclasses change them during training."""

    def __init__(self, dataset: Dataset, hp: Hyperparameters) -> None:
        self.hp, self.rho = hp, dataset.label_scale
        self.y = torch.from_numpy(dataset.train.labels.copy())
        super().__init__({m: self.y.clone() for m in MODALITIES})

    def begin_epoch(self, train: ClipLoader, epoch: int, seed: int) -> None:
        super().begin_epoch(train, epoch, seed)
        self.y = self.y.to(train.device)

    def finish(self, folder: Path) -> None:
        save_labels(self.values, folder)

    def state(self) -> dict[str, Any]:
        return {"labels": self.values}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.values = dict(state["labels"])


class MovingLabels(OnlineLabels):
    """Labels that move a little every epoch towards labels from a network's features, as in Self-MM and SUGRM."""

    kept: tuple[str, ...] = ("m", *MODALITIES)  # whose features are stored for all clips; "m" is the fusion

    def __init__(self, dataset: Dataset, hp: Hyperparameters) -> None:
        super().__init__(dataset, hp)
        self.features: dict[str, Float[Tensor, "clips width"]] = {}  # each from the last step on its clip

    def proposed(
        self, seen: Mapping[str, Float[Tensor, "batch width"]], index: Int64[Tensor, "batch"]
    ) -> dict[str, Float[Tensor, "batch"]]:
        """ŷ_s of these clips by modality, from their features and the stored features."""
        raise NotImplementedError

    def begin_epoch(self, train: ClipLoader, epoch: int, seed: int) -> None:
        super().begin_epoch(train, epoch, seed)
        self.features = {m: table.to(train.device) for m, table in self.features.items()}

    @torch.no_grad()
    def after_step(self, network: MultiTaskNetwork, reps: Representations, batch: Batch, epoch: int) -> None:
        """Moves the batch's labels, from the second epoch on, and then stores its features."""
        seen, index = network.features(reps), batch.index_there
        if epoch >= 1:  # from here on the features of every clip are stored
            for m, labels in self.proposed(seen, index).items():
                self.move(m, index, labels, epoch)
        for m in self.kept:
            if m not in self.features:
                self.features[m] = seen[m].new_zeros(len(self.y), seen[m].shape[1])
            self.features[m][index] = seen[m]

    def weights(self, index: Int64[Tensor, "batch"]) -> dict[str, Float[Tensor, "batch"]]:
        """tanh|y_s − y|: a unimodal task counts more, the more its label differs from the clip's."""
        return {m: (self.values[m] - self.y)[index].abs().tanh() for m in MODALITIES}

    def move(self, modality: str, index: Int64[Tensor, "batch"], proposed: Float[Tensor, "batch"], epoch: int) -> None:
        """y_s ← (n−1)/(n+1)·y_s + 2/(n+1)·ŷ_s, with ŷ_s clamped to [−ρ, ρ]; n = epoch + 1. NaN changes no label."""
        n, values = epoch + 1, self.values[modality]
        before, proposed = values[index], proposed.clamp(-self.rho, self.rho)
        after = (n - 1) / (n + 1) * before + 2 / (n + 1) * proposed
        values[index] = torch.where(proposed.isnan(), before, after)

    def state(self) -> dict[str, Any]:
        return {**super().state(), "features": self.features}

    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self.features = dict(state["features"])


def centres(
    features: Float[Tensor, "clips width"], positive: Bool[Tensor, "clips"], negative: Bool[Tensor, "clips"]
) -> tuple[Float[Tensor, "width"], Float[Tensor, "width"]]:
    """C⁺ and C⁻, the mean features of two classes; NaN if a class has no clip."""
    members = torch.stack([positive, negative]).to(features.dtype)  # sums: no wait for a GPU to count clips
    first, second = members @ features / members.sum(1, keepdim=True)
    return first, second
