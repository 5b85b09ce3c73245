"""The benchmark of stage 2 on next to nothing, and that both of its sides do the same work."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from benchmarks import measures, stage2
from benchmarks.stage2 import OURS, REFERENCE, Stage2


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    original = stage2.modalities

    def narrow(clips: int) -> object:
        config, data = original(clips)
        return dataclasses.replace(config, mucn_width=16, extra_ratio=2, meta_epochs=3), data

    monkeypatch.setattr(stage2, "modalities", narrow)
    for name, value in (("CLIPS", 48), ("ROUNDS", 2), ("EPOCHS", 2), ("MOSEI_CLIPS", 64)):
        monkeypatch.setattr(stage2, name, value)


def test_both_sides_take_the_same_steps() -> None:
    torch.set_default_dtype(torch.float64)  # in float32 the order of sums may open a gate on one side alone
    try:
        theirs, ours = Stage2(48, REFERENCE, 1, 1), Stage2(48, OURS, 1, 2)
        assert 0 < theirs().gate_open == ours().gate_open
    finally:
        torch.set_default_dtype(torch.float32)


def test_workers_take_the_same_steps_as_this_process() -> None:
    alone, together = Stage2(48, OURS, 1, 1), Stage2(48, OURS, 2, 2)
    assert alone().gate_open == together().gate_open


def test_sizes_are_table_2s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    config, data = stage2.modalities(40)
    assert (config.meta_epochs, config.meta_batch_size, config.mucn_width) == (50, 16, 1024)
    assert {m: part.x.shape[1] for m, part in data.items()} == {"l": 64, "a": 128, "v": 64}


def test_stage2_enters_its_ratios(tmp_path: Path) -> None:
    found = stage2.stage2()
    assert [(len(ratio.values), ratio.bar) for ratio in found.ratios] == [(2, 2.0), (2, 1.4), (1, None), (1, None)]
    record = measures.keep(tmp_path, "stage2", found)
    assert [ratio["unit"] for ratio in record["stage2"]["ratios"]] == ["×", "×", "×", "s"]
    assert 1 < found.ratios[2].median <= 2  # of products over D two where the gate is open, else three; to one and two
