"""Exponents against costs made by hand, and the whole benchmark on next to nothing."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from small import bag_of_words

from benchmarks import growth
from benchmarks.growth import Plan, Series, exponent, made
from mugkit import files
from mugkit.data import store

TINY = Plan(clips=(70, 140), clips_of_labels=(70, 140), frames=(2, 4), seeds=(1, 2), mapped=(20, 40), rounds=1)


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_exponent_is_the_power_that_costs_were_made_with(power: float) -> None:
    sizes = [250, 500, 1000, 4000]
    assert exponent(sizes, [3e-4 * size**power for size in sizes]) == pytest.approx(power, abs=1e-9)


def test_series_that_grows_with_the_square_is_over_its_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time passes only where an epoch says so."""
    sizes, now = (1, 2, 4), [0.0]
    monkeypatch.setattr(growth, "time", SimpleNamespace(perf_counter=lambda: sum(now)))
    squared = Series("x", "clips", sizes, [partial(now.append, 0.02 * size**2) for size in sizes])
    ratio, curve = squared.measure(rounds=2)
    assert (len(ratio.values), ratio.ok) == (2, False)
    assert ratio.median == pytest.approx(2)
    assert curve.x == [1, 2, 4]
    assert curve.y == pytest.approx([1, 4, 16])


def test_made_clips_have_the_sizes_and_lengths_asked_for() -> None:
    drawn, equal = made(300, 10, others=5), made(30, 7, equal=True)
    assert [len(drawn.splits[name]) for name in ("train", "valid", "test")] == [300, 5, 5]
    lengths = drawn.train.sequences["a"].lengths
    assert (lengths.min(), lengths.max()) == (1, 20)
    assert set(equal.train.sequences["v"].lengths) == {7}


def test_memory_of_frames_read_whole_is_over_its_bar(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What `peak` would say of frames that are kept: a fixed part, and every byte of them."""

    def kept(folder: Path) -> float:
        return 4e8 + sum(sequences.frames.nbytes for sequences in store.load(folder).train.sequences.values())

    monkeypatch.setattr(growth, "_in_a_fresh_process", kept)
    ratio, curve = growth.memory((20, 40), tmp_path, rounds=2)
    assert (len(ratio.values), len(curve.y)) == (2, 2)
    assert ratio.median == pytest.approx(1.0)
    assert not ratio.ok


@pytest.mark.slow
def test_growth_measures_every_stage_and_leaves_nothing_in_the_users_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mugkit.data.text._encode", bag_of_words)
    found = growth.growth(TINY)
    names = [ratio.name for ratio in found.ratios]
    assert names[:3] == [f"growth with clips, epoch of stage {number}" for number in (1, 3, 2)]
    assert ("growth of memory" in names) is Path("/proc/self/status").exists()
    assert all(np.isfinite(ratio.median) for ratio in found.ratios)
    assert all(curve.x[0] == curve.y[0] == 1 for curve in found.curves)
    assert not files.home().exists() or list(files.home().iterdir()) == []
