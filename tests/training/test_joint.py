"""Stage 3: Eq. 27 by hand, and the proof that the test split decides nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from small import StopAt, hashes, small, train_jointly
from torch import Tensor

from mugkit.config import Hyperparameters
from mugkit.data.batch import Batch
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import MODALITIES, Dataset, Split
from mugkit.models.mug import MUGNetwork, build
from mugkit.training import joint, trainer
from mugkit.training.checkpoint import Checkpoint
from mugkit.training.label_sources import source as labels
from mugkit.training.trainer import Result

HP = small()


@pytest.fixture(scope="module")
def dataset(made_up: Callable[..., Dataset]) -> Dataset:
    return made_up((40, 10, 12))


@pytest.fixture
def parts(dataset: Dataset) -> tuple[MUGNetwork, Batch]:
    clips = ClipLoader(dataset.train, HP.network)
    torch.manual_seed(0)
    return build(HP.network, dataset.dims, clips.text_width), clips.batch(torch.tensor([5, 1, 8, 30]))


# --- Eqs. 24–27


@pytest.mark.parametrize("beta", [0.0, 0.01, 0.7])
def test_joint_loss_equals_numpy(parts: tuple[MUGNetwork, Batch], dataset: Dataset, beta: float) -> None:
    network, batch = parts
    loss = joint.joint_loss(network, network.represent(batch), batch, labels.true(dataset), beta).item()
    reps = network.represent(batch)
    prediction = network.predictor.layers(reps.multimodal)[:, 0].detach().numpy()
    expected = np.abs(dataset.train.labels[[5, 1, 8, 30]] - prediction).mean()
    for m in MODALITIES:  # P^m on x_m itself, not on its projection
        prediction = network.unimodal_predictors[m].layers(reps.unimodal[m])[:, 0].detach().numpy()
        expected += beta * np.abs(dataset.train.true_labels[m][[5, 1, 8, 30]] - prediction).mean()
    assert loss == pytest.approx(expected, rel=1e-5)


def test_joint_loss_without_source_is_multimodal_loss(parts: tuple[MUGNetwork, Batch], dataset: Dataset) -> None:
    network, batch = parts
    alone = joint.joint_loss(network, network.represent(batch), batch, labels.FixedLabels(), 0.5)
    assert torch.equal(alone, joint.joint_loss(network, network.represent(batch), batch, labels.true(dataset), 0.0))
    assert not torch.equal(alone, joint.joint_loss(network, network.represent(batch), batch, labels.true(dataset), 0.5))


def gradients(network: MUGNetwork, loss: Tensor) -> dict[str, Tensor]:
    found = torch.autograd.grad(loss, list(network.parameters()), allow_unused=True)
    pairs = zip(network.named_parameters(), found, strict=True)
    return {name: torch.zeros_like(p) if g is None else g for (name, p), g in pairs}


def test_unimodal_losses_reach_unimodal_networks_and_heads_only(
    parts: tuple[MUGNetwork, Batch], dataset: Dataset
) -> None:
    network, batch = parts
    whole = gradients(network, joint.joint_loss(network, network.represent(batch), batch, labels.true(dataset), 1.0))
    alone = gradients(network, joint.joint_loss(network, network.represent(batch), batch, labels.FixedLabels(), 1.0))
    reached = {name.split(".")[0] for name in whole if not torch.allclose(whole[name], alone[name], atol=1e-7)}
    assert reached == {"language", "sequences", "unimodal_predictors"}  # neither fusion nor predictor nor projections
    assert not any(g.any() for name, g in whole.items() if name.startswith("projections"))


# --- the test split decides nothing


def with_split(dataset: Dataset, name: str, **changes: Any) -> Dataset:
    return dataclasses.replace(
        dataset, splits={**dataset.splits, name: dataclasses.replace(dataset.splits[name], **changes)}
    )


def garbage(split: Split) -> Split:
    """Other labels (multimodal and unimodal), other text, other frames."""
    rng = np.random.default_rng(7)
    noise = rng.uniform(-3, 3, len(split)).astype(np.float32)
    sequences = {m: dataclasses.replace(s, frames=s.frames[::-1].copy()) for m, s in split.sequences.items()}
    true = dict.fromkeys(MODALITIES, noise)
    return dataclasses.replace(split, labels=noise, true_labels=true, text=split.text[::-1], sequences=sequences)


def train(dataset: Dataset, folder: Path, seed: int = 1111, hp: Hyperparameters = HP) -> Result:
    folder.mkdir(parents=True)
    return train_jointly(dataset, hp, labels.true(dataset), seed, folder)


def predictions(folder: Path, split: str) -> list[float]:
    table = pd.read_parquet(folder / "predictions.parquet")
    return table.loc[table["split"] == split, "prediction"].tolist()


def test_train_jointly_other_test_labels_change_only_test_metrics(dataset: Dataset, tmp_path: Path) -> None:
    noise = garbage(dataset.test).labels
    other = with_split(dataset, "test", labels=noise, true_labels=dict.fromkeys(MODALITIES, noise))
    one, two = train(dataset, tmp_path / "1"), train(other, tmp_path / "2")
    assert hashes(tmp_path / "1") == hashes(tmp_path / "2")  # weights and all predictions
    assert (one.best_epoch, one.history, one.valid_metrics) == (two.best_epoch, two.history, two.valid_metrics)
    assert one.metrics["MAE"] != two.metrics["MAE"]


def test_train_jointly_other_test_clips_leave_weights_and_choice(dataset: Dataset, tmp_path: Path) -> None:
    other = dataclasses.replace(dataset, splits={**dataset.splits, "test": garbage(dataset.test)})
    one, two = train(dataset, tmp_path / "1"), train(other, tmp_path / "2")
    first, second = hashes(tmp_path / "1"), hashes(tmp_path / "2")
    assert first["weights.safetensors"] == second["weights.safetensors"]
    assert (one.best_epoch, one.valid_metrics) == (two.best_epoch, two.valid_metrics)
    assert predictions(tmp_path / "1", "valid") == predictions(tmp_path / "2", "valid")
    assert predictions(tmp_path / "1", "test") != predictions(tmp_path / "2", "test")


def test_train_jointly_selection_does_read_validation_labels(dataset: Dataset, tmp_path: Path) -> None:
    # The control of the tests above: the same exchange in the validation split is noticed.
    other = with_split(dataset, "valid", labels=garbage(dataset.valid).labels)
    one, two = train(dataset, tmp_path / "1"), train(other, tmp_path / "2")
    assert [row["valid"] for row in one.history] != [row["valid"] for row in two.history]
    assert [row["train"] for row in one.history] == [row["train"] for row in two.history]


def test_train_jointly_never_reads_true_labels_of_valid_and_test(dataset: Dataset, tmp_path: Path) -> None:
    train(dataset, tmp_path / "1")
    train(with_split(with_split(dataset, "valid", true_labels={}), "test", true_labels={}), tmp_path / "2")
    assert hashes(tmp_path / "1") == hashes(tmp_path / "2")


def test_train_jointly_test_split_is_read_after_the_choice(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    clips, fit = trainer.ClipLoader, trainer.fit

    def open_split(split: Split, *rest: Any) -> ClipLoader:
        order.append(split.name)
        return clips(split, *rest)

    def fitted(*given: Any) -> Any:
        done = fit(*given)
        order.append("chosen")
        return done

    monkeypatch.setattr(trainer, "ClipLoader", open_split)
    monkeypatch.setattr(trainer, "fit", fitted)
    train(dataset, tmp_path / "1")
    assert order == ["train", "valid", "chosen", "test"]


# --- the whole stage


def test_train_jointly_result_belongs_to_best_epochs_weights(dataset: Dataset, tmp_path: Path) -> None:
    result = train(dataset, tmp_path / "1", hp=small(learning_rate=0.05, max_epochs=8))  # restless enough to overshoot
    valid = [row["valid"] for row in result.history]
    assert result.best_epoch == int(np.argmin(valid)) < 7
    error = np.abs(np.array(predictions(tmp_path / "1", "valid")) - dataset.valid.labels).mean()
    assert error == pytest.approx(min(valid), rel=1e-5)
    assert result.valid_metrics["MAE"] == pytest.approx(error, rel=1e-5)


def test_train_jointly_learns(dataset: Dataset, tmp_path: Path) -> None:
    result = train(dataset, tmp_path / "1", hp=small(learning_rate=5e-3, max_epochs=15))
    assert result.metrics["Corr"] > 0.8
    assert result.history[-1]["train"] < 0.5 * result.history[0]["train"]


def test_train_jointly_predictions_file(dataset: Dataset, tmp_path: Path) -> None:
    train(dataset, tmp_path / "1")
    table = pd.read_parquet(tmp_path / "1" / "predictions.parquet")
    assert table["id"].tolist() == [*dataset.valid.ids, *dataset.test.ids]
    assert table["split"].tolist() == ["valid"] * 10 + ["test"] * 12


def test_train_jointly_same_seed_same_bytes_other_seed_others(dataset: Dataset, tmp_path: Path) -> None:
    hp = small(dropout=0.2)
    for name, seed in (("1", 1111), ("2", 1111), ("3", 1112)):
        train(dataset, tmp_path / name, seed, hp)
    one, two, other = (hashes(tmp_path / name) for name in "123")
    assert one == two
    assert set(one) == {"weights.safetensors", "predictions.parquet"}
    assert all(one[name] != other[name] for name in one)


@pytest.mark.parametrize(("call", "patience"), [(3, 8), (4, 0)])
def test_train_jointly_interrupted_then_resumed_equals_uninterrupted(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int, patience: int
) -> None:
    hp = small(dropout=0.2, max_epochs=5, learning_rate=0.03, patience=patience)
    checkpoint, folder = Checkpoint(tmp_path / "checkpoint.pt"), tmp_path / "resumed"
    whole = train(dataset, tmp_path / "whole", hp=hp)
    folder.mkdir()
    with monkeypatch.context() as patch:
        # Interrupted while validating: the epoch's training is done, but not yet noted.
        patch.setattr(trainer, "predict", StopAt(trainer.predict, min(call, len(whole.history))))
        with pytest.raises(KeyboardInterrupt):
            train_jointly(dataset, hp, labels.true(dataset), 1111, folder, checkpoint)
    torch.manual_seed(99)
    resumed = train_jointly(dataset, hp, labels.true(dataset), 1111, folder, checkpoint)
    assert hashes(folder) == hashes(tmp_path / "whole")
    assert resumed == whole
