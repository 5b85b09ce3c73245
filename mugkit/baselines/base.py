"""What every baseline is: a network and its loss, built from the shapes of the data.

All baselines run under the protocol of `mugkit.training.trainer`: same clips, same text encoder, same optimizer, same
rule of early stopping, same seeds as MUG. A baseline decides its structure and its loss; `mugkit.experiments.registry`
has what its paper sets otherwise: learning rates, weight decay and, in profile `paper`, batches, patience and epochs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mugkit.config import Network
from mugkit.data.batch import Batch
from mugkit.data.loader import ClipLoader, TextLevel
from mugkit.data.schema import Dataset
from mugkit.models.losses import l1
from mugkit.models.precision import trained_encoder
from mugkit.models.standardise import Standardise
from mugkit.training.trainer import Build, Objective


@dataclass(frozen=True)
class Shapes:
    """What a baseline is built for.

    Attributes:
        text: width of the text encoder's states (or of their pooled vector).
        acoustic: d′_a.
        visual: d′_v.
        label_scale: ρ, the largest intensity of sentiment.
        pooling: how token states become one vector where a baseline needs that: 'first' or 'mean'.
    """

    text: int
    acoustic: int
    visual: int
    label_scale: float = 3.0
    pooling: str = "first"


class Baseline(nn.Module, Objective):
    """A baseline: `forward` gives ŷ, `loss` what training minimises.

    A subclass is `MyModel(shapes, encoder, config)` with a frozen dataclass `Config` whose defaults are its paper's
    (for MOSI). A trained text encoder is kept as `self.language.encoder`, which gives it an optimizer group of its own.

    Attributes:
        level: what of the text the network reads.
        config: the paper's sizes and loss weights.
        light: fields of the configuration that the profiles `smoke` and `quick` change, as they narrow MUG.
    """

    level: ClassVar[TextLevel] = "pooled"
    Config: ClassVar[type[Any]]
    light: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, shapes: Shapes, encoder: nn.Module | None, config: Any) -> None:
        super().__init__()
        self.shapes, self.config = shapes, config

    def forward(self, batch: Batch) -> Float[Tensor, "batch"]:
        """ŷ."""
        raise NotImplementedError

    def loss(self, batch: Batch, epoch: int) -> Float[Tensor, ""]:
        """The mean absolute error, unless the baseline has more to minimise."""
        return l1(self(batch), batch.labels)


class ScaledBaseline(Baseline):
    """A baseline that reads frames standardised by the training split."""

    def __init__(self, shapes: Shapes, encoder: nn.Module | None, config: Any) -> None:
        super().__init__(shapes, encoder, config)
        self.standardise = Standardise({"a": shapes.acoustic, "v": shapes.visual})

    def begin_epoch(self, train: ClipLoader, epoch: int, seed: int) -> None:
        """Measures the training frames once."""
        if epoch == 0:
            self.standardise.fit(train.split.sequences)


def builder(kind: type[Baseline], config: Any, network: Network, dataset: Dataset, device: torch.device) -> Build:
    """Builds a baseline for a data set; loads the text encoder's weights only when it is to be trained."""

    def build(train: ClipLoader) -> tuple[Baseline, Objective]:
        encoder = None if network.freeze_text else trained_encoder(network)
        width = train.text_width if encoder is None else int(encoder.config.hidden_size)  # type: ignore[arg-type,union-attr]
        dims = dataset.dims
        shapes = Shapes(width, dims.get("a", 0), dims.get("v", 0), dataset.label_scale, network.pooling)
        made = kind(shapes, encoder, config).to(device)
        return made, made

    return build
