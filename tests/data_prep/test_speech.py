"""Speech made on the spot: what is asked of espeak-ng, and, where it is installed, what comes out."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from example import speech
from example.speech import Prosody
from features import acoustic
from features.media import read_audio

from mugkit.errors import UserError

needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed (apt-get)")


def test_prosody_rises_with_what_is_expressed() -> None:
    assert set(vars(Prosody.of(0.0)).values()) == {100}
    low, high = Prosody.of(-1.0), Prosody.of(1.0)
    assert all(vars(low)[name] < 100 < vars(high)[name] for name in vars(low))


def test_speak_without_espeak_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UserError, match=r"(?s)espeak-ng.*missing.*fix: apt-get install espeak-ng"):
        speech.speak("Hello.", tmp_path / "clip.wav")
    with pytest.raises(UserError, match="nothing to say"):
        speech.speak(" ", tmp_path / "clip.wav")
    assert not list(tmp_path.iterdir())


def test_speak_that_fails_leaves_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (program := tmp_path / "espeak-ng").write_text(f"#!{sys.executable}\nimport sys\nsys.exit('no voices here')\n")
    program.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(program))
    with pytest.raises(UserError, match="it said: no voices here"):
        speech.speak("Hello.", tmp_path / "clip.wav")
    assert list(tmp_path.iterdir()) == [program]


@needs_espeak
def test_speak_follows_the_prosody_and_repeats_itself(tmp_path: Path) -> None:
    text = "-- A moving & funny film that stays with you."
    clips = [read_audio(speech.speak(text, tmp_path / "clip.wav", prosody=Prosody.of(v))) for v in (-1, 1, 1)]
    pitch = [np.median(f0[f0 > 0]) for f0 in map(acoustic.f0, clips)]
    loud = [np.sqrt((clip**2).mean()) for clip in clips]
    assert pitch[1] > 1.3 * pitch[0]
    assert loud[1] > 1.5 * loud[0]
    assert len(clips[1]) < 0.8 * len(clips[0])
    assert np.array_equal(clips[1], clips[2])
