"""TFN: an outer product of the three modalities, each extended by a 1, has every product of one, two or three.

A. Zadeh, M. Chen, S. Poria, E. Cambria, L.-P. Morency: Tensor Fusion Network for Multimodal Sentiment Analysis,
EMNLP 2017.

    z_l = LSTM over words, then a layer;  z_a, z_v = three layers over the mean frame
    z = [z_l; 1] ⊗ [z_a; 1] ⊗ [z_v; 1];   ŷ = two layers of 128 over z, then one number

Because of the ones, z contains z_l, z_a, z_v themselves, all products of two and all products of three.

Departures:
- The language subnetwork takes the LSTM's last state; the paper concatenates the states of a fixed number of words.
- ŷ is an unbounded number; the paper passes it through a sigmoid.
- Dropout is before each subnetwork's layers and between the inference layers; the published code has it before the
  first inference layer.
- z_l goes through a ReLU, like z_a and z_v; in the published code it is linear.
- Frames are standardised, then averaged; the published code normalises the mean with a normalisation layer.
- AdamW's weight decay on all weights replaces the paper's L2 penalty on the subnetworks.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mugkit.baselines.base import ScaledBaseline, Shapes
from mugkit.data.batch import Batch
from mugkit.models.subnets import Subnets
from mugkit.models.tokens import TokenLanguage


@dataclass(frozen=True)
class TFNConfig:
    """Sizes: the paper's."""

    lstm: int = 128  # the LSTM over words
    d_l: int = 128  # z_l
    d_a: int = 32  # z_a, and each of its three layers
    d_v: int = 32  # z_v
    inference: int = 128  # each of the two layers after fusion
    dropout: float = 0.15


def tensor_fusion(
    z_l: Float[Tensor, "batch d_l"], z_a: Float[Tensor, "batch d_a"], z_v: Float[Tensor, "batch d_v"]
) -> Float[Tensor, "batch d_l+1 d_a+1 d_v+1"]:
    """[z_l; 1] ⊗ [z_a; 1] ⊗ [z_v; 1], with each 1 last."""
    language, acoustic, visual = (F.pad(z, (0, 1), value=1.0) for z in (z_l, z_a, z_v))
    return language[:, :, None, None] * acoustic[:, None, :, None] * visual[:, None, None, :]


class TFN(ScaledBaseline):
    """ŷ from the tensor of all products of the three modalities."""

    level = "tokens"
    Config = TFNConfig
    light = TFNConfig(lstm=16, d_l=32, d_a=8, d_v=8, inference=32)

    def __init__(self, shapes: Shapes, encoder: nn.Module | None, config: TFNConfig) -> None:
        super().__init__(shapes, encoder, config)
        self.language = TokenLanguage(encoder)
        dims, sizes = (shapes.text, shapes.acoustic, shapes.visual), (config.d_l, config.d_a, config.d_v)
        self.subnets = Subnets(dims, config.lstm, sizes, config.dropout)
        fused, width = (config.d_l + 1) * (config.d_a + 1) * (config.d_v + 1), config.inference
        self.inference = nn.Sequential(
            nn.Linear(fused, width), nn.ReLU(), nn.Dropout(config.dropout),
            nn.Linear(width, width), nn.ReLU(), nn.Dropout(config.dropout),
            nn.Linear(width, 1),
        )  # fmt: skip

    def forward(self, batch: Batch) -> Float[Tensor, "batch"]:
        z_l, z_a, z_v = self.subnets(*self.language(batch.text), self.standardise(batch.frames))
        z = tensor_fusion(z_l.relu(), z_a, z_v)
        return self.inference(z.flatten(1)).squeeze(-1)
