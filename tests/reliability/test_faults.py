"""Training faults are told where they arise, with the clips to look at; checkpoints are read as data alone."""

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up import changed, make_dataset
from small import small, train_jointly

import mugkit
from mugkit.data.schema import Dataset, RaggedFrames
from mugkit.errors import UserError
from mugkit.training.checkpoint import Checkpoint
from mugkit.training.label_sources import source
from mugkit.training.pretrain import pretrain

pytestmark = pytest.mark.usefixtures("cheap_text")


@pytest.fixture
def spoilt() -> Dataset:
    """A data set with one NaN among the acoustic frames of the clip train_7."""
    dataset = make_dataset((24, 8, 8))
    acoustic = dataset.train.sequences["a"]
    frames = np.array(acoustic.frames)
    frames[acoustic.offsets[7], 2] = np.nan
    return changed(dataset, sequences={**dataset.train.sequences, "a": RaggedFrames(frames, acoustic.offsets)})


def test_training_loss_that_is_not_finite_names_the_clip(spoilt: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"epoch 0 \(clips with values that are not finite: train_7\)"):
        pretrain(spoilt, small(), 1111, tmp_path)
    with pytest.raises(UserError, match=r"not finite: train_7\)"):
        train_jointly(spoilt, small(), source.copied(spoilt), 1111, tmp_path)


def test_validation_loss_not_finite_is_told_before_a_checkpoint_is_written(spoilt: Dataset, tmp_path: Path) -> None:
    swapped = {"train": replace(spoilt.valid, name="train"), "valid": replace(spoilt.train, name="valid")}
    dataset, checkpoint = replace(spoilt, splits={**spoilt.splits, **swapped}), Checkpoint(tmp_path / "checkpoint.pt")
    with pytest.raises(UserError, match=r"validation split became nan in epoch 0 \(not finite: train_7\)"):
        train_jointly(dataset, small(), source.copied(dataset), 1111, tmp_path, checkpoint)
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
