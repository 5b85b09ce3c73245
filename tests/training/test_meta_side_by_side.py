"""Stage 2 in several processes: the same bytes as in one process, whatever ends it in between."""

import itertools
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from meta_cases import config, saved
from small import StopAt, hashes

from mugkit import pools
from mugkit.config import MetaLearning
from mugkit.device import cpu_threads
from mugkit.training import meta
from mugkit.training.checkpoint import Checkpoint
from mugkit.training.divergence import NotFinite

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def two_workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(meta, "WORTH", 0)
    processes = pools.processes
    with cpu_threads(2):
        yield
    pools.shutdown_now(processes(2))


def learn(folder: Path, settings: MetaLearning | None = None, checkpoint: Checkpoint | None = None) -> dict[str, str]:
    folder.mkdir()
    meta.meta_learn(saved(40), settings or config(), 3.0, 1111, folder, checkpoint)
    return hashes(folder)


@pytest.fixture
def alone(tmp_path: Path) -> dict[str, str]:
    """What one process makes, one modality after the other."""
    with cpu_threads(1):
        return learn(tmp_path / "alone")


def test_side_by_side_equals_one_after_the_other(tmp_path: Path, alone: dict[str, str]) -> None:
    assert learn(tmp_path / "together") == alone


def test_side_by_side_fault_names_modality_and_clips(tmp_path: Path) -> None:
    with pytest.raises(NotFinite) as caught:
        learn(tmp_path / "fault", config(alpha=1e38))
    assert "labels' network" in caught.value.what
    assert caught.value.clips


def test_side_by_side_interrupted_then_resumed_equals_uninterrupted(tmp_path: Path, alone: dict[str, str]) -> None:
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt")
    stop = StopAt(meta.ModalityMetaTrainer.record_epoch, 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meta.ModalityMetaTrainer, "record_epoch", lambda *given: stop(*given))
        with pytest.raises(KeyboardInterrupt):
            learn(tmp_path / "stopped", checkpoint=checkpoint)
    assert list(tmp_path.glob("*-checkpoint.pt"))
    assert learn(tmp_path / "resumed", checkpoint=checkpoint) == alone


def test_side_by_side_replaces_a_worker(tmp_path: Path, alone: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    original, count = meta.packed, itertools.count(1)

    def packed(learning: meta.ModalityMetaTrainer) -> bytes:
        if next(count) == 6:  # before the sixth epoch is handed out
            for worker in list(pools.processes(2)._processes or {}):
                os.kill(worker, signal.SIGKILL)
        return original(learning)

    monkeypatch.setattr(meta, "packed", packed)
    assert learn(tmp_path / "lost") == alone
