"""COVAREP's 74 acoustic columns, which MOSI and MOSEI have: their meaning, how to read them, what can replace them.

COVAREP is MATLAB code. With MATLAB, `COVAREP_feature_extraction(folder)` writes a `.mat` file next to every WAV, which
`read_covarep` reads. Without MATLAB, only some columns can be replaced, under different names: `covarep_like` gives F0,
voicing and a cepstrum from librosa. Columns based on the glottal source have no replacement, and no column here
pretends to be one. openSMILE's eGeMAPS (`features.opensmile_features`) is the practical alternative.

A model trained on COVAREP's columns cannot read these replacements: scales differ even if the idea is the same.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float32

from features.acoustic import Sound, f0
from features.media import need
from mugkit.errors import UserError

RATE = 16_000  # Hz, COVAREP's intended sample rate
HOP = 160  # samples: COVAREP's 10 ms
NONE = "none"


def _numbered(name: str, count: int) -> tuple[str, ...]:
    return tuple(f"{name}_{i}" for i in range(count))


# Columns that belong together, as COVAREP names them; what they measure; similar columns of librosa or openSMILE.
GROUPS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("F0",), "fundamental frequency in Hz (SRH, 50–500 Hz)", "librosa.pyin; eGeMAPS F0semitone"),
    (("VUV",), "1 where a frame is voiced", "librosa.pyin's voicing"),
    (("NAQ", "QOQ"), "how quickly and for how long the glottis closes", NONE),
    (("H1H2",), "first against second harmonic of the glottal source", "eGeMAPS logRelF0-H1-H2, of the speech"),
    (("PSP",), "parabolic fit to the spectrum of the glottal source", NONE),
    (("MDQ", "peakSlope"), "dispersion and slope of wavelet maxima: breathy to tense", NONE),
    (("Rd", "Rd_conf"), "shape of the LF model of the glottal pulse, and how sure that is", NONE),
    (("creak",), "probability of creaky voice", NONE),
    (_numbered("MCEP", 25), "cepstrum of the true envelope on a warped axis", "librosa MFCC; eGeMAPS mfcc1–4"),
    (_numbered("HMPDM", 25), "mean of the phase distortion of the harmonics", NONE),
    (_numbered("HMPDD", 13), "deviation of the phase distortion of the harmonics", NONE),
)
COLUMNS: tuple[str, ...] = tuple(name for columns, _, _ in GROUPS for name in columns)

# The five columns that the CMU SDK's processed MOSI and MMSA's files keep; counted from 0.
FIVE: tuple[int, ...] = (1, 3, 6, 25, 60)
LIKE_COLUMNS: tuple[str, ...] = ("pyin_f0", "pyin_vuv", *_numbered("mfcc", 25))


def layout() -> pd.DataFrame:
    """The 74 columns by group: positions (from 0), names, meaning, stand-in."""
    rows = []
    for columns, what, stand_in in GROUPS:
        first, last = COLUMNS.index(columns[0]), COLUMNS.index(columns[-1])
        place, names = f"{first}–{last}", f"{columns[0]} … {columns[-1]}"
        if first == last:
            place, names = str(first), columns[0]
        rows.append({"columns": place, "names": names, "what": what, "stand-in": stand_in})
    return pd.DataFrame(rows).set_index("columns")


def read_covarep(path: Path) -> Float32[np.ndarray, "frames 74"]:
    """Reads the output of `COVAREP_feature_extraction` for a WAV file: one row every 10 ms; −inf and NaN become 0.

    Raises:
        UserError: if the file is not a MATLAB file, or does not have the 74 columns in their order.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    fix = "make it with COVAREP's COVAREP_feature_extraction; early versions write fewer columns"
    try:
        content = loadmat(path, variable_names=("features", "names"))
        frames = np.asarray(content["features"], dtype=np.float32)
        names = tuple(str(name.item()) for name in content["names"].ravel())
    except (OSError, ValueError, TypeError, LookupError, NotImplementedError, MatReadError) as error:
        raise UserError(f"not a feature file of COVAREP's: {error}", file=path, fix=fix) from error
    if names != COLUMNS or frames.ndim != 2 or frames.shape[1] != len(COLUMNS):
        raise UserError(f"{len(names)} columns that are not COVAREP's 74", file=path, field="names", fix=fix)
    return np.where(np.isfinite(frames), frames, np.float32(0))


def covarep_like(samples: Sound) -> Float32[np.ndarray, "frames 27"]:
    """Columns of librosa that resemble COVAREP's, every 10 ms: F0 in Hz (0 where unvoiced), voicing, 25 MFCC.

    Args:
        samples: mono, at 16,000 Hz (`read_audio(path, covarep.RATE)`).

    Raises:
        UserError: if there are no samples.
    """
    if not len(samples):
        raise UserError("a clip without samples has no frames", fix="check that the recording is not empty")
    samples = np.asarray(samples, dtype=np.float64)
    hertz = f0(samples, rate=RATE, hop=HOP)
    cepstrum = need("librosa").feature.mfcc(y=samples, sr=RATE, n_mfcc=25, n_fft=400, hop_length=HOP, n_mels=40).T
    return np.column_stack([hertz, hertz > 0, cepstrum]).astype(np.float32)
