"""eGeMAPS through openSMILE: 25 named columns every 10 ms."""

import numpy as np
import pytest
from features import opensmile_features as smile
from tones import tone

from mugkit.errors import UserError


@pytest.mark.parametrize("rate", [16_000, 22_050])
def test_egemaps_frames_of_a_tone_hold_its_pitch(rate: int) -> None:
    frames = smile.egemaps_frames(tone(220, 1.0, rate), rate)
    pitch = frames[10:-10, smile.egemaps_columns().index("F0semitoneFrom27.5Hz_sma3nz")]
    assert frames.dtype == np.float32
    assert frames.shape[1] == len(smile.egemaps_columns()) == 25
    assert frames[10:-10, 0].mean() > 2 * smile.egemaps_frames(tone(220, size=0.05))[10:-10, 0].mean()  # loudness
    assert len(frames) == pytest.approx(97, abs=3)  # the last windows must fit
    assert np.median(pitch) == pytest.approx(36, abs=0.1)  # three octaves above 27.5 Hz


def test_egemaps_frames_of_a_shortest_clip() -> None:
    assert len(smile.egemaps_frames(tone(200, smile.SHORTEST))) > 0
    with pytest.raises(UserError, match="50 ms is shorter"):
        smile.egemaps_frames(tone(200, 0.05))
