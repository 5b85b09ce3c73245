"""Label sources: each clip gets its own labels, and what a data set lacks is said."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small import StopAt, hashes, small, train_jointly

from mugkit.config import Network
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.errors import UserError
from mugkit.models.mug import MUGNetwork, Representations
from mugkit.training import trainer
from mugkit.training.checkpoint import Checkpoint
from mugkit.training.label_sources import source

INDEX = torch.tensor([5, 0, 5, 2])


def test_fixed_labels_follow_index_by_modality() -> None:
    values = {m: torch.arange(6.0) + 10 * i for i, m in enumerate(MODALITIES)}
    targets = source.FixedLabels(values).targets(INDEX)
    assert {m: t.tolist() for m, t in targets.items()} == {
        "l": [5, 0, 5, 2],
        "a": [15, 10, 15, 12],
        "v": [25, 20, 25, 22],
    }


def test_copied_is_the_clips_label_for_every_modality(made_up: Callable[..., Dataset]) -> None:
    dataset = made_up((8, 4, 4))
    targets = source.copied(dataset).targets(INDEX)
    assert all(targets[m].tolist() == dataset.train.labels[INDEX].tolist() for m in MODALITIES)


def test_true_is_each_modalitys_human_label(made_up: Callable[..., Dataset]) -> None:
    dataset = made_up((8, 4, 4))
    targets = source.true(dataset).targets(INDEX)
    for m in MODALITIES:
        assert targets[m].tolist() == dataset.train.true_labels[m][INDEX].tolist()
        assert targets[m].tolist() != dataset.train.labels[INDEX].tolist()


def test_true_without_labels_is_user_error(made_up: Callable[..., Dataset]) -> None:
    with pytest.raises(UserError, match="made-up") as caught:
        source.true(made_up((8, 4, 4), true_labels=False))
    assert caught.value.field == "system"
    assert "reviews" in str(caught.value)


@pytest.mark.parametrize("make", [source.copied, source.true])
def test_source_does_not_share_memory_with_dataset(
    made_up: Callable[..., Dataset], make: Callable[[Dataset], source.FixedLabels]
) -> None:
    dataset = made_up((8, 4, 4))
    before = dataset.train.labels.copy(), dataset.train.true_labels["a"].copy()
    for values in make(dataset).values.values():
        values.zero_()
    np.testing.assert_array_equal(dataset.train.labels, before[0])
    np.testing.assert_array_equal(dataset.train.true_labels["a"], before[1])


def test_no_labels_are_no_unimodal_tasks_and_leave_nothing(tmp_path: Path) -> None:
    none = source.FixedLabels()
    assert none.targets(INDEX) == {}
    none.finish(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert none.state() == {}


# --- online sources


HP = small(max_epochs=3)
online = pytest.mark.parametrize("name", source.ONLINE)


@pytest.fixture(scope="module")
def dataset(made_up: Callable[..., Dataset]) -> Dataset:
    return made_up((40, 8, 8))


class OnePlace(MUGNetwork):
    """MUG's network with features of one width, as SUGRM's labels want them: the first two dims of each."""

    def features(self, reps: Representations) -> dict[str, torch.Tensor]:
        return {"m": reps.multimodal[:, :2], **{m: x[:, :2] for m, x in reps.unimodal.items()}}


def one_place(config: Network, frame_dims: Mapping[str, int], text_width: int) -> MUGNetwork:
    return OnePlace(config, frame_dims, text_width)


@pytest.fixture
def train(dataset: Dataset, tmp_path: Path) -> Callable[..., Path]:
    """Stage 3 with an online source, from a data set to a folder."""

    def run(name: str, folder: str, given: Dataset = dataset, seed: int = 1, checkpoint: Any = None) -> Path:
        (tmp_path / folder).mkdir(exist_ok=True)
        network_of = one_place if name == "sugrm" else None
        made = source.online(name, given, HP)
        train_jointly(given, HP, made, seed, tmp_path / folder, checkpoint, "cpu", network_of)
        return tmp_path / folder

    return run


def tensors(part: Any) -> list[torch.Tensor]:
    """All of them, however deep they lie."""
    if isinstance(part, torch.Tensor):
        return [part]
    inside = part.values() if isinstance(part, dict) else part if isinstance(part, list | tuple) else ()
    return [tensor for one in inside for tensor in tensors(one)]


@pytest.mark.parametrize("name", ["copy", *source.ONLINE])
def test_source_takes_what_it_has_to_the_device_of_the_training_split(name: str, dataset: Dataset) -> None:
    made = source.copied(dataset) if name == "copy" else source.online(name, dataset, HP)
    if name == "ulgm":
        made.restore({**made.state(), "features": {"l": torch.zeros(40, 2)}})  # as a checkpoint is read
    clips = ClipLoader(dataset.train, HP.network)
    clips.device = torch.device("meta")
    made.begin_epoch(clips, 1, 1)
    held = tensors({k: part for k, part in vars(made).items() if k != "_clean"})
    assert len(held) >= 3
    assert {tensor.device.type for tensor in held} == {"meta"}


@online
def test_online_labels_are_left_in_the_folder(name: str, train: Callable[..., Path], dataset: Dataset) -> None:
    found = source.saved_labels(train(name, "run"))
    for m in MODALITIES:
        assert found[m].shape == (40,)
        assert torch.isfinite(found[m]).all()
        assert found[m].abs().max() <= 3
        assert found[m].tolist() != dataset.train.labels.tolist()
    # SUGRM's shifts may saturate, so that two modalities agree on so few clips.
    assert len({tuple(found[m].tolist()) for m in MODALITIES}) >= 2


@online
def test_online_same_seed_same_bytes_other_seed_others(name: str, train: Callable[..., Path]) -> None:
    one = hashes(train(name, "1"))
    torch.manual_seed(99)
    assert hashes(train(name, "2")) == one
    other = hashes(train(name, "3", seed=2))
    assert set(one) == {"labels.safetensors", "predictions.parquet", "weights.safetensors"}
    assert all(one[file] != other[file] for file in one)


@online
def test_online_interrupted_then_resumed_equals_uninterrupted(
    name: str, train: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, checkpoint = hashes(train(name, "whole")), Checkpoint(tmp_path / "checkpoint.pt")
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "predict", StopAt(trainer.predict, 2))
        with pytest.raises(KeyboardInterrupt):
            train(name, "resumed", checkpoint=checkpoint)
    torch.manual_seed(99)
    assert hashes(train(name, "resumed", checkpoint=checkpoint)) == whole


@online
def test_online_labels_see_the_training_split_alone(name: str, train: Callable[..., Path], dataset: Dataset) -> None:
    """Every label of the test split exchanged, those of the validation split negated, true unimodal labels gone."""
    garbage = np.random.default_rng(7).uniform(-3, 3, 8).astype(np.float32)
    replaced = {"train": dataset.train.labels, "valid": -dataset.valid.labels, "test": garbage}
    splits = {k: dataclasses.replace(dataset.splits[k], labels=v, true_labels={}) for k, v in replaced.items()}
    first, second = hashes(train(name, "1")), hashes(train(name, "2", dataclasses.replace(dataset, splits=splits)))
    assert first["labels.safetensors"] == second["labels.safetensors"]
    assert first["weights.safetensors"] != second["weights.safetensors"]  # validation labels do choose the epoch


@pytest.mark.parametrize("name", ["ulgm", "sugrm"])
def test_moving_source_first_epoch_is_the_multimodal_task_alone(
    name: str, train: Callable[..., Path], dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "HP", small(max_epochs=1))
    (tmp_path / "none").mkdir()
    train_jointly(dataset, HP, source.FixedLabels(), 1, tmp_path / "none", device="cpu")
    assert hashes(train(name, "run"))["predictions.parquet"] == hashes(tmp_path / "none")["predictions.parquet"]
