"""openSMILE's eGeMAPS low-level descriptors: 25 columns every 10 ms, as in CH-SIMS v2.

The extended Geneva Minimalistic Acoustic Parameter Set (Eyben et al., 2016, version v02) was chosen for voice research:
loudness, spectral slopes, four MFCC, F0, jitter, shimmer, harmonics-to-noise ratio, three formants. Columns that end in
`nz` are 0 where a frame is unvoiced.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from jaxtyping import Float32

from features.acoustic import Sound
from features.media import RATE, need
from mugkit.errors import UserError

SHORTEST = 0.06  # seconds: the longest window of the set


@functools.cache
def _egemaps() -> Any:
    opensmile = need("opensmile")
    return opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.LowLevelDescriptors)


def egemaps_columns() -> tuple[str, ...]:
    """The names of the 25 columns, as openSMILE gives them."""
    return tuple(_egemaps().feature_names)


def egemaps_frames(samples: Sound, rate: int = RATE) -> Float32[np.ndarray, "frames 25"]:
    """The 25 columns of a clip.

    Args:
        samples: mono.
        rate: samples per second.

    Raises:
        UserError: if the clip is shorter than openSMILE's longest window.
    """
    if len(samples) < SHORTEST * rate:
        problem = f"a clip of {1000 * len(samples) / rate:.0f} ms is shorter than openSMILE's window"
        raise UserError(problem, fix=f"give at least {1000 * SHORTEST:.0f} ms")
    table = _egemaps().process_signal(np.asarray(samples, dtype=np.float32), rate)
    return np.asarray(table.to_numpy(), dtype=np.float32)
