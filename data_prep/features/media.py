"""Reads the sound of a clip from a sound or video file, as extractors need it: one channel, a known sample rate.

Pictures are not read here: OpenFace tracks faces. It opens video files itself and writes a CSV file
(`features.openface`).
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from mugkit.errors import UserError

RATE = 22_050  # Hz; CH-SIMS's (paper, section 4.3)
FFMPEG_FIX = "apt-get install ffmpeg, or turn the file into WAV with another program"


def need(module: str) -> Any:
    """Imports a library of the extra `media` when it is used.

    Raises:
        UserError: if it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise UserError(f"{module} is not installed", fix="make setup EXTRAS=media") from error


def read_audio(path: Path, rate: int = RATE) -> Float32[np.ndarray, " samples"]:
    """The sound of a file: the mean of its channels, resampled, between −1 and 1.

    libsndfile opens WAV, FLAC, OGG and MP3. ffmpeg converts all other files, mainly videos.

    Args:
        path: a sound or video file.
        rate: samples per second of the result.

    Raises:
        UserError: if there is no file, no sound in it, a sample is not finite, or ffmpeg is needed and not installed.
    """
    if not path.is_file():
        raise UserError("no such file", file=path, fix="check the path")
    samples, found = _read(path)
    if not len(samples):
        raise UserError("holds no sound", file=path, fix="check that the recording is not empty")
    if not np.isfinite(samples).all():
        raise UserError("some samples are not finite", file=path, fix="export it as 16-bit WAV")
    mono = samples.mean(axis=1)
    resampled = mono if found == rate else need("librosa").resample(mono, orig_sr=found, target_sr=rate)
    return np.asarray(resampled, dtype=np.float32)


def _read(path: Path) -> tuple[Float32[np.ndarray, "samples channels"], int]:
    soundfile = need("soundfile")
    try:
        return soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError:  # libsndfile does not know the format
        with tempfile.TemporaryDirectory() as folder:
            return soundfile.read(_decoded(path, Path(folder)), dtype="float32", always_2d=True)


def _decoded(path: Path, folder: Path) -> Path:
    """Converts the sound of a file to WAV with ffmpeg."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise UserError("not a sound file, and ffmpeg, which reads videos, is not installed", file=path, fix=FFMPEG_FIX)
    target = folder / "sound.wav"
    command = [ffmpeg, "-nostdin", "-loglevel", "error", "-i", str(path.absolute()), "-vn", "-y", str(target)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode != 0 or not target.is_file():
        last = (answer.stderr.strip().splitlines() or ["nothing"])[-1]
        raise UserError(f"ffmpeg finds no sound in it; it said: {last}", file=path, fix="check that the file plays")
    return target
