"""Text only: the language network of Eq. 1 and one predictor; the reference for what sound and video add."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from mugkit.baselines.base import Baseline, Shapes
from mugkit.data.batch import Batch
from mugkit.models.mug import LanguageNetwork, Predictor, TextEncoder


@dataclass(frozen=True)
class TextOnlyConfig:
    """Sizes: MUG's for language."""

    d_l: int = 64
    activation: str = "tanh"
    shrink: int = 2


class TextOnly(Baseline):
    """ŷ = P(x_l), with x_l as in MUG."""

    Config = TextOnlyConfig
    light = TextOnlyConfig()

    def __init__(self, shapes: Shapes, encoder: nn.Module | None, config: TextOnlyConfig) -> None:
        super().__init__(shapes, encoder, config)
        pooled = None if encoder is None else TextEncoder(encoder, shapes.pooling)
        self.language = LanguageNetwork(shapes.text, config.d_l, config.activation, pooled)
        self.predictor = Predictor(config.d_l, config.shrink, 0.0)

    def forward(self, batch: Batch) -> Float[Tensor, "batch"]:
        return self.predictor(self.language(batch.text))
