"""The measurement of MOSEI's size: its source is what MMSA's files are, its peaks are seen, its limit holds."""

import contextlib
import json
import pickle
from pathlib import Path
from typing import Any

import mosei_size
import numpy as np
import pytest

from mugkit.data import mmsa
from mugkit.data.pickles import load_pickle
from mugkit.errors import UserError


def test_the_source_is_an_mmsa_pickle(tmp_path: Path) -> None:
    mosei_size.write_source(path := tmp_path / "mosei.pkl", (203, 2, 1))
    content = pickle.loads(path.read_bytes())
    train = content["train"]
    assert [train[key].shape for key in ("audio", "vision", "text")] == [(203, 500, 74), (203, 500, 35), (203, 50, 768)]
    for key in ("audio", "vision"):
        assert train[key].dtype == np.float32
        used = [int(np.flatnonzero(clip.any(axis=1))[-1]) + 1 for clip in train[key]]
        assert used == train[f"{key}_lengths"]
        assert 50 < sum(length >= 450 for length in used) < 203
    assert path.stat().st_size == pytest.approx(206 * mosei_size.BYTES_A_CLIP, rel=1e-3)
    ours = load_pickle(path)
    np.testing.assert_array_equal(ours["train"]["vision"], train["vision"])
    dataset = mmsa.read(ours, "mosei", path)
    assert not dataset.about["caveats"]
    assert dataset.train.sequences["a"].lengths.tolist() == train["audio_lengths"]


@pytest.mark.parametrize("peak", [2999, 3000])
def test_a_peak_at_the_limit_fails(peak: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(sizes: tuple[int, ...], folder: Path, seconds: float) -> dict[str, Any]:
        peaks = {"prepare": 500, "train": peak if sum(sizes) > 1000 else 300}
        return {"clips": sum(sizes), "steps": {name: {"peak_resident_mb": mb} for name, mb in peaks.items()}}

    monkeypatch.setattr(mosei_size, "measure", measured)
    out = tmp_path / "size.json"
    with pytest.raises(UserError, match="clips, train") if peak == 3000 else contextlib.nullcontext():
        mosei_size.compare(2000, 1.0, tmp_path, out)
    found = json.loads(out.read_text())
    assert [found[size]["clips"] for size in ("full", "tenth")] == pytest.approx([2000, 200], abs=1)
    assert found["peak_resident_of_full_over_tenth"]["prepare"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["size.json"]
