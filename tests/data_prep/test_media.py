"""Sound files of every kind become one channel at one rate; what cannot be read is said with the way out."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from features import media
from tones import tone

from mugkit.errors import UserError


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000])
def test_read_audio_of_any_rate_is_the_mean_of_channels_and_keeps_pitch_and_length(rate: int, tmp_path: Path) -> None:
    left = tone(440, 1.0, rate)
    soundfile.write(tmp_path / "tone.wav", np.column_stack([left, 0 * left, -left / 2]), rate, subtype="FLOAT")
    samples = media.read_audio(tmp_path / "tone.wav")
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(22_050, abs=1)
    assert np.abs(np.fft.rfft(samples)).argmax() == pytest.approx(440, abs=1)
    assert samples.std() == pytest.approx(left.std() / 6, rel=0.02)
    assert len(media.read_audio(tmp_path / "tone.wav", 16_000)) == pytest.approx(16_000, abs=1)


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "no such file"), (np.zeros(0), "holds no sound"), (np.array([0.1, np.nan]), "not finite")],
)
def test_read_audio_of_nothing_usable_names_the_file(content: np.ndarray | None, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    if content is not None:
        soundfile.write(path, content, 22_050, subtype="FLOAT")
    with pytest.raises(UserError, match=rf"clip\.wav.*{problem}"):
        media.read_audio(path)


def stand_in(folder: Path, code: str) -> str:
    """A program that is called like ffmpeg: its last argument is the file to write."""
    (path := folder / "ffmpeg").write_text(f"#!{sys.executable}\nimport shutil, sys\n{code}\n")
    path.chmod(0o755)
    return str(path)


def test_read_audio_of_a_video_is_what_ffmpeg_decodes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"not sound" * 100)
    soundfile.write(tmp_path / "inside.wav", tone(440, 0.1), 22_050, subtype="FLOAT")
    decode = "assert sys.argv[sys.argv.index('-i') + 1].endswith('clip.mp4')\n"
    program = stand_in(tmp_path, decode + f"shutil.copy({str(tmp_path / 'inside.wav')!r}, sys.argv[-1])")
    monkeypatch.setattr(shutil, "which", lambda name: program)
    assert np.allclose(media.read_audio(tmp_path / "clip.mp4"), tone(440, 0.1), atol=1e-6)


def test_read_audio_of_a_video_without_ffmpeg_or_sound_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"not sound" * 100)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UserError, match=r"(?s)clip\.mp4.*fix: apt-get install ffmpeg"):
        media.read_audio(tmp_path / "clip.mp4")
    program = stand_in(tmp_path, "sys.exit('Output file does not contain any stream')")
    monkeypatch.setattr(shutil, "which", lambda name: program)
    with pytest.raises(UserError, match=r"clip\.mp4.*it said: Output file does not contain any stream"):
        media.read_audio(tmp_path / "clip.mp4")
