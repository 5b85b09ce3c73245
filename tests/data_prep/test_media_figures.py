"""The pictures' numbers, against the files and scores they are drawn from."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from example import media_figures as figures
from tones import openface_rows, tone, write_rows


@pytest.fixture
def clip(tmp_path: Path) -> tuple[Path, Path]:
    """Half a second of 200 Hz, then silence; six pictures of a face that opens its mouth."""
    samples = np.concatenate([tone(200, 0.5), np.zeros(11_025)])
    soundfile.write(tmp_path / "clip.wav", samples, 22_050, subtype="FLOAT")
    rows = openface_rows(6)
    for i, row in enumerate(rows):
        row |= {"y_62": "100.0", "y_66": f"{100 + 2 * i}.0", "y_54": f"{110 - i}.0", "x_8": f"{i}.0"}
    return tmp_path / "clip.wav", write_rows(tmp_path / "clip.csv", rows)


def test_clip_numbers_are_of_the_files(clip: tuple[Path, Path]) -> None:
    numbers = figures.clip_numbers(*clip)
    assert (numbers["seconds"], len(numbers["wave"])) == (1.0, 600)
    assert max(numbers["wave"][320:]) == 0
    assert numbers["f0"][10] == pytest.approx(200, rel=0.0145)
    assert numbers["f0"][-3:] == [0, 0, 0]
    assert np.array(numbers["mfcc"]).shape == (44, 20)
    assert numbers["mouth"] == [0, 2, 4, 6, 8, 10]
    assert numbers["smile"] == [-10, -9, -8, -7, -6, -5]
    assert [picture[8][0] for picture in numbers["points"]] == [0, 1, 2, 4, 5]
    assert numbers["at"] == [0, 0.1, 0.2, 0.4, 0.5]
    json.dumps(numbers, allow_nan=False)
    titles = [axes.get_title() for axes in figures.clip_figure(numbers).axes]
    assert [title for title in titles if title.endswith(" s")] == ["0.0 s", "0.1 s", "0.2 s", "0.4 s", "0.5 s"]


@pytest.mark.parametrize(("clips", "critical"), [(10, 0.632), (50, 0.279), (100, 0.197)])
def test_chance_is_the_tabulated_critical_value(clips: int, critical: float) -> None:
    assert figures.chance(clips) == pytest.approx(critical, abs=5e-4)
