"""eGeMAPS through openSMILE: 25 named columns every 10 ms."""

from __future__ import annotations

import numpy as np
import pytest
from features import opensmile_features as smile
from tones import tone

from mugkit.errors import UserError


def test_egemaps_columns_are_25() -> None:
    columns = smile.egemaps_columns()
    assert len(columns) == len(set(columns)) == 25
    assert columns[0] == "Loudness_sma3"
    assert "F0semitoneFrom27.5Hz_sma3nz" in columns


@pytest.mark.parametrize("rate", [16_000, 22_050])
def test_egemaps_frames_of_a_tone_hold_its_pitch(rate: int) -> None:
    frames = smile.egemaps_frames(tone(220, 1.0, rate), rate)
    pitch = frames[10:-10, smile.egemaps_columns().index("F0semitoneFrom27.5Hz_sma3nz")]
    assert frames.dtype == np.float32
    assert len(frames) == pytest.approx(97, abs=3)  # the last windows must fit
    assert np.median(pitch) == pytest.approx(36, abs=0.1)  # three octaves above 27.5 Hz


def test_egemaps_frames_louder_sound_is_louder() -> None:
    loudness = [smile.egemaps_frames(tone(220, size=size))[10:-10, 0].mean() for size in (0.05, 0.5)]
    assert loudness[1] > 2 * loudness[0]


def test_egemaps_frames_are_the_same_twice() -> None:
    assert np.array_equal(smile.egemaps_frames(tone(200, 0.5)), smile.egemaps_frames(tone(200, 0.5)))


def test_egemaps_frames_of_a_shortest_clip() -> None:
    assert len(smile.egemaps_frames(tone(200, smile.SHORTEST))) > 0
    with pytest.raises(UserError, match="50 ms is shorter"):
        smile.egemaps_frames(tone(200, 0.05))
