"""COVAREP's layout, its files, and what stands in for a part of it."""

from pathlib import Path

import numpy as np
import pytest
from features import covarep
from scipy.io import savemat
from tones import tone

from mugkit.errors import UserError

# As the CMU SDK's metadata lists them.
NAMES = ["F0", "VUV", "NAQ", "QOQ", "H1H2", "PSP", "MDQ", "peakSlope", "Rd", "Rd_conf", "creak"]
NAMES += [f"MCEP_{i}" for i in range(25)] + [f"HMPDM_{i}" for i in range(25)] + [f"HMPDD_{i}" for i in range(13)]


def write(path: Path, features: np.ndarray, names: list[str] = NAMES) -> Path:
    savemat(path, {"features": features, "names": np.array(names, dtype=object)[None]})
    return path


def test_columns_and_layout_are_covareps_74_and_the_five_of_processed_mosi() -> None:
    assert list(covarep.COLUMNS) == NAMES
    assert [NAMES[i] for i in covarep.FIVE] == ["VUV", "QOQ", "MDQ", "MCEP_14", "HMPDM_24"]
    table = covarep.layout()
    spans = [[int(end) for end in span.split("–")] for span in table.index]
    assert [i for span in spans for i in range(span[0], span[-1] + 1)] == list(range(74))
    assert table.loc["11–35", "names"] == "MCEP_0 … MCEP_24"
    assert (table["stand-in"] == covarep.NONE).sum() == 7


def test_read_covarep_turns_infinity_into_zero(tmp_path: Path) -> None:
    features = np.arange(3 * 74, dtype=float).reshape(3, 74)
    features[1, 5], features[2, 6] = -np.inf, np.nan
    frames = covarep.read_covarep(write(tmp_path / "clip.mat", features))
    expected = features.copy()
    expected[1, 5] = expected[2, 6] = 0
    assert frames.dtype == np.float32
    assert np.array_equal(frames, expected)


def test_read_covarep_of_another_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "early.mat", np.zeros((3, 43)), NAMES[:43])
    write(tmp_path / "order.mat", np.zeros((3, 74)), NAMES[::-1])
    savemat(tmp_path / "other.mat", {"x": 1})
    (tmp_path / "text.mat").write_text("text")
    for name in ("early.mat", "order.mat", "other.mat", "text.mat", "none.mat"):
        with pytest.raises(UserError) as caught:
            covarep.read_covarep(tmp_path / name)
        assert caught.value.file == tmp_path / name
        assert (caught.value.field == "names") == (name in ("early.mat", "order.mat"))


def test_covarep_like_has_pitch_and_voicing_every_10_ms() -> None:
    rate = covarep.RATE
    frames = covarep.covarep_like(np.concatenate([tone(150, 0.5, rate), np.zeros(rate // 2)]))
    assert frames.shape == (101, len(covarep.LIKE_COLUMNS)) == (101, 27)
    assert np.allclose(frames[5:45, 0], 150, rtol=0.0145)
    assert (frames[5:45, 1] == 1).all()
    assert (frames[58:, :2] == 0).all()
    with pytest.raises(UserError):
        covarep.covarep_like(np.zeros(0))
