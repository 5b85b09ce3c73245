"""The benchmark of stage 2 on next to nothing. That both of its sides take the same steps, tests/training has."""

import dataclasses

import pytest

from benchmarks import stage2


def test_stage2_finds_its_ratios_at_table_2s_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    original = stage2.modalities
    config, data = original(40)
    assert (config.meta_epochs, config.meta_batch_size, config.mucn_width) == (50, 16, 1024)
    assert {m: part.x.shape[1] for m, part in data.items()} == {"l": 64, "a": 128, "v": 64}
    narrow = dataclasses.replace(config, mucn_width=16, extra_ratio=2, meta_epochs=3)
    monkeypatch.setattr(stage2, "modalities", lambda clips: (narrow, original(clips)[1]))
    for name, value in (("CLIPS", 48), ("ROUNDS", 2), ("EPOCHS", 2), ("MOSEI_CLIPS", 64)):
        monkeypatch.setattr(stage2, name, value)
    ratios = stage2.stage2().ratios
    assert [(len(ratio.values), ratio.bar) for ratio in ratios] == [(2, 2.0), (2, 1.4), (1, None), (1, None)]
    # Of products over D two where the gate is open, else three; to one and two.
    assert 1 < ratios[2].values[0] <= 2
