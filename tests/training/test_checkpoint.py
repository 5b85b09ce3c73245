"""Checkpoints that hold no code, and weights written once."""

import logging
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, load_model
from torch import nn

from mugkit.training.checkpoint import Checkpoint, save_weights


def test_checkpoint_round_trip(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "deeper" / "checkpoint.pt")
    assert checkpoint.load() is None
    for epoch in (1, 2):
        checkpoint.save({"network": {"w": torch.tensor([1.0, epoch])}, "history": [{"epoch": epoch}]})
    state = checkpoint.load()
    assert state is not None
    assert state["history"] == [{"epoch": 2}]
    assert torch.equal(state["network"]["w"], torch.tensor([1.0, 2.0]))
    assert [p.name for p in (tmp_path / "deeper").iterdir()] == ["checkpoint.pt"]


def test_checkpoint_within_its_pause_is_not_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, kept = 100.0, []
    monkeypatch.setattr("mugkit.training.checkpoint.time.monotonic", lambda: now)
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", pause=2.0)
    for now in (100.0, 101.9, 102.0, 103.0, 104.5):
        checkpoint.save({"moment": now})
        kept.append((checkpoint.load() or {})["moment"])
    assert kept == [100.0, 100.0, 102.0, 102.0, 104.5]


class Payload:
    """What a tampered checkpoint could hold: reading it would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_checkpoint_with_code_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt")
    checkpoint.save({"history": Payload(tmp_path / "owned")})  # its checksum is right
    with caplog.at_level(logging.WARNING):
        assert checkpoint.load() is None
    assert "Weights only load failed" in caplog.text
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty"])
def test_checkpoint_damaged_is_told_and_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str) -> None:
    path = tmp_path / "checkpoint.pt"
    Checkpoint(path).save({"weights": torch.ones(64)})
    content = bytearray(path.read_bytes())
    content[content.index(torch.ones(64).numpy().tobytes())] ^= 1
    changed = {"truncate": content[: len(content) // 2], "flip": content, "empty": b""}
    path.write_bytes(changed[damage])
    with caplog.at_level(logging.WARNING):
        assert Checkpoint(path).load() is None
    assert f"{path}: damaged" in caplog.text


class Shared(nn.Module):
    """Two layers with one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(3, 3), nn.Linear(3, 3)
        self.other.weight = self.one.weight


def test_save_weights_writes_shared_ones_once_and_they_load_back(tmp_path: Path) -> None:
    network = Shared()
    save_weights(network, tmp_path / "weights.safetensors")
    assert set(load_file(tmp_path / "weights.safetensors")) == {"one.weight", "one.bias", "other.bias"}
    again = Shared()
    load_model(again, tmp_path / "weights.safetensors")
    assert all(torch.equal(again.state_dict()[name], values) for name, values in network.state_dict().items())
    assert again.other.weight is again.one.weight
