"""CH-SIMS's 33 acoustic columns against tones of known pitch, and MFCC against another computation."""

import warnings

import numpy as np
import pytest
from features import acoustic
from scipy.fft import dct
from scipy.signal import stft
from tones import tone

from mugkit.errors import UserError

RATE = 22_050


def test_log_f0_of_a_tone_is_its_logarithm_and_of_noise_and_silence_zero() -> None:
    for hertz in (80.0, 220.0, 440.0):
        found = acoustic.sims_frames(tone(hertz))[4:-4, 0]
        assert np.allclose(found, np.log(hertz), atol=0.0145)  # a quarter of a semitone
    noise = np.random.default_rng(0).standard_normal(RATE) * 0.1
    assert (acoustic.log_f0(noise) == 0).mean() > 0.9
    assert (acoustic.log_f0(np.zeros(RATE)) == 0).all()


@pytest.mark.parametrize(("hertz", "pitch"), [(261.63, "chroma_c"), (440.0, "chroma_a"), (185.0, "chroma_f_sharp")])
def test_chroma_of_a_tone_is_largest_at_its_pitch_class(hertz: float, pitch: str) -> None:
    times = np.arange(RATE) / RATE
    chroma = acoustic.sims_frames(0.5 * np.sin(2 * np.pi * hertz * times))[8:-8, 21:]
    assert (chroma.argmax(axis=1) == acoustic.COLUMNS.index(pitch) - 21).all()
    assert chroma.max() == pytest.approx(1)


def slaney_filters(bands: int = 128, window: int = 2048) -> np.ndarray:
    """Triangles of equal area on Slaney's mel scale: linear below 1 kHz, logarithmic above."""
    step, knee, ratio = 200 / 3, 1000.0, np.log(6.4) / 27
    top = knee / step + np.log(RATE / 2 / knee) / ratio
    mels = np.linspace(0, top, bands + 2)
    edges = np.where(mels < knee / step, mels * step, knee * np.exp(ratio * (mels - knee / step)))
    bins = np.arange(window // 2 + 1) * RATE / window
    rise = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    return np.clip(np.minimum(rise, fall), 0, None) * (2 / (edges[2:] - edges[:-2]))[:, None]


def test_mfcc_equals_a_cosine_transform_of_a_mel_spectrogram_of_scipys() -> None:
    samples = tone(150, 0.5) + 0.05 * np.random.default_rng(1).standard_normal(RATE // 2)
    window = np.hanning(2049)[:-1]
    padded = np.pad(samples, 1024)
    _, _, spectrum = stft(padded, window=window, nperseg=2048, noverlap=1536, boundary=None, padded=False)
    power = np.abs(spectrum * window.sum()) ** 2  # scipy divides by the window's sum
    decibel = 10 * np.log10(np.maximum(slaney_filters() @ power, 1e-10))
    decibel = np.maximum(decibel, decibel.max() - 80)
    expected = dct(decibel, type=2, norm="ortho", axis=0)[:20].T
    assert np.allclose(acoustic.mfcc(samples), expected, atol=1e-2)


def test_sims_frames_of_short_clips_have_one_frame_every_512_samples() -> None:
    for samples in (1, 511, 512, 5000):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            frames = acoustic.sims_frames(tone(200)[:samples])
        assert frames.shape == (1 + samples // 512, len(acoustic.COLUMNS)) == (1 + samples // 512, 33)
        assert frames.dtype == np.float32
        assert np.isfinite(frames).all()
    with pytest.raises(UserError, match="without samples"):
        acoustic.sims_frames(np.zeros(0))
