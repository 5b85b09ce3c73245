"""The modality gap: how far apart are projections x_m′ and unimodal representations x_m?

t-SNE shows a gap but does not measure it. `measure` does: by the accuracy of a linear probe that tells the two apart
(50 % means no gap), and by how often the unimodal representation nearest to a projection belongs to the same clip.

A linear probe sees a gap only if a plane separates the samples. Maximum mean discrepancy (MMD) with an RBF kernel is
zero only for equal distributions, whatever their shapes. Its permutation test is exact for independent samples: it
deals their union at random into two samples, many times; p is the share of deals whose MMD is at least the real one's.
Source: A. Gretton et al., "A Kernel Two-Sample Test", JMLR 13 (2012): Eq. 3 (unbiased estimate), section 8 (median).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64
from scipy.spatial.distance import pdist, squareform
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


@dataclass(frozen=True)
class Discrepancy:
    """How far two samples are apart.

    Attributes:
        mmd2: unbiased estimate of MMD²; near 0, and sometimes below it, for equal distributions; at most 2.
        p: p-value of the permutation test.
        bandwidth: σ of the kernel exp(−‖a − b‖²/2σ²): the median distance between two vectors.
    """

    mmd2: float
    p: float
    bandwidth: float


def discrepancy(
    first: Float[np.ndarray, "n dim"], second: Float[np.ndarray, "m dim"], permutations: int = 199, seed: int = 0
) -> Discrepancy:
    """MMD² of two independent samples of two or more vectors, and its permutation test.

    Args:
        permutations: number of random deals; the smallest possible p is 1/(permutations + 1).
    """
    kernel, bandwidth = rbf_kernel(np.concatenate([first, second]).astype(np.float64))
    rng, n = np.random.default_rng(seed), len(first)
    deals = np.stack([np.arange(len(kernel)), *(rng.permutation(len(kernel)) for _ in range(permutations))])
    values = unbiased(kernel, (deals < n).T.astype(np.float64))
    # A deal that reproduces the two samples must count, even if the order of summation changes its last bit.
    p = float((values >= values[0] - 1e-12).mean())
    return Discrepancy(float(values[0]), p, bandwidth)


def rbf_kernel(vectors: Float64[np.ndarray, "n dim"]) -> tuple[Float64[np.ndarray, "n n"], float]:
    """exp(−‖a − b‖²/2σ²) with the median distance as σ, or σ = 1 if that is 0."""
    distances = pdist(vectors)
    bandwidth = float(np.median(distances)) or 1.0
    return squareform(np.exp(-(distances**2) / (2 * bandwidth**2))) + np.eye(len(vectors)), bandwidth


def unbiased(kernel: Float64[np.ndarray, "n n"], first: Float64[np.ndarray, "n deals"]) -> Float64[np.ndarray, "deals"]:
    """MMD² of each deal: the mean kernel within each sample (without i = j), summed, minus twice that between them.

    Args:
        first: 1 if a vector is in the first sample of a deal, else 0.
    """
    between_any = kernel - np.diag(np.diag(kernel))
    n, m = first.sum(0), len(kernel) - first.sum(0)
    with threadpool_limits(1):  # on a busy machine its threads mostly wait for each other
        within = (first * (between_any @ first)).sum(0)
        across = between_any.sum(1) @ first - within
    rest = between_any.sum() - within - 2 * across
    return within / (n * (n - 1)) + rest / (m * (m - 1)) - 2 * across / (n * m)
