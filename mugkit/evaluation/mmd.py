"""Maximum mean discrepancy (MMD): how far two samples are apart, and a test of whether they share a distribution.

A linear probe sees a gap only if a plane separates the samples. MMD with an RBF kernel is zero only for equal
distributions, whatever their shapes. The permutation test is exact for independent samples: it deals their union at
random into two samples, many times, and p is the share of deals whose MMD is at least as large as the real one.

Source: A. Gretton et al., "A Kernel Two-Sample Test", JMLR 13 (2012): Eq. 3 (unbiased estimate), section 8 (median).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64
from scipy.spatial.distance import pdist, squareform
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]


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
