"""No system of any table can see the test split before its weights are chosen, and validation decides alone."""

import dataclasses
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from made_up import make_dataset
from small import bag_of_words, exchanged
from torch import Tensor

from mugkit import files
from mugkit.config import RunSpec
from mugkit.data import encoders, text
from mugkit.data.schema import Dataset
from mugkit.experiments.registry import SYSTEMS, Experiment
from mugkit.experiments.run_store import Store

WIDTH = 16
CHANGES = (("max_epochs", 2), ("meta_epochs", 2), ("pretrain_epochs", 1))


def token_states(lines: Sequence[str], *_: object) -> tuple[Tensor, Tensor]:
    """Stands in for a frozen encoder's token states: every word has a random vector of its own."""
    words = [line.split() or ["?"] for line in lines]
    seeds = [zlib.crc32(word.encode()) for line in words for word in line]
    states = torch.stack([torch.randn(WIDTH, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
    return states, torch.tensor([0, *np.cumsum([len(line) for line in words])])


@pytest.fixture(autouse=True)
def cheap_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "frozen_features", bag_of_words)
    monkeypatch.setattr(text, "frozen_states", token_states)
    monkeypatch.setattr(encoders, "locate", lambda name: name)


DATASET = make_dataset((24, 12, 12))


def weights(name: str, dataset: Dataset, folder: Path) -> str:
    work = Experiment(RunSpec(name, "made-up", 1111, "smoke", changes=CHANGES), dataset, Store(folder), "cpu")
    return files.sha256(work.result() / "weights.safetensors")


@pytest.mark.parametrize("name", SYSTEMS)
def test_system_test_split_changes_no_weight_training_split_does(name: str, tmp_path: Path) -> None:
    other_test = dataclasses.replace(DATASET, splits={**DATASET.splits, "test": exchanged(DATASET.test)})
    first = weights(name, DATASET, tmp_path / "1")
    assert weights(name, other_test, tmp_path / "2") == first
    other_train = dataclasses.replace(DATASET, splits={**DATASET.splits, "train": exchanged(DATASET.train)})
    assert weights(name, other_train, tmp_path / "3") != first  # the comparison can tell runs apart
