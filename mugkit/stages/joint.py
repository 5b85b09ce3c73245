"""Stage 3: multi-task training from scratch on y and the unimodal labels (section 3.4, Eqs. 24–27)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Float32
from safetensors.torch import save_model
from torch import Tensor, nn

from mugkit import files
from mugkit.config import Hyperparameters
from mugkit.data.batching import Batch, Clips
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.labels.source import LabelSource
from mugkit.metrics import evaluate
from mugkit.nets.mug import MUGNetwork, build
from mugkit.stages.training import Checkpoint, adamw, choose_device, derive_seed, l1, progress, similar_lengths, step


def joint_loss(network: MUGNetwork, batch: Batch, source: LabelSource | None, beta: float) -> Float[Tensor, ""]:
    """L = L_M + Σ_m β·L_m; without a label source only L_M ('W/O Unimodal Tasks')."""
    reps = network.represent(batch)
    multimodal = l1(network.predict(reps), batch.labels)  # Eq. 26
    if source is None:
        return multimodal
    predicted = network.predict_unimodal(reps.unimodal)  # Eq. 24
    targets = source.targets(batch.index)
    unimodal = [l1(predicted[m], targets[m].to(predicted[m])) for m in MODALITIES]  # Eq. 25
    return multimodal + beta * torch.stack(unimodal).sum()  # Eq. 27


@torch.no_grad()
def predict(network: nn.Module, clips: Clips, batch_size: int = 64) -> Float32[np.ndarray, "clips"]:
    """ŷ of all clips, in their order, from the network in evaluation mode."""
    network.eval()
    return torch.cat([network(batch).cpu() for batch in clips.in_order(batch_size)]).numpy()


@dataclass
class EarlyStop:
    """Keeps the weights of the best validation loss and says when to stop (section 4.4).

    Attributes:
        patience: how many epochs without a better validation loss are allowed.
    """

    patience: int
    best: float = float("inf")
    best_epoch: int = -1
    waited: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)

    def better(self, loss: float, epoch: int, network: nn.Module) -> bool:
        """Notes one epoch's validation loss; True if training should go on."""
        if loss < self.best:
            self.best, self.best_epoch, self.waited = loss, epoch, 0
            self.weights = copy.deepcopy(network.state_dict())
        else:
            self.waited += 1
        return self.waited <= self.patience

    def state(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("best", "best_epoch", "waited", "weights")}

    def restore(self, state: Mapping[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


@dataclass(frozen=True)
class JointResult:
    """What stage 3 leaves behind.

    Attributes:
        metrics: of the test split, from the weights of the best validation loss.
        valid_metrics: the same weights on the validation split.
        best_epoch: the epoch of those weights.
        history: one row an epoch: training loss, validation loss.
    """

    metrics: dict[str, float]
    valid_metrics: dict[str, float]
    best_epoch: int
    history: list[dict[str, Any]]


def train_epoch(
    network: MUGNetwork,
    clips: Clips,
    optimizer: torch.optim.Optimizer,
    source: LabelSource | None,
    hp: Hyperparameters,
    seed: int,
    epoch: int,
) -> float:
    """One pass over the training split; returns the mean loss."""
    torch.manual_seed(derive_seed(seed, "dropout", epoch))
    network.train()
    losses = [
        step(network, optimizer, joint_loss(network, batch, source, hp.joint.beta), hp.optimization.clip_norm)
        for batch in clips.batches(similar_lengths(clips.lengths, hp.optimization.batch_size, seed, epoch))
    ]
    return float(np.mean(losses))


def fit(
    network: MUGNetwork,
    train: Clips,
    valid: Clips,
    source: LabelSource | None,
    hp: Hyperparameters,
    seed: int,
    checkpoint: Checkpoint,
) -> tuple[EarlyStop, list[dict[str, Any]]]:
    """Trains until the validation loss has not improved for `patience` epochs. The test split is not an argument."""
    optimizer, stop = adamw(network, hp.optimization), EarlyStop(hp.joint.patience)
    history: list[dict[str, Any]] = []
    if state := checkpoint.load():
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        stop.restore(state["stop"])
        history = state["history"]
    if stop.waited > stop.patience:
        return stop, history
    for epoch in progress(range(len(history), hp.joint.max_epochs), "stage 3"):
        loss = train_epoch(network, train, optimizer, source, hp, seed, epoch)
        valid_loss = float(np.abs(predict(network, valid) - valid.split.labels).mean())  # L_M on validation
        history.append({"epoch": epoch, "train": loss, "valid": valid_loss})
        going_on = stop.better(valid_loss, epoch, network)
        checkpoint.save(
            {
                "network": network.state_dict(),
                "optimizer": optimizer.state_dict(),
                "stop": stop.state(),
                "history": history,
            }
        )
        if not going_on:
            break
    return stop, history


def train_jointly(
    dataset: Dataset,
    hp: Hyperparameters,
    source: LabelSource | None,
    seed: int,
    folder: Path,
    checkpoint: Checkpoint | None = None,
    device: str = "auto",
) -> JointResult:
    """Runs stage 3 from scratch; leaves weights, predictions and history in `folder`.

    The test split is read once, after the weights have been chosen.
    """
    chosen = choose_device(device)
    train, valid = (Clips(split, hp.network, chosen) for split in (dataset.train, dataset.valid))
    torch.manual_seed(derive_seed(seed, "weights"))
    network = build(hp.network, dataset.dims, train.text_width).to(chosen)
    stop, history = fit(network, train, valid, source, hp, seed, checkpoint or Checkpoint())
    network.load_state_dict(stop.weights)
    predictions = {"valid": predict(network, valid), "test": predict(network, Clips(dataset.test, hp.network, chosen))}
    _save(folder, network, dataset, predictions)
    scores = {
        name: evaluate(values, dataset.splits[name].labels, dataset.family) for name, values in predictions.items()
    }
    return JointResult(scores["test"], scores["valid"], stop.best_epoch, history)


def _save(folder: Path, network: MUGNetwork, dataset: Dataset, predictions: Mapping[str, np.ndarray]) -> None:
    save_model(network, str(folder / "weights.safetensors"))  # knows weights that T5 shares between layers
    tables = [
        pd.DataFrame({"split": name, "id": dataset.splits[name].ids, "prediction": values})
        for name, values in predictions.items()
    ]
    pd.concat(tables).to_parquet(folder / "predictions.parquet", index=False)


def save_result(folder: Path, result: JointResult) -> None:
    """`result.json`; an undefined metric (NaN) becomes null."""
    clean = {
        name: {k: None if np.isnan(v) else v for k, v in values.items()}
        for name, values in (("metrics", result.metrics), ("valid_metrics", result.valid_metrics))
    }
    files.write_json(folder / "result.json", {**clean, "best_epoch": result.best_epoch, "history": result.history})
