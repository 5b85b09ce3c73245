"""ULGM, Self-MM's unimodal label generation module.

W. Yu, H. Xu, Z. Yuan, J. Wu: "Learning Modality-Specific Representations with Self-Supervised Multi-Task Learning for
Multimodal Sentiment Analysis", AAAI 2021, section 3.3. Nothing here is trained. F is what the hidden layer of a
predictor makes of a clip; C⁺ and C⁻ are the means of F over clips with a positive and a negative label. How much
nearer a clip lies to C⁺ than to C⁻, relative to its distance from C⁺, says how positive it is:

    δ = (‖F − C⁻‖ − ‖F − C⁺‖) / ‖F − C⁺‖

Where a modality s is more positive in this sense than the fusion m, its label is moved up from y, and the reverse:

    ŷ_s = ½·(δ_s/δ_m)·y + ½·(y + δ_s − δ_m)

Labels stay at y in the first epoch and then approach ŷ_s with momentum (`MovingLabels`).

Departures and choices:
- C⁺ is over labels ≥ 0, as the paper has it; the authors' later toolkit leaves zeros out.
- F is taken of the representations that the step before the labels was computed from. In MUG's networks the
  predictors, whose hidden layers make F of them, are one step newer; in Self-MM's own network they are not.
- While a class has no clip (no negative label at all), labels stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mugkit.config import Hyperparameters
from mugkit.data.batch import Batch
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.models.mug import Representations
from mugkit.training.label_sources.online import MovingLabels, centres
from mugkit.training.label_sources.source import MultiTaskNetwork

EPS = 1e-8
Centres = tuple[Float[Tensor, "width"], Float[Tensor, "width"]]


def relative_distance(features: Float[Tensor, "batch width"], centre: Centres) -> Float[Tensor, "batch"]:
    """δ: above 0 where a clip lies nearer to C⁺ than to C⁻."""
    to_positive, to_negative = ((features - c).norm(dim=-1) for c in centre)
    return (to_negative - to_positive) / (to_positive + EPS)


def generated(
    y: Float[Tensor, "batch"], delta_s: Float[Tensor, "batch"], delta_m: Float[Tensor, "batch"]
) -> Float[Tensor, "batch"]:
    """ŷ_s: the mean of y scaled by δ_s/δ_m and y shifted by δ_s − δ_m."""
    return 0.5 * y * delta_s / (delta_m + EPS) + 0.5 * (y + delta_s - delta_m)


class ULGM(MovingLabels):
    """Labels from distances to class centres, modality by modality.

    Attributes:
        features: F of all clips by modality and, under "m", of the fusion, as last seen.
    """

    def __init__(self, dataset: Dataset, hp: Hyperparameters) -> None:
        super().__init__(dataset, hp)
        self.features: dict[str, Float[Tensor, "clips width"]] = {}

    def begin_epoch(self, train: ClipLoader, epoch: int, seed: int) -> None:
        super().begin_epoch(train, epoch, seed)
        self.features = {m: table.to(train.device) for m, table in self.features.items()}

    @torch.no_grad()
    def after_step(self, network: MultiTaskNetwork, reps: Representations, batch: Batch, epoch: int) -> None:
        """Moves the batch's labels, from the second epoch on, and then stores its features."""
        seen = network.features(reps)
        if epoch >= 1:  # from here on every clip's features are stored
            self._generate(seen, batch, epoch)
        for m, features in seen.items():
            if m not in self.features:
                self.features[m] = features.new_zeros(len(self.y), features.shape[1])
            self.features[m][batch.index_there] = features

    def _centres(self, modality: str) -> Centres:
        labels = self.values.get(modality, self.y)
        return centres(self.features[modality], labels >= 0, labels < 0)

    def _generate(self, seen: Mapping[str, Float[Tensor, "batch width"]], batch: Batch, epoch: int) -> None:
        delta = {m: relative_distance(seen[m], self._centres(m)) for m in seen}
        index = batch.index_there
        for m in MODALITIES:
            self.move(m, index, generated(self.y[index], delta[m], delta["m"]), epoch)

    def state(self) -> dict[str, Any]:
        return {**super().state(), "features": self.features}

    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self.features = dict(state["features"])
