"""What all systems share of training: early stopping by hand, resuming, and that the test split is no argument."""

import dataclasses
import json
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, call

import numpy as np
import pytest
import torch
from made_up import make_dataset
from small import small
from torch import nn

from mugkit.config import Hyperparameters
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import Dataset
from mugkit.experiments.run_store import read_result
from mugkit.models.losses import l1
from mugkit.models.mug import build
from mugkit.training import trainer
from mugkit.training.checkpoint import Checkpoint
from mugkit.training.trainer import EarlyStop, Objective, Result

HP = small()


DATASET = make_dataset((40, 10, 12))


def test_predict_is_every_clip_in_order_without_dropout() -> None:
    config = dataclasses.replace(HP.network, dropout=0.5)
    clips = ClipLoader(DATASET.test, config)
    torch.manual_seed(0)
    network = build(config, DATASET.dims, clips.text_width).train()
    predictions = trainer.predict(network, clips, batch_size=5)
    alone = [network(clips.batch(torch.tensor([i]))).item() for i in range(12)]
    np.testing.assert_allclose(predictions, alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("losses", "patience", "ran", "best_epoch"),
    [
        ([1.0, 0.5, *[0.6] * 20], 8, 11, 1),  # epochs 2–9 are the eight that are allowed; epoch 10 is one over
        ([0.5, *[0.6] * 8, 0.4, *[0.6] * 20], 8, 19, 9),  # better at the last moment: it starts again
        ([3.0, 2.0, 1.0, 5.0, 5.0], 8, 5, 2),
        *(([0.5] * 30, patience, patience + 2, 0) for patience in (0, 1)),
    ],
)
def test_early_stop_by_hand(losses: list[float], patience: int, ran: int, best_epoch: int) -> None:
    stop, layer, epoch = EarlyStop(patience), nn.Linear(1, 1), -1
    for epoch, loss in enumerate(losses):
        nn.init.constant_(layer.weight, epoch)
        if not stop.better(loss, epoch, layer):
            break
    assert (epoch + 1, stop.best_epoch, stop.best) == (ran, best_epoch, min(losses))
    assert stop.weights["weight"].item() == best_epoch  # a copy: the layer itself went on


def fit_with(
    dataset: Dataset, patch: pytest.MonkeyPatch, losses: list[float], hp: Hyperparameters, *checkpoint: Checkpoint
) -> tuple[EarlyStop, list[dict[str, Any]]]:
    """`fit` where epochs are void and validation losses are given; when these run out, StopIteration."""
    given = iter(losses)
    patch.setattr(trainer, "train_epoch", lambda *_: 0.0)
    patch.setattr(trainer, "predict", lambda _, clips: clips.split.labels + next(given))
    train, valid = (ClipLoader(split, hp.network) for split in (dataset.train, dataset.valid))
    network = build(hp.network, dataset.dims, train.text_width)
    return trainer.fit(network, Objective(), train, valid, hp, 1, *(checkpoint or [Checkpoint()]))


def test_fit_stops_as_worked_out_by_hand_or_at_max_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    stop, history = fit_with(DATASET, monkeypatch, [1.0, -0.5, *[0.75] * 50], small(max_epochs=50))
    assert (len(history), stop.best_epoch) == (11, 1)
    assert [row["valid"] for row in history] == pytest.approx([1.0, 0.5, *[0.75] * 9], rel=1e-6)
    falling = [1 / (epoch + 1) for epoch in range(50)]
    stop, history = fit_with(DATASET, monkeypatch, falling, small(max_epochs=7))
    assert (len(history), stop.best_epoch) == (7, 6)


@pytest.mark.parametrize("before", [2, 3, 10, 11])  # 11: interrupted when all was done but the saving
def test_fit_resumed_keeps_best_epoch_and_patience(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    losses, checkpoint, hp = [1.0, 0.5, *[0.75] * 9], Checkpoint(tmp_path / "checkpoint.pt"), small(max_epochs=50)
    if before < 11:
        with pytest.raises(StopIteration):
            fit_with(DATASET, monkeypatch, losses[:before], hp, checkpoint)
    else:
        fit_with(DATASET, monkeypatch, losses, hp, checkpoint)
    stop, history = fit_with(DATASET, monkeypatch, losses[before:], hp, checkpoint)
    assert (len(history), stop.best_epoch, stop.best) == (11, 1, pytest.approx(0.5))
    assert [row["epoch"] for row in history] == list(range(11))


def test_save_result_undefined_metric_is_null(tmp_path: Path) -> None:
    result = Result({"MAE": 1.0, "Corr": float("nan")}, {"MAE": 2.0}, 3, [{"epoch": 0, "valid": 0.5}])
    trainer.save_result(tmp_path, result)
    assert json.loads((tmp_path / "result.json").read_text()) == {
        "metrics": {"MAE": 1.0, "Corr": None},
        "valid_metrics": {"MAE": 2.0},
        "best_epoch": 3,
        "history": [{"epoch": 0, "valid": 0.5}],
    }
    assert read_result(tmp_path)["best_epoch"] == 3


def test_objective_is_told_of_epochs_and_steps_in_order(tmp_path: Path) -> None:
    hp, objective = small(max_epochs=2), MagicMock(spec=Objective)
    objective.state.return_value = {}

    def make(train: ClipLoader) -> tuple[nn.Module, Objective]:
        network = build(hp.network, DATASET.dims, train.text_width)
        objective.loss.side_effect = lambda batch, epoch: l1(network(batch), batch.labels)
        return network, objective

    trainer.train_and_test(DATASET, hp, make, 1, tmp_path)
    *calls, last = [made for made in objective.mock_calls if made[0] != "state"]
    told = [(name, given[1]) for name, given, _ in calls]
    steps = ("before_step", "loss", "after_step")
    assert told == [(name, e) for e in (0, 1) for name in ("begin_epoch", *steps, *steps, *steps)]
    assert last == call.finish(tmp_path)
