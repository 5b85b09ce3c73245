"""Training faults are told where they arise, with the clips to look at; checkpoints are read as data alone."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small import bag_of_words, small, train_jointly

import mugkit
from mugkit.data import text
from mugkit.data.schema import Dataset, RaggedFrames
from mugkit.errors import UserError
from mugkit.training.checkpoint import Checkpoint
from mugkit.training.label_sources import source
from mugkit.training.pretrain import pretrain


@pytest.fixture
def spoilt(made_up: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """A data set with one NaN among the acoustic frames of the clip train_7."""
    monkeypatch.setattr(text, "_encode", bag_of_words)
    dataset = made_up((24, 8, 8))
    acoustic = dataset.train.sequences["a"]
    frames = np.array(acoustic.frames)
    frames[acoustic.offsets[7], 2] = np.nan
    train = dataclasses.replace(
        dataset.train, sequences={**dataset.train.sequences, "a": RaggedFrames(frames, acoustic.offsets)}
    )
    return dataclasses.replace(dataset, splits={**dataset.splits, "train": train})


def test_pretrain_loss_not_finite_names_the_clip(spoilt: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"epoch 0 \(clips with values that are not finite: train_7\)"):
        pretrain(spoilt, small(), 1111, tmp_path)


def test_joint_training_loss_not_finite_names_the_clip(spoilt: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"not finite: train_7\)"):
        train_jointly(spoilt, small(), source.copied(spoilt), 1111, tmp_path)


def test_validation_loss_not_finite_is_told_before_a_checkpoint_is_written(spoilt: Dataset, tmp_path: Path) -> None:
    train, valid = spoilt.splits["valid"], spoilt.splits["train"]
    swapped = dataclasses.replace(
        spoilt,
        splits={
            **spoilt.splits,
            "train": dataclasses.replace(train, name="train"),
            "valid": dataclasses.replace(valid, name="valid"),
        },
    )
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt")
    with pytest.raises(UserError, match=r"validation split became nan in epoch 0 \(not finite: train_7\)"):
        train_jointly(swapped, small(), source.copied(swapped), 1111, tmp_path, checkpoint)
    assert checkpoint.load() is None


def test_torch_load_is_called_with_weights_only_everywhere() -> None:
    calls = [
        (path.name, {word.arg: word.value for word in node.keywords})
        for path in Path(mugkit.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"
    ]
    assert calls
    for name, words in calls:
        assert ast.unparse(words["weights_only"]) == "True", name
