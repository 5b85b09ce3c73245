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
from mugkit.data import disk
from mugkit.data.batch import Batch, Padded
from mugkit.data.loader import ClipLoader, TextLevel
from mugkit.data.schema import MODALITIES, Dataset, RaggedFrames
from mugkit.models.losses import l1
from mugkit.models.mug import MultiTaskNetwork, Representations
from mugkit.models.precision import trained_encoder
from mugkit.models.tokens import TokenLanguage, aligned
from mugkit.training.trainer import Build, Objective


class Standardise(nn.Module):
    """(u − mean) / std for every dim of a frame; the identity until it is fitted.

    Features such as pitch in hertz are hundreds of times larger than others. The baselines published before 2020 scale
    features beforehand or apply batch normalisation to clip means; mean and standard deviation of the training split
    replace both: they do not depend on the other clips of a batch.
    """

    def __init__(self, dims: Mapping[str, int]) -> None:
        super().__init__()
        self.dims = dict(dims)
        for m, dim in dims.items():
            self.register_buffer(f"mean_{m}", torch.zeros(dim))
            self.register_buffer(f"scale_{m}", torch.ones(dim))

    def fit(self, sequences: Mapping[str, RaggedFrames]) -> None:
        """Computes mean and scale from all frames of a split, block by block; the scale of a constant dim is 1."""
        for m in self.dims:
            mean, scale = _moments(sequences[m])
            getattr(self, f"mean_{m}").copy_(mean)
            getattr(self, f"scale_{m}").copy_(scale)

    def forward(self, frames: Mapping[str, Padded]) -> dict[str, Padded]:
        """The standardised frames; padding stays zero."""
        scaled = {}
        for m in self.dims:
            values = (frames[m].values - getattr(self, f"mean_{m}")) * getattr(self, f"scale_{m}")
            scaled[m] = Padded(values * frames[m].mask[..., None], frames[m].mask)
        return scaled


def _moments(sequences: RaggedFrames) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and 1/std of every dim, summed in float64."""
    total = torch.zeros(sequences.dim, dtype=torch.float64)
    squares = torch.zeros_like(total)
    for block in disk.blocks(sequences.frames):
        values = torch.from_numpy(block.astype("float64"))  # a copy of the memory map's block
        total += values.sum(0)
        squares += values.square().sum(0)
    mean = total / len(sequences.frames)
    variance = squares / len(sequences.frames) - mean.square()
    # Rounding leaves a constant dim with a variance that is not exactly 0.
    constant = variance <= 1e-12 * mean.square().clamp(min=1e-12)
    return mean, torch.where(constant, 1.0, variance.clamp(min=1e-300).rsqrt())


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
