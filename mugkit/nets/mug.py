"""The whole network of stages 1 and 3: unimodal networks, fusion, projections and predictors.

text ─▶ LanguageNetwork ─▶ x_l ─┐                    ┌─▶ P^M ─▶ ŷ
sound ─▶ SequenceNetwork ─▶ x_a ─┼─▶ Fusion ─▶ x ────┤
video ─▶ SequenceNetwork ─▶ x_v ─┘                    └─▶ CPM_m ─▶ x_m′ ─▶ P^m ─▶ ŷ_m′   (stage 1)
                            └────────────────────────────────────▶ P^m ─▶ ŷ_m            (stage 3)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from mugkit.config import Network
from mugkit.data.batching import Batch
from mugkit.data.schema import MODALITIES
from mugkit.nets.fusion import Fusion, Predictor
from mugkit.nets.precision import trained_encoder
from mugkit.nets.projection import Projection
from mugkit.nets.sequence import SequenceNetwork
from mugkit.nets.text import LanguageNetwork, TextEncoder


@dataclass(frozen=True)
class Representations:
    """x_m per modality ("l", "a", "v") and x, of one batch."""

    unimodal: Mapping[str, Float[Tensor, "batch d_m"]]
    multimodal: Float[Tensor, "batch d"]

    def stopped(self) -> Representations:
        """The same values; no gradient goes back through them."""
        return Representations({m: x.detach() for m, x in self.unimodal.items()}, self.multimodal.detach())


class MUGNetwork(nn.Module):
    """Everything that stages 1 and 3 train.

    Args:
        config: dims and widths.
        frame_dims: d′_a and d′_v by modality.
        text_width: dims of x̂_l.
        encoder: the text encoder if it is trained along, else None.
    """

    def __init__(
        self,
        config: Network,
        frame_dims: Mapping[str, int],
        text_width: int,
        encoder: TextEncoder | None = None,
    ) -> None:
        super().__init__()
        dims = {"l": config.d_l, "a": config.d_a, "v": config.d_v}
        self.language = LanguageNetwork(text_width, config.d_l, config.activation, encoder)
        self.sequences = nn.ModuleDict({m: SequenceNetwork(frame_dims[m], dims[m]) for m in ("a", "v")})
        self.fusion = Fusion((config.d_l, config.d_a, config.d_v), config.fusion_width, config.d, config.dropout)
        self.predictor = Predictor(config.d, config.predictor_shrink, config.dropout)
        self.projections = nn.ModuleDict({m: Projection(config.d, dims[m], config.activation) for m in MODALITIES})
        self.unimodal_predictors = nn.ModuleDict(
            {m: Predictor(dims[m], config.predictor_shrink, config.dropout) for m in MODALITIES}
        )

    def represent(self, batch: Batch) -> Representations:
        """x_l, x_a, x_v (Eq. 3) and x (Eq. 4)."""
        unimodal = {"l": self.language(batch.text)}  # Eqs. 1, 3
        unimodal |= {m: self.sequences[m](batch.frames[m]) for m in ("a", "v")}  # Eqs. 2, 3
        return Representations(unimodal, self.fusion(unimodal["l"], unimodal["a"], unimodal["v"]))

    def predict(self, reps: Representations) -> Float[Tensor, "batch"]:
        """ŷ, the multimodal prediction."""
        return self.predictor(reps.multimodal)  # Eq. 5

    def project(self, reps: Representations) -> dict[str, Float[Tensor, "batch d_m"]]:
        """x_m′ for every modality."""
        return {m: self.projections[m](reps.multimodal) for m in MODALITIES}  # Eq. 7

    def predict_unimodal(self, x: Mapping[str, Float[Tensor, "batch d_m"]]) -> dict[str, Float[Tensor, "batch"]]:
        """P^m of every modality: ŷ_m′ from projections (Eq. 8), ŷ_m from unimodal representations (Eq. 24)."""
        return {m: self.unimodal_predictors[m](x[m]) for m in MODALITIES}

    def features(self, reps: Representations) -> dict[str, Float[Tensor, "batch width"]]:
        """F of every modality and, under "m", of the fusion: the hidden layers of the predictors (Self-MM)."""
        heads = self.unimodal_predictors
        unimodal = {m: heads[m].hidden(reps.unimodal[m]) for m in MODALITIES}  # type: ignore[operator]
        return {"m": self.predictor.hidden(reps.multimodal), **unimodal}

    def forward(self, batch: Batch) -> Float[Tensor, "batch"]:
        return self.predict(self.represent(batch))


def build(config: Network, frame_dims: Mapping[str, int], text_width: int) -> MUGNetwork:
    """A network for a configuration; loads the text encoder's weights only when it is to be trained."""
    encoder = None if config.freeze_text else TextEncoder(trained_encoder(config), config.pooling)
    return MUGNetwork(config, frame_dims, encoder.width if encoder else text_width, encoder)
