"""SUGRM's unimodal labels: y plus a shift, which is measured in a space common to all modalities.

Y. Hwang, J.-H. Kim: "Self-Supervised Unimodal Label Generation Strategy Using Recalibrated Modality Representations
for Multimodal Sentiment Analysis", Findings of EACL 2023. Nothing here is trained: `mugkit.baselines.sugrm` computes
the features F_m of the fusion and F_s of a modality. D is the distance between the mean fused features of the clips
with the largest label and those with the smallest. It corresponds to the whole range 2ρ of labels, so it turns the
distance from a modality to the fusion into a shift:

    shift = 2ρ·min(‖F_m − F_s‖, D) / D

The sign comes from r = ‖F − C⁺‖ / ‖F − C⁻‖; C⁺ and C⁻ are the centres of the fused features of clips with y ≥ 0 and
y < 0. If r_s > r_m, the modality is more negative than the fusion and ŷ_s = y − shift. If r_s < r_m, ŷ_s is y + shift.
Clamping, momentum and loss weights are those of Self-MM (`MovingLabels`).

The rule is right for features between C⁻ and C⁺, if a modality's features lie where the fusion's would lie for the same
sentiment. Beyond a centre the trend of r reverses: the weaker of two features counts as the stronger. If a modality's
features lie elsewhere, about as far from C⁺ as from C⁻, r_s is near 1 for all clips. That is above r_m of positive
clips and below r_m of negative clips, so labels turn against y. Nothing in the published procedure prevents that. In
the first epoch no unimodal loss has any weight, so the first labels come from untrained projections. From then on a
modality learns those labels, and its features confirm them.

Departures:
- D is between the clips with labels ρ and −ρ. If a data set has no such clip, the outermost 5 % of clips are used.
- If a class has no clip, or D is 0, labels stay as they are.
"""

from collections.abc import Mapping

from jaxtyping import Bool, Float, Int64
from torch import Tensor

from mugkit.config import Hyperparameters
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.training.label_sources.online import MovingLabels, centres

OUTERMOST = 0.05


def extremes(labels: Float[Tensor, "clips"], rho: float) -> tuple[Bool[Tensor, "clips"], Bool[Tensor, "clips"]]:
    """The clips labelled ρ and those labelled −ρ; on a side without such clips, the outermost 5 %."""
    high, low = (labels == rho, labels == -rho)
    return (
        high if high.any() else labels >= labels.quantile(1 - OUTERMOST),
        low if low.any() else labels <= labels.quantile(OUTERMOST),
    )


def proximity(
    features: Float[Tensor, "batch common"], positive: Float[Tensor, "common"], negative: Float[Tensor, "common"]
) -> Float[Tensor, "batch"]:
    """r = ‖F − C⁺‖ / ‖F − C⁻‖: a larger r is more negative."""
    return (features - positive).norm(dim=-1) / (features - negative).norm(dim=-1)


def shifted(
    y: Float[Tensor, "batch"],
    fused: Float[Tensor, "batch common"],
    features: Float[Tensor, "batch common"],
    signed: tuple[Float[Tensor, "common"], Float[Tensor, "common"]],
    span: Float[Tensor, ""],
    rho: float,
) -> Float[Tensor, "batch"]:
    """ŷ_s before clamping, from F_m, F_s, C⁺ and C⁻, and D; NaN if D is 0."""
    shift = 2 * rho * (fused - features).norm(dim=-1).clamp(max=span) / span
    ratio, fused_ratio = proximity(features, *signed), proximity(fused, *signed)
    return y + shift * ((ratio < fused_ratio).float() - (ratio > fused_ratio).float())


class SUGRM(MovingLabels):
    """Labels shifted from y by distances in a common space."""

    kept = ("m",)

    def __init__(self, dataset: Dataset, hp: Hyperparameters) -> None:
        super().__init__(dataset, hp)
        self._extremes = extremes(self.y, self.rho)

    def begin_epoch(self, train: ClipLoader, epoch: int, seed: int) -> None:
        super().begin_epoch(train, epoch, seed)
        high, low = self._extremes
        self._extremes = high.to(train.device), low.to(train.device)

    def proposed(
        self, seen: Mapping[str, Float[Tensor, "batch common"]], index: Int64[Tensor, "batch"]
    ) -> dict[str, Float[Tensor, "batch"]]:
        fused = self.features["m"]  # of all clips
        signed, ends = centres(fused, self.y >= 0, self.y < 0), centres(fused, *self._extremes)
        span = (ends[0] - ends[1]).norm()  # D
        return {m: shifted(self.y[index], seen["m"], seen[m], signed, span, self.rho) for m in MODALITIES}
