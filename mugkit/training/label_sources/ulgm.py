"""ULGM, Self-MM's unimodal label generation module.

W. Yu, H. Xu, Z. Yuan, J. Wu: "Learning Modality-Specific Representations with Self-Supervised Multi-Task Learning for
Multimodal Sentiment Analysis", AAAI 2021, section 3.3. Nothing here is trained. F is the output of a predictor's
hidden layer for a clip; C⁺ and C⁻ are the means of F over clips with a positive and a negative label. δ measures how
positive a clip is: how much nearer it is to C⁺ than to C⁻, relative to its distance from C⁺:

    δ = (‖F − C⁻‖ − ‖F − C⁺‖) / ‖F − C⁺‖

If a modality s is more positive in this sense than the fusion m, its label is moved up from y, and vice versa:

    ŷ_s = ½·(δ_s/δ_m)·y + ½·(y + δ_s − δ_m)

Labels stay at y in the first epoch and then approach ŷ_s with momentum (`MovingLabels`).

Departures and choices:
- C⁺ covers labels ≥ 0, as in the paper; the authors' later toolkit excludes zeros.
- F comes from the representations that the preceding training step used. In MUG's networks the predictors, whose
  hidden layers compute F, are one step newer; in Self-MM's own network they are not.
- If a class has no clip (no negative label at all), labels stay as they are.
"""

from collections.abc import Mapping

from jaxtyping import Float, Int64
from torch import Tensor

from mugkit.data.schema import MODALITIES
from mugkit.training.label_sources.online import MovingLabels, centres

EPS = 1e-8
Centres = tuple[Float[Tensor, "width"], Float[Tensor, "width"]]


def relative_distance(features: Float[Tensor, "batch width"], centre: Centres) -> Float[Tensor, "batch"]:
    """δ: above 0 if a clip is nearer to C⁺ than to C⁻."""
    to_positive, to_negative = ((features - c).norm(dim=-1) for c in centre)
    return (to_negative - to_positive) / (to_positive + EPS)


def generated(
    y: Float[Tensor, "batch"], delta_s: Float[Tensor, "batch"], delta_m: Float[Tensor, "batch"]
) -> Float[Tensor, "batch"]:
    """ŷ_s: the mean of y scaled by δ_s/δ_m and y shifted by δ_s − δ_m."""
    return 0.5 * y * delta_s / (delta_m + EPS) + 0.5 * (y + delta_s - delta_m)


class ULGM(MovingLabels):
    """Labels from distances to class centres, modality by modality."""

    def centres_of(self, modality: str) -> Centres:
        """C⁺ and C⁻: clips are divided by the modality's own labels, for the fusion by y."""
        labels = self.values.get(modality, self.y)
        return centres(self.features[modality], labels >= 0, labels < 0)

    def proposed(
        self, seen: Mapping[str, Float[Tensor, "batch width"]], index: Int64[Tensor, "batch"]
    ) -> dict[str, Float[Tensor, "batch"]]:
        delta = {m: relative_distance(seen[m], self.centres_of(m)) for m in seen}
        return {m: generated(self.y[index], delta[m], delta["m"]) for m in MODALITIES}
