"""Training with early stopping, the same for every system of every table (section 4.4).

Systems differ in their `Objective`: the loss on a batch, and what happens before and after a step. They share this
module: the optimizer, the order of clips and the choice of weights on the validation split. The test split is read
once, after that choice.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from mugkit import files
from mugkit.config import Hyperparameters
from mugkit.data.batch import Batch
from mugkit.data.loader import ClipLoader, TextLevel
from mugkit.data.schema import Dataset
from mugkit.device import choose_device
from mugkit.errors import UserError
from mugkit.metrics import evaluate
from mugkit.progress import progress
from mugkit.training.checkpoint import Checkpoint, save_weights
from mugkit.training.optim import StepLosses, adamw, listed, step
from mugkit.training.seeding import derive_seed, similar_lengths


class Objective:
    """What a system minimises. Subclasses have to implement only `loss`."""

    def loss(self, batch: Batch, epoch: int) -> Float[Tensor, ""]:
        """The training loss on one batch of the training split."""
        raise NotImplementedError

    def begin_epoch(self, train: ClipLoader, epoch: int, seed: int) -> None:
        """Called before every epoch, with the training split."""

    def before_step(self, batch: Batch, epoch: int) -> None:
        """Called before every step, e.g. for a meta step or an inner player of a minimax game."""

    def after_step(self, batch: Batch, epoch: int) -> None:
        """Called after every step, e.g. to update labels."""

    def finish(self, folder: Path) -> None:
        """Called after training, to write further results to the run's folder."""

    def state(self) -> dict[str, Any]:
        """What a resumed run needs besides the network's weights: tensors and plain values."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restores what `state` returned."""


@dataclass
class EarlyStop:
    """Keeps the weights with the best validation loss and decides when to stop (section 4.4)."""

    patience: int  # how many epochs without a better validation loss are allowed
    best: float = float("inf")
    best_epoch: int = -1
    waited: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)

    def better(self, loss: float, epoch: int, network: nn.Module) -> bool:
        """Records the validation loss of one epoch; True if training should go on."""
        if loss < self.best:
            self.best, self.best_epoch, self.waited = loss, epoch, 0
            self.weights = copy.deepcopy(network.state_dict())
        else:
            self.waited += 1
        return self.waited <= self.patience


@dataclass(frozen=True)
class Result:
    """The result of one training."""

    metrics: dict[str, float]  # on the test split, with the weights of the best validation loss
    valid_metrics: dict[str, float]  # of the same weights on the validation split
    best_epoch: int  # of those weights
    history: list[dict[str, Any]]  # one row per epoch: training loss, validation loss


@torch.no_grad()
def predict(network: nn.Module, clips: ClipLoader, batch_size: int = 128) -> Float32[np.ndarray, "clips"]:
    """ŷ of all clips, in the order of the split, with the network in evaluation mode."""
    network.eval()
    found = np.empty(len(clips), dtype=np.float32)
    for batch in clips.by_length(batch_size):
        found[batch.index] = network(batch).cpu()
    return found


def train_epoch(
    network: nn.Module,
    objective: Objective,
    train: ClipLoader,
    optimizer: torch.optim.Optimizer,
    hp: Hyperparameters,
    seed: int,
    epoch: int,
) -> float:
    """One pass over the training split; returns the mean loss."""
    objective.begin_epoch(train, epoch, seed)
    torch.manual_seed(derive_seed(seed, "dropout", epoch))
    network.train()
    losses = StepLosses(train, epoch)
    for batch in train.batches(similar_lengths(train.lengths, hp.optimization.batch_size, seed, epoch)):
        objective.before_step(batch, epoch)
        with losses.of(batch):
            losses.note(step(network, optimizer, objective.loss(batch, epoch), hp.optimization.clip_norm))
        objective.after_step(batch, epoch)
    return float(losses.fetch()[:, 0].mean())


