"""The base classes of baselines: a baseline is a network and its loss, built from the shapes of the data.

All baselines run under the protocol of `mugkit.training.trainer`: same clips, same text encoder, same optimizer, same
rule of early stopping, same seeds as MUG. A baseline decides its structure and its loss; `mugkit.experiments.registry`
has what its paper sets differently: learning rates, weight decay and, in profile `paper`, batches and epochs.

So all baselines depart from their papers as follows. They read the states of the shared text encoder, where older
papers use GloVe words (UniMSE uses T5, as published). The whole encoder is trained (of UniMSE's T5, the last blocks) or
all of it is frozen. The task loss is the mean absolute error, as in most papers, except for UniMSE, and for AOBERT
during pre-training. AdamW without a schedule replaces the published optimizer. Gradients are clipped at norm 1 (MulT:
0.8); most published code does not clip, or clips each value. Layers are initialised by torch's defaults unless the
module says otherwise. Training stops after more than eight epochs (MISA 6, MMIM 10) without a better validation loss;
several published programs train to the last epoch. Each module lists its further departures.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from mugkit.config import Network
from mugkit.data.batch import Batch
from mugkit.data.loader import ClipLoader, TextLevel
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.models.losses import l1
from mugkit.models.mug import MultiTaskNetwork, Representations
from mugkit.models.precision import trained_encoder
from mugkit.models.standardise import Standardise
from mugkit.models.tokens import TokenLanguage, aligned
from mugkit.training.trainer import Build, Objective


@dataclass(frozen=True)
class Shapes:
    """The shapes of the data that a baseline is built for."""

    text: int  # width of the text encoder's states (or of their pooled vector)
    acoustic: int  # d′_a
    visual: int  # d′_v
    label_scale: float = 3.0  # ρ, the largest intensity of sentiment
    pooling: str = "first"  # how token states become one vector, if a baseline needs that: 'first' or 'mean'


class Baseline(nn.Module, Objective):
    """A baseline: `forward` returns ŷ, `loss` returns what training minimises.

    A trained text encoder is stored as `self.language.encoder`, so that it has a separate optimizer group.
    """

    level: TextLevel = "pooled"  # what the network reads of the text
    Config: type[Any]  # a frozen dataclass of sizes and loss weights; its defaults are the paper's (for MOSI)
    light: Any  # the `Config` of the profiles `smoke` and `quick`, narrowed as MUG is

    def __init__(self, shapes: Shapes, encoder: nn.Module | None, config: Any) -> None:
        super().__init__()
        self.shapes, self.config = shapes, config

    def forward(self, batch: Batch) -> Float[Tensor, "batch"]:
        """ŷ."""
        raise NotImplementedError

    def loss(self, batch: Batch, epoch: int) -> Float[Tensor, ""]:
        return l1(self(batch), batch.labels)  # unless the baseline has more to minimise


class ScaledBaseline(Baseline):
    """A baseline that reads frames standardised by the training split, however its paper scales them."""

    def __init__(self, shapes: Shapes, encoder: nn.Module | None, config: Any) -> None:
        super().__init__(shapes, encoder, config)
        self.standardise = Standardise({"a": shapes.acoustic, "v": shapes.visual})

    def begin_epoch(self, train: ClipLoader, epoch: int, seed: int) -> None:
        """Fits the standardisation to the training frames, once."""
        if epoch == 0:
            self.standardise.fit(train.split.sequences)


class WordAligned(ScaledBaseline):
    """A baseline for word-aligned data: it reads token states, and frames averaged to one per token."""

    level: TextLevel = "tokens"

    def __init__(self, shapes: Shapes, encoder: nn.Module | None, config: Any) -> None:
        super().__init__(shapes, encoder, config)
        self.language = TokenLanguage(encoder)
        self.dims = (shapes.text, shapes.acoustic, shapes.visual)

    def views(self, batch: Batch) -> tuple[dict[str, Float[Tensor, "batch time d"]], Int64[Tensor, "batch time"]]:
        """x_l, x_a, x_v, aligned to tokens, and the mask that is 1 on tokens."""
        states, mask = self.language(batch.text)
        frames = self.standardise(batch.frames)
        return {"l": states, "a": aligned(frames["a"], mask), "v": aligned(frames["v"], mask)}, mask


class FeatureNetwork(MultiTaskNetwork):
    """A multi-task network whose representations are the features F that labels are computed from."""

    def head(self, modality: str) -> nn.Module:
        """The layers that predict from F of a modality or, under "m", of the fusion."""
        raise NotImplementedError

    def predict(self, reps: Representations) -> Float[Tensor, "batch"]:
        return self.head("m")(reps.multimodal).squeeze(-1)

    def predict_unimodal(self, x: Mapping[str, Float[Tensor, "batch d_m"]]) -> dict[str, Float[Tensor, "batch"]]:
        return {m: self.head(m)(x[m]).squeeze(-1) for m in MODALITIES}

    def features(self, reps: Representations) -> dict[str, Float[Tensor, "batch width"]]:
        return {"m": reps.multimodal, **reps.unimodal}


def builder(kind: type[Baseline], config: Any, network: Network, dataset: Dataset, device: torch.device) -> Build:
    """Returns a function that builds a baseline; it loads the text encoder's weights only if the encoder is trained."""

    def build(train: ClipLoader) -> tuple[Baseline, Objective]:
        encoder = None if network.freeze_text else trained_encoder(network)
        width = train.text_width if encoder is None else int(encoder.config.hidden_size)  # type: ignore[arg-type,union-attr]
        dims = dataset.dims
        shapes = Shapes(width, dims.get("a", 0), dims.get("v", 0), dataset.label_scale, network.pooling)
        made = kind(shapes, encoder, config).to(device)
        return made, made

    return build
