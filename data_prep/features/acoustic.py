"""CH-SIMS's 33 acoustic columns with librosa: log F0, 20 MFCC, 12 chroma bins of the constant-Q transform.

The paper (section 4.3) gives the parts, the sample rate (22,050 Hz) and "default parameters". It leaves the following
open; this module assumes:

- order of columns: the order in which the paper names the parts;
- hop: librosa's default of 512 samples, 43 frames per second; every frame is centred on its sample, so a clip of n
  samples has 1 + ⌊n / 512⌋ frames, and its ends are padded with zeros;
- F0: probabilistic YIN (`librosa.pyin`) from 50 to 500 Hz, COVAREP's range, in steps of a quarter of a semitone
  (1.5 %); librosa's default step of a tenth takes three times as long. Plain YIN is even faster, but it gives a
  number to unvoiced frames too;
- log: natural, of F0 in Hz; 0 where a frame is unvoiced;
- MFCC: of a mel spectrogram in dB, 128 bands, orthonormal DCT-II; chroma: C first, each frame's largest bin is 1.

The authors of MMSA-FET, CH-SIMS's own tool, write that its column "F0" is the zero-crossing rate and its mel scale
HTK's. So columns made here match those of the published files in kind, not in value.
"""

from __future__ import annotations

import warnings

import numpy as np
from jaxtyping import Float, Float32

from features.media import RATE, need
from mugkit.errors import UserError

HOP = 512  # samples
FRAME_SECONDS = HOP / RATE
MFCCS = 20
LOWEST, HIGHEST = 50.0, 500.0  # Hz
F0_STEP = 0.25  # semitones
PITCHES = ("c", "c_sharp", "d", "d_sharp", "e", "f", "f_sharp", "g", "g_sharp", "a", "a_sharp", "b")
COLUMNS: tuple[str, ...] = (
    "log_f0",
    *(f"mfcc_{i}" for i in range(MFCCS)),
    *(f"chroma_{pitch}" for pitch in PITCHES),
)

Sound = Float[np.ndarray, " samples"]


def sims_frames(samples: Sound) -> Float32[np.ndarray, "frames 33"]:
    """The 33 columns of a clip, one row every 512 samples; the same samples give the same numbers.

    Args:
        samples: mono, at 22,050 Hz.

    Raises:
        UserError: if there are no samples.
    """
    if not len(samples):
        raise UserError("a clip without samples has no frames", fix="check that the recording is not empty")
    samples = np.asarray(samples, dtype=np.float64)
    parts = (log_f0(samples)[:, None], mfcc(samples), chroma(samples))
    return np.hstack(parts).astype(np.float32)


def f0(samples: Sound, rate: int = RATE, hop: int = HOP) -> Float[np.ndarray, " frames"]:
    """Fundamental frequency in Hz; 0 where a frame is unvoiced."""
    samples = np.asarray(samples, dtype=np.float64)
    window = 2048 if rate >= RATE else 1024  # at least four periods of the lowest F0
    options = {"sr": rate, "frame_length": window, "hop_length": hop, "resolution": F0_STEP}
    found, voiced, _ = need("librosa").pyin(samples, fmin=LOWEST, fmax=HIGHEST, **options)
    return np.where(voiced, np.nan_to_num(found), 0.0)


def log_f0(samples: Sound) -> Float[np.ndarray, " frames"]:
    """log F0; 0 where a frame is unvoiced."""
    hertz = f0(samples)
    return np.log(hertz, out=np.zeros_like(hertz), where=hertz > 0)


def mfcc(samples: Sound) -> Float[np.ndarray, "frames 20"]:
    """Mel-frequency cepstral coefficients."""
    with _short_clips():
        return need("librosa").feature.mfcc(y=samples, sr=RATE, n_mfcc=MFCCS, hop_length=HOP).T


def chroma(samples: Sound) -> Float[np.ndarray, "frames 12"]:
    """Energy by pitch class, from the constant-Q transform; all zeros in silence."""
    with _short_clips():
        return need("librosa").feature.chroma_cqt(y=samples, sr=RATE, hop_length=HOP).T


class _short_clips(warnings.catch_warnings):
    """Ignores librosa's warnings about clips that are shorter than a window or have no pitch; both are valid here."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.filterwarnings("ignore", message="n_fft=.* is too large", category=UserWarning)
        warnings.filterwarnings("ignore", message="Trying to estimate tuning", category=UserWarning)
