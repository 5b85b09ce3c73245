"""The modality gap: how well can projections x_m′ be told apart from unimodal representations x_m?

t-SNE shows a gap but does not measure it. Two numbers do: the accuracy of a linear probe that tells the two apart
(50 % means no gap), and how often the unimodal representation nearest to a projection belongs to the same clip.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import pearsonr
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import GroupKFold, KFold, cross_val_predict, cross_val_score
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor

from mugkit.evaluation.statistics import t_interval
from mugkit.models.losses import l2_normalise

FOLDS = 5


@dataclass(frozen=True)
class Gap:
    """How far x_m and x_m′ are apart.

    Attributes:
        probe: accuracy of the linear probe in percent, mean over folds; 50 means that it sees no gap.
        probe_low, probe_high: 95 % interval of the probe's accuracy over folds.
        retrieval: percentage of projections whose nearest clip, of `pool` clips, is their own.
        distance: Euclidean distance between the two means of unit vectors (0 to 2).
    """

    probe: float
    probe_low: float
    probe_high: float
    retrieval: float
    pool: int
    distance: float


def measure(unimodal: Float[Tensor, "clips d_m"], projected: Float[Tensor, "clips d_m"], pool: int = 32) -> Gap:
    """Measures probe accuracy, retrieval and distance of means on unit vectors (Eq. 10).

    Both vectors of a clip are in the same fold, so that the probe cannot recognise clips.
    """
    x, x_projected = l2_normalise(unimodal).numpy(), l2_normalise(projected).numpy()
    vectors, probe = np.concatenate([x, x_projected]), LogisticRegression(max_iter=1000)
    kind, clip = np.repeat([0, 1], len(x)), np.tile(np.arange(len(x)), 2)
    with threadpool_limits(1):  # small matrices: threads cost more than they save
        scores = 100 * cross_val_score(probe, vectors, kind, groups=clip, cv=GroupKFold(FOLDS))
    low, high = np.clip(t_interval(list(scores)), 0, 100)  # Student's interval may exceed 100 %
    distance = float(np.linalg.norm(x.mean(0) - x_projected.mean(0)))
    return Gap(float(scores.mean()), float(low), float(high), _retrieval(x, x_projected, pool), pool, distance)


def _retrieval(x: np.ndarray, projected: np.ndarray, pool: int) -> float:
    """Top-1 accuracy in percent within consecutive pools of clips; an incomplete last pool is left out."""
    hits = [
        (projected[start : start + pool] @ x[start : start + pool].T).argmax(1) == np.arange(pool)
        for start in range(0, len(x) - pool + 1, pool)
    ]
    return 100 * float(np.mean(hits)) if hits else float("nan")


def label_probe(representations: Float[Tensor, "clips dim"], labels: Float[Tensor, "clips"]) -> float:
    """How much of the clip's label a representation holds: Pearson's r of a ridge probe's held-out predictions."""
    x, y, folds = representations.numpy(), labels.numpy(), KFold(FOLDS, shuffle=True, random_state=0)
    with threadpool_limits(1):
        predictions = cross_val_predict(RidgeCV(np.logspace(-3, 3, 7)), x, y, cv=folds)
    return float(pearsonr(predictions, y).statistic)
