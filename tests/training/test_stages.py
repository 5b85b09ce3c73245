"""What holds for every stage and every online source of labels: seeds decide, runs are resumed, splits stay apart."""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from made_up import make_dataset
from meta_cases import config, saved
from small import StopAt, hashes, small, train_jointly

from mugkit.config import Network
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.models.mug import MUGNetwork, Representations
from mugkit.training import meta, pretrain, trainer
from mugkit.training.checkpoint import Checkpoint
from mugkit.training.label_sources import source

HP = small(dropout=0.2)  # so that random state matters inside epochs, too


class OnePlace(MUGNetwork):
    """MUG's network with features of one width, as SUGRM's labels want them: the first two dims of each."""

    def features(self, reps: Representations) -> dict[str, torch.Tensor]:
        return {"m": reps.multimodal[:, :2], **{m: x[:, :2] for m, x in reps.unimodal.items()}}


def one_place(config: Network, frame_dims: Mapping[str, int], text_width: int) -> MUGNetwork:
    return OnePlace(config, frame_dims, text_width)


# From a data set, a seed, a folder and a checkpoint to the files of a stage.
Stage = Callable[[Dataset, int, Path, Checkpoint], object]


def first(dataset: Dataset, seed: int, folder: Path, checkpoint: Checkpoint) -> object:
    return pretrain.pretrain(dataset, HP, seed, folder, checkpoint)


def second(dataset: Dataset, seed: int, folder: Path, checkpoint: Checkpoint) -> object:
    return meta.meta_learn(saved(), config(), 3.0, seed, folder, checkpoint)


def third(labels: str) -> Stage:
    def run(dataset: Dataset, seed: int, folder: Path, checkpoint: Checkpoint) -> object:
        made = source.true(dataset) if labels == "true" else source.online(labels, dataset, HP)
        network_of = one_place if labels == "sugrm" else None
        return train_jointly(dataset, HP, made, seed, folder, checkpoint, "cpu", network_of)

    return run


JOINT = {"weights.safetensors", "predictions.parquet"}
# By name: the stage, what it calls once an epoch, and what it leaves.
STAGES: dict[str, tuple[Stage, ModuleType, str, set[str]]] = {
    "1": (first, pretrain, "train_epoch", {"representations.safetensors", "weights.safetensors", "history.json"}),
    "2": (second, meta, "train_epoch", {"labels.safetensors", "history.json"}),
    "true": (third("true"), trainer, "predict", JOINT),
    **{name: (third(name), trainer, "predict", JOINT | {"labels.safetensors"}) for name in source.ONLINE},
}


DATASET = make_dataset((40, 8, 8))


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Runs a stage in a folder of that name; what it left."""

    def stage(name: str, folder: str, dataset: Dataset, seed: int = 1111) -> dict[str, str]:
        (tmp_path / folder).mkdir(exist_ok=True)
        STAGES[name][0](dataset, seed, tmp_path / folder, Checkpoint(tmp_path / f"{folder}.pt"))
        return hashes(tmp_path / folder)

    return stage


@pytest.mark.parametrize("name", STAGES)
def test_same_seed_same_bytes_other_seed_others(name: str, run: Callable[..., dict]) -> None:
    found = []
    for number, seed in enumerate((1111, 1111, 1112)):
        torch.manual_seed(number)  # the process's own random state decides nothing
        found.append(run(name, str(number), DATASET, seed))
    assert found[0] == found[1]
    assert set(found[0]) == STAGES[name][3]
    assert all(found[0][file] != found[2][file] for file in found[0])


@pytest.mark.parametrize(("name", "call"), [*((name, 3) for name in STAGES), ("2", 12)])
def test_interrupted_then_resumed_equals_uninterrupted(
    name: str, call: int, run: Callable[..., dict], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, module, function, _ = STAGES[name]
    calls = []
    for folder, stop in (("whole", 1000), ("resumed", call), ("resumed", 1000)):
        counted = StopAt(getattr(module, function), stop)
        torch.manual_seed(len(calls))  # another process has another random state
        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            patch.setattr(module, function, counted)
            run(name, folder, DATASET)
        calls.append(stop - counted.left)
        assert bool(hashes(tmp_path / folder)) == (stop == 1000)  # nothing is there that looks finished
    assert hashes(tmp_path / "resumed") == hashes(tmp_path / "whole")
    assert calls[2] == calls[0] - (call - 1)  # finished epochs are not done again


def test_stage_1_reads_the_training_split_without_true_labels_only(run: Callable[..., dict]) -> None:
    unreadable = {"text": None, "labels": None, "sequences": None, "true_labels": None}
    splits = {name: dataclasses.replace(split, **unreadable) for name, split in DATASET.splits.items()}
    splits["train"] = dataclasses.replace(DATASET.train, true_labels={})
    assert run("1", "1", dataclasses.replace(DATASET, splits=splits)) == run("1", "2", DATASET)


@pytest.mark.parametrize("name", source.ONLINE)
def test_online_labels_see_the_training_split_alone(name: str, run: Callable[..., dict], tmp_path: Path) -> None:
    """Every label of the test split exchanged, those of the validation split negated, true unimodal labels gone."""
    garbage = np.random.default_rng(7).uniform(-3, 3, 8).astype(np.float32)
    replaced = {"train": DATASET.train.labels, "valid": -DATASET.valid.labels, "test": garbage}
    splits = {k: dataclasses.replace(DATASET.splits[k], labels=v, true_labels={}) for k, v in replaced.items()}
    before, after = run(name, "1", DATASET), run(name, "2", dataclasses.replace(DATASET, splits=splits))
    assert before["labels.safetensors"] == after["labels.safetensors"]
    assert before["weights.safetensors"] != after["weights.safetensors"]  # validation labels do choose the epoch
    found = source.saved_labels(tmp_path / "1")
    for m in MODALITIES:
        assert found[m].abs().max() <= 3
        assert found[m].tolist() != DATASET.train.labels.tolist()
    # SUGRM's shifts may saturate, so that two modalities agree on so few clips.
    assert len({tuple(found[m].tolist()) for m in MODALITIES}) >= 2
