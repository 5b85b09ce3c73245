"""Synthesizes speech: espeak-ng reads a sentence, with a prosody that follows an acoustic label.

This is a convention, not a finding: the more positive the label, the higher, livelier, faster and louder the voice.
Real speech is richer, and varies.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from mugkit import files
from mugkit.errors import UserError

VOICES: tuple[str, ...] = tuple(f"en-us+{variant}" for variant in ("m1", "f1", "m2", "f2", "m3", "f3", "m4", "f4"))


@dataclass(frozen=True)
class Prosody:
    """The prosody of a sentence, in percent of the voice's default: pitch, pitch range, rate, volume."""

    pitch: float = 100.0
    range: float = 100.0
    rate: float = 100.0
    volume: float = 100.0

    @classmethod
    def of(cls, expressed: float) -> Prosody:
        """The prosody of a sentiment between about −1 and 1; at 0, the voice's default."""
        return cls(100 + 22 * expressed, 100 + 55 * expressed, 100 + 18 * expressed, 100 + 40 * expressed)

    def markup(self, text: str) -> str:
        """The sentence as SSML, which espeak-ng understands."""
        settings = " ".join(f'{name}="{value:.0f}%"' for name, value in vars(self).items())
        return f"<speak><prosody {settings}>{escape(text)}</prosody></speak>"


def espeak() -> str:
    """The path of espeak-ng.

    Raises:
        UserError: if it is not installed.
    """
    found = shutil.which("espeak-ng")
    if found is None:
        raise UserError("espeak-ng, which speaks the example's sentences, is missing", fix="apt-get install espeak-ng")
    return found


def version() -> str:
    """The version of espeak-ng; another version gives other samples for the same sentence."""
    answer = subprocess.run([espeak(), "--version"], capture_output=True, text=True, check=True)
    return answer.stdout.split("Data at")[0].strip()


def speak(text: str, path: Path, voice: str = VOICES[0], prosody: Prosody | None = None) -> Path:
    """Writes a sentence as a WAV file, mono, 22,050 Hz; the same arguments give the same samples.

    Raises:
        UserError: if espeak-ng is missing or fails, or the text is blank.
    """
    if not text.strip():
        raise UserError("there is nothing to say", field="text", fix="give a sentence")
    with files.atomic_path(path) as temporary:
        # Through standard input: a sentence may begin with a dash.
        command = [espeak(), "-m", "-z", "-v", voice, "--stdin", "-w", str(temporary)]
        markup = (prosody or Prosody()).markup(text)
        answer = subprocess.run(command, input=markup, capture_output=True, text=True, encoding="utf-8", check=False)
        if answer.returncode != 0:
            fix = "see whether `espeak-ng -w test.wav hello` works"
            raise UserError(f"espeak-ng failed; it said: {answer.stderr.strip()}", fix=fix)
    return path
