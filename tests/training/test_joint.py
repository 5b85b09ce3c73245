"""Stage 3: Eq. 27 by hand, and the proof that the test split decides nothing."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from made_up import make_dataset
from small import exchanged, hashes, small, train_jointly
from torch import Tensor

from mugkit.config import Hyperparameters
from mugkit.data.batch import Batch
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.models.mug import MUGNetwork, build
from mugkit.training import joint
from mugkit.training.label_sources import source as labels
from mugkit.training.trainer import Result

HP = small()


DATASET = make_dataset((40, 10, 12))


@pytest.fixture
def parts() -> tuple[MUGNetwork, Batch]:
    clips = ClipLoader(DATASET.train, HP.network)
    torch.manual_seed(0)
    return build(HP.network, DATASET.dims, clips.text_width), clips.batch(torch.tensor([5, 1, 8, 30]))


# --- Eqs. 24–27


@pytest.mark.parametrize("beta", [0.0, 0.01, 0.7])
def test_joint_loss_equals_numpy(parts: tuple[MUGNetwork, Batch], beta: float) -> None:
    network, batch = parts
    loss = joint.joint_loss(network, network.represent(batch), batch, labels.true(DATASET), beta).item()
    reps = network.represent(batch)
    prediction = network.predictor.layers(reps.multimodal)[:, 0].detach().numpy()
    expected = multimodal = np.abs(DATASET.train.labels[[5, 1, 8, 30]] - prediction).mean()
    for m in MODALITIES:  # P^m on x_m itself, not on its projection
        prediction = network.unimodal_predictors[m].layers(reps.unimodal[m])[:, 0].detach().numpy()
        expected = expected + beta * np.abs(DATASET.train.true_labels[m][[5, 1, 8, 30]] - prediction).mean()
    assert loss == pytest.approx(expected, rel=1e-5)
    alone = joint.joint_loss(network, reps, batch, labels.FixedLabels(), beta)
    assert alone.item() == pytest.approx(multimodal, rel=1e-5)


def gradients(network: MUGNetwork, loss: Tensor) -> dict[str, Tensor]:
    found = torch.autograd.grad(loss, list(network.parameters()), allow_unused=True)
    pairs = zip(network.named_parameters(), found, strict=True)
    return {name: torch.zeros_like(p) if g is None else g for (name, p), g in pairs}


def test_unimodal_losses_reach_unimodal_networks_and_heads_only(parts: tuple[MUGNetwork, Batch]) -> None:
    network, batch = parts
    whole = gradients(network, joint.joint_loss(network, network.represent(batch), batch, labels.true(DATASET), 1.0))
    alone = gradients(network, joint.joint_loss(network, network.represent(batch), batch, labels.FixedLabels(), 1.0))
    reached = {name.split(".")[0] for name in whole if not torch.allclose(whole[name], alone[name], atol=1e-7)}
    assert reached == {"language", "sequences", "unimodal_predictors"}  # neither fusion nor predictor nor projections
    assert not any(g.any() for name, g in whole.items() if name.startswith("projections"))


def train(dataset: Dataset, folder: Path, hp: Hyperparameters = HP) -> Result:
    folder.mkdir(parents=True)
    return train_jointly(dataset, hp, labels.true(dataset), 1111, folder)


def predictions(folder: Path, split: str) -> list[float]:
    table = pd.read_parquet(folder / "predictions.parquet")
    return table.loc[table["split"] == split, "prediction"].tolist()


def test_train_jointly_test_split_and_true_labels_beside_training_decide_nothing(tmp_path: Path) -> None:
    valid = dataclasses.replace(DATASET.valid, true_labels={})
    splits = {"train": DATASET.train, "valid": valid, "test": exchanged(DATASET.test)}
    old, new = train(DATASET, tmp_path / "1"), train(dataclasses.replace(DATASET, splits=splits), tmp_path / "2")
    first, second = hashes(tmp_path / "1"), hashes(tmp_path / "2")
    assert first["weights.safetensors"] == second["weights.safetensors"]
    assert (old.best_epoch, old.history, old.valid_metrics) == (new.best_epoch, new.history, new.valid_metrics)
    assert predictions(tmp_path / "1", "valid") == predictions(tmp_path / "2", "valid")
    assert predictions(tmp_path / "1", "test") != predictions(tmp_path / "2", "test")
    assert old.metrics["MAE"] != new.metrics["MAE"]


def test_train_jointly_selection_does_read_validation_labels(tmp_path: Path) -> None:
    # The control of the test above: the same exchange in the validation split is noticed.
    valid = dataclasses.replace(DATASET.valid, labels=exchanged(DATASET.valid).labels)
    other = dataclasses.replace(DATASET, splits={**DATASET.splits, "valid": valid})
    old, new = train(DATASET, tmp_path / "1"), train(other, tmp_path / "2")
    assert [row["valid"] for row in old.history] != [row["valid"] for row in new.history]
    assert [row["train"] for row in old.history] == [row["train"] for row in new.history]


def test_train_jointly_result_belongs_to_best_epochs_weights(tmp_path: Path) -> None:
    result = train(DATASET, tmp_path / "1", small(learning_rate=0.05, max_epochs=8))  # restless enough to overshoot
    valid = [row["valid"] for row in result.history]
    assert result.best_epoch == int(np.argmin(valid)) < 7
    error = np.abs(np.array(predictions(tmp_path / "1", "valid")) - DATASET.valid.labels).mean()
    assert error == pytest.approx(min(valid), rel=1e-5)
    assert result.valid_metrics["MAE"] == pytest.approx(error, rel=1e-5)
    table = pd.read_parquet(tmp_path / "1" / "predictions.parquet")
    assert table["id"].tolist() == [*DATASET.valid.ids, *DATASET.test.ids]
    assert table["split"].tolist() == ["valid"] * 10 + ["test"] * 12
