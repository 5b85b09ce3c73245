"""The benchmark of stage 2 on next to nothing. That both of its sides take the same steps, tests/training has."""

from __future__ import annotations

import dataclasses

import pytest

from benchmarks import stage2


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    original = stage2.modalities

    def narrow(clips: int) -> object:
        config, data = original(clips)
        return dataclasses.replace(config, mucn_width=16, extra_ratio=2, meta_epochs=3), data

    monkeypatch.setattr(stage2, "modalities", narrow)
    for name, value in (("CLIPS", 48), ("ROUNDS", 2), ("EPOCHS", 2), ("MOSEI_CLIPS", 64)):
        monkeypatch.setattr(stage2, name, value)


def test_sizes_are_table_2s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    config, data = stage2.modalities(40)
    assert (config.meta_epochs, config.meta_batch_size, config.mucn_width) == (50, 16, 1024)
    assert {m: part.x.shape[1] for m, part in data.items()} == {"l": 64, "a": 128, "v": 64}


def test_stage2_finds_its_ratios() -> None:
    found = stage2.stage2()
    assert [(len(ratio.values), ratio.bar) for ratio in found.ratios] == [(2, 2.0), (2, 1.4), (1, None), (1, None)]
    assert 1 < found.ratios[2].median <= 2  # of products over D two where the gate is open, else three; to one and two