def _diverged(predicted: Float32[np.ndarray, "clips"], valid: ClipLoader, loss: float, epoch: int) -> UserError:
    """The error that names the clips of the validation split whose predictions are not finite."""
    wrong = [valid.split.ids[clip] for clip in np.flatnonzero(~np.isfinite(predicted))]
    which = "all clips" if len(wrong) == len(valid) else listed(wrong)
    problem = f"predictions of the validation split became {loss} in epoch {epoch} (not finite: {which})"
    return UserError(problem, field="learning_rate", fix="lower it, or check the data")


def fit(
    network: nn.Module,
    objective: Objective,
    train: ClipLoader,
    valid: ClipLoader,
    hp: Hyperparameters,
    seed: int,
    checkpoint: Checkpoint,
) -> tuple[EarlyStop, list[dict[str, Any]]]:
    """Trains until the validation loss has not improved for more than `patience` epochs ("over eight", section 4.4).

    The test split is not an argument.
    """
    optimizer, stop = adamw(network, hp.optimization), EarlyStop(hp.joint.patience)
    history: list[dict[str, Any]] = []
    if state := checkpoint.load():
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        stop = EarlyStop(**state["stop"])
        objective.restore(state["objective"])
        history = state["history"]
    if stop.waited > stop.patience:
        return stop, history
    for epoch in progress(range(len(history), hp.joint.max_epochs), "training"):
        loss = train_epoch(network, objective, train, optimizer, hp, seed, epoch)
        predicted = predict(network, valid)
        valid_loss = float(np.abs(predicted - valid.split.labels).mean())  # L_M on validation
        if not np.isfinite(valid_loss):
            raise _diverged(predicted, valid, valid_loss, epoch)
        history.append({"epoch": epoch, "train": loss, "valid": valid_loss})
        going_on = stop.better(valid_loss, epoch, network)
        checkpoint.save(
            {
                "network": network.state_dict(),
                "optimizer": optimizer.state_dict(),
                "stop": vars(stop),
                "objective": objective.state(),
                "history": history,
            }
        )
        if not going_on:
            break
    return stop, history


# Training split → a network on the device, and its objective.
Build = Callable[[ClipLoader], tuple[nn.Module, Objective]]


def train_and_test(
    dataset: Dataset,
    hp: Hyperparameters,
    build: Build,
    seed: int,
    folder: Path,
    checkpoint: Checkpoint | None = None,
    device: str = "auto",
    level: TextLevel = "pooled",
) -> Result:
    """Trains from scratch, then tests; writes weights and predictions to `folder`.

    The test split is read once, after the weights have been chosen. `build` is called after the seed is set.
    """
    chosen = choose_device(device)
    train, valid = (ClipLoader(split, hp.network, chosen, level) for split in (dataset.train, dataset.valid))
    torch.manual_seed(derive_seed(seed, "weights"))
    network, objective = build(train)
    stop, history = fit(network, objective, train, valid, hp, seed, checkpoint or Checkpoint())
    objective.finish(folder)
    network.load_state_dict(stop.weights)
    test = ClipLoader(dataset.test, hp.network, chosen, level)
    predictions = {"valid": predict(network, valid), "test": predict(network, test)}
    save_weights(network, folder / "weights.safetensors")
    tables, scores = [], {}
    for name, values in predictions.items():
        split = dataset.splits[name]
        tables.append(pd.DataFrame({"split": name, "id": split.ids, "prediction": values}))
        scores[name] = evaluate(values, split.labels, dataset.family)
    pd.concat(tables).to_parquet(folder / "predictions.parquet", index=False)
    return Result(scores["test"], scores["valid"], stop.best_epoch, history)


def save_result(folder: Path, result: Result) -> None:
    """Writes `result.json`; an undefined metric (NaN) becomes null."""
    clean = {
        name: {k: None if np.isnan(v) else v for k, v in values.items()}
        for name, values in (("metrics", result.metrics), ("valid_metrics", result.valid_metrics))
    }
    files.write_json(folder / "result.json", {**clean, "best_epoch": result.best_epoch, "history": result.history})
