"""Maximum mean discrepancy: do two samples come from one distribution? A number, and a test.

A linear probe sees a gap only if a plane separates it. MMD with an RBF kernel is zero for equal distributions alone,
whatever their shapes. The test is exact for independent samples: their union is dealt out anew at random, again and
again, and p is the share of deals whose MMD is as large as the real one.

Source: A. Gretton et al., "A Kernel Two-Sample Test", JMLR 13 (2012): Eq. 3 (unbiased estimate), section 8 (median).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64
from scipy.spatial.distance import pdist, squareform
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from mugkit.errors import UserError


@dataclass(frozen=True)
class Discrepancy:
    """How far two samples are apart.

    Attributes:
        mmd2: unbiased estimate of MMD²; near 0, and sometimes below it, for equal distributions; at most 2.
        p: of the permutation test.
        bandwidth: σ of the kernel exp(−‖a − b‖²/2σ²): the median distance of any two vectors.
    """

    mmd2: float
    p: float
    bandwidth: float


def discrepancy(
    one: Float[np.ndarray, "n dim"], other: Float[np.ndarray, "m dim"], permutations: int = 199, seed: int = 0
) -> Discrepancy:
    """MMD² of two independent samples and its permutation test.

    Args:
        permutations: how often the vectors are dealt out anew; the smallest possible p is 1/(permutations + 1).
        seed: of the deals.

    Raises:
        UserError: a sample has fewer than two vectors, or their dims differ.
    """
    if min(len(one), len(other)) < 2 or one.shape[1:] != other.shape[1:]:
        found = f"{'×'.join(map(str, one.shape))} and {'×'.join(map(str, other.shape))}"
        raise UserError(f"MMD needs two samples of two or more equally wide vectors, got {found}", field="samples")
    kernel, bandwidth = rbf_kernel(np.concatenate([one, other]).astype(np.float64))
    rng, n = np.random.default_rng(seed), len(one)
    deals = np.stack([np.arange(len(kernel)), *(rng.permutation(len(kernel)) for _ in range(permutations))])
    values = unbiased(kernel, (deals < n).T.astype(np.float64))
    # A deal that gives back the same two samples must count, whatever the order of summation did to its last bit.
    p = float((values >= values[0] - 1e-12).mean())
    return Discrepancy(float(values[0]), p, bandwidth)


def rbf_kernel(vectors: Float64[np.ndarray, "n dim"]) -> tuple[Float64[np.ndarray, "n n"], float]:
    """exp(−‖a − b‖²/2σ²) with the median distance as σ; equal vectors alone have σ = 1."""
    distances = pdist(vectors)
    bandwidth = float(np.median(distances)) or 1.0
    return squareform(np.exp(-(distances**2) / (2 * bandwidth**2))) + np.eye(len(vectors)), bandwidth


def unbiased(kernel: Float64[np.ndarray, "n n"], first: Float64[np.ndarray, "n deals"]) -> Float64[np.ndarray, "deals"]:
    """MMD² for each way to deal the vectors out: mean k within both samples, without i = j, minus twice between.

    Args:
        first: 1 where a vector is in the first sample of a deal, else 0.
    """
    between_any = kernel - np.diag(np.diag(kernel))
    n, m = first.sum(0), len(kernel) - first.sum(0)
    with threadpool_limits(1):  # on a busy machine its threads mostly wait for each other
        within = (first * (between_any @ first)).sum(0)
        across = between_any.sum(1) @ first - within
    rest = between_any.sum() - within - 2 * across
    return within / (n * (n - 1)) + rest / (m * (m - 1)) - 2 * across / (n * m)
