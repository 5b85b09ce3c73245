"""Label sources: who says what one modality expresses.

A source is asked once per batch for the targets of L_m (Eq. 25). The sources here know their labels beforehand:
the clip's label copied (y_mc ← y), human unimodal labels, and the labels that MUCN learned in stage 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mugkit.data.schema import MODALITIES, Dataset
from mugkit.errors import UserError
from mugkit.stages.meta import LearnedLabels


class LabelSource(Protocol):
    """What stage 3 asks of a source of unimodal labels."""

    def targets(self, index: Int64[Tensor, "batch"]) -> Mapping[str, Float[Tensor, "batch"]]:
        """Labels by modality for these clips of the training split."""


@dataclass(frozen=True)
class FixedLabels:
    """A source whose labels are known before stage 3 begins.

    Attributes:
        values: labels of the training split by modality.
    """

    values: Mapping[str, Float[Tensor, "clips"]]

    def targets(self, index: Int64[Tensor, "batch"]) -> dict[str, Float[Tensor, "batch"]]:
        return {m: self.values[m][index] for m in MODALITIES}


def copied(dataset: Dataset) -> FixedLabels:
    """y_mc ← y: the clip's label for every modality (Table 5)."""
    labels = torch.from_numpy(dataset.train.labels.copy())
    return FixedLabels(dict.fromkeys(MODALITIES, labels))


def true(dataset: Dataset) -> FixedLabels:
    """Human unimodal labels ('MUG (With True Label)', Table 4).

    Raises:
        UserError: the data set has none.
    """
    if not dataset.has_true_labels:
        raise UserError(
            f"data set '{dataset.name}' has no true unimodal labels",
            field="system",
            fix="use a data set that has them (reviews, sims) or another system",
        )
    return FixedLabels({m: torch.from_numpy(dataset.train.true_labels[m].copy()) for m in MODALITIES})


def learned(labels: LearnedLabels) -> FixedLabels:
    """y_mc as MUCN wrote it at the end of stage 2."""
    return FixedLabels(labels.labels)
