"""Stage 1: pre-training of the multimodal framework (section 3.2, Eqs. 6–12).

The clip's label trains the whole network. In addition, each CPM learns to project x into its modality's space: the
unimodal predictor must predict the label from the projection (Eq. 9), and the projection must pick its own clip's
unimodal representation out of the batch (Eq. 11). What stage 2 needs is saved once, as `SavedRepresentations`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor

from mugkit import files
from mugkit.config import Hyperparameters, Pretraining
from mugkit.data.batch import Batch
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.device import choose_device
from mugkit.models.losses import contrastive_loss, l1
from mugkit.models.mug import MUGNetwork, build
from mugkit.progress import progress
from mugkit.training.checkpoint import Checkpoint, save_weights
from mugkit.training.optim import StepLosses, adamw, step
from mugkit.training.seeding import derive_seed, similar_lengths


@dataclass(frozen=True, repr=False)
class SavedRepresentations:
    """What stage 1 computes for the training split; stage 2 reads nothing else (section 3.3.4)."""

    unimodal: Mapping[str, Float[Tensor, "clips d_m"]]  # x_m by modality
    projected: Mapping[str, Float[Tensor, "clips d_m"]]  # x_m′
    projected_prediction: Mapping[str, Float[Tensor, "clips"]]  # ŷ_m′
    labels: Float[Tensor, "clips"]  # y

    def __repr__(self) -> str:
        return f"SavedRepresentations({len(self.labels):,} clips); .unimodal, .projected, .projected_prediction"

    def save(self, path: Path) -> None:
        parts = {"x": self.unimodal, "projected": self.projected, "prediction": self.projected_prediction}
        tensors = {f"{part}.{m}": values[m].contiguous() for part, values in parts.items() for m in MODALITIES}
        save_file(tensors | {"labels": self.labels}, path)

    @classmethod
    def load(cls, path: Path) -> "SavedRepresentations":
        return cls.of(load_file(path))

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> "SavedRepresentations":
        """Builds the representations from tensors named by part and modality, and the labels."""
        x, projected, prediction = (
            {m: tensors[f"{part}.{m}"] for m in MODALITIES} for part in ("x", "projected", "prediction")
        )
        return cls(x, projected, prediction, tensors["labels"])


@dataclass(frozen=True)
class Losses:
    """The terms of Eq. 12 on one batch."""

    multimodal: Float[Tensor, ""]
    projected: Mapping[str, Float[Tensor, ""]]
    contrastive: Mapping[str, Float[Tensor, ""]]

    def total(self, config: Pretraining) -> Float[Tensor, ""]:
        """L = L_M + Σ_m (η·L_m′ + γ·L^c_m)."""
        terms = [config.eta * self.projected[m] + config.gamma * self.contrastive[m] for m in MODALITIES]
        return self.multimodal + torch.stack(terms).sum()  # Eq. 12

    def values(self) -> dict[str, Float[Tensor, ""]]:
        """The terms by name."""
        named = {f"projected_{m}": loss for m, loss in self.projected.items()}
        named |= {f"contrastive_{m}": loss for m, loss in self.contrastive.items()}
        return {"multimodal": self.multimodal, **named}


def losses(network: MUGNetwork, batch: Batch, config: Pretraining) -> Losses:
    """All terms of stage 1 on one batch."""
    reps = network.represent(batch)
    projected = network.project(reps)  # Eq. 7
    predicted = network.predict_unimodal(projected)  # Eq. 8
    anchors = projected if config.contrastive_gradient_scope == "network" else network.project(reps.detach())
    return Losses(
        multimodal=l1(network.predict(reps), batch.labels),  # Eq. 6
        projected={m: l1(predicted[m], batch.labels) for m in MODALITIES},  # Eq. 9
        contrastive={
            m: contrastive_loss(anchors[m], reps.unimodal[m], config.temperature) for m in MODALITIES
        },  # Eqs. 10, 11
    )


@torch.no_grad()
def save_representations(network: MUGNetwork, clips: ClipLoader, batch_size: int = 64) -> SavedRepresentations:
    """x_m, x_m′, ŷ_m′ and y of all clips, in the order of the split, with the network in evaluation mode."""
    network.eval()
    rows: list[dict[str, Tensor]] = []
    places: list[Tensor] = []
    for batch in clips.by_length(batch_size):
        reps = network.represent(batch)
        projected = network.project(reps)
        parts = {"x": reps.unimodal, "projected": projected, "prediction": network.predict_unimodal(projected)}
        rows.append({f"{part}.{m}": values[m].cpu() for part, values in parts.items() for m in MODALITIES})
        places.append(batch.index)
    back = torch.cat(places).argsort()  # from the order of lengths to the order of the split
    joined = {name: torch.cat([row[name] for row in rows])[back] for name in rows[0]}
    return SavedRepresentations.of({**joined, "labels": torch.from_numpy(clips.split.labels.copy())})


def train_epoch(
    network: MUGNetwork, clips: ClipLoader, optimizer: torch.optim.Optimizer, hp: Hyperparameters, seed: int, epoch: int
) -> dict[str, float]:
    """One pass over the training split; returns the mean of every term of Eq. 12."""
    torch.manual_seed(derive_seed(seed, "dropout", epoch))
    network.train()
    taken, terms = StepLosses(clips, epoch), dict[str, Tensor]()
    for batch in clips.batches(similar_lengths(clips.lengths, hp.optimization.batch_size, seed, epoch)):
        parts = losses(network, batch, hp.pretraining)
        with taken.of(batch):
            total = step(network, optimizer, parts.total(hp.pretraining), hp.optimization.clip_norm)
        terms = parts.values()
        taken.note(total, *terms.values())
    means = pd.DataFrame(taken.fetch()[:, 1:].tolist(), columns=list(terms)).mean()
    return {str(name): float(value) for name, value in means.items()}


def own_seed(seed: int) -> int:
    """The seed of stage 1: stage 3 with the same seed has other initial weights and another order of clips."""
    return derive_seed(seed, "pretraining")


def pretrain(
    dataset: Dataset,
    hp: Hyperparameters,
    seed: int,
    folder: Path,
    checkpoint: Checkpoint | None = None,
    device: str = "auto",
) -> SavedRepresentations:
    """Runs stage 1 and writes `representations.safetensors`, `history.json` and `weights.safetensors` to `folder`."""
    checkpoint = checkpoint or Checkpoint()
    chosen, seed = choose_device(device), own_seed(seed)
    clips = ClipLoader(dataset.train, hp.network, chosen)
    torch.manual_seed(derive_seed(seed, "weights"))
    network = build(hp.network, dataset.dims, clips.text_width).to(chosen)
    optimizer = adamw(network, hp.optimization)
    state = checkpoint.load() or {"history": []}
    if "network" in state:
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
    history: list[dict[str, Any]] = state["history"]
    for epoch in progress(range(len(history), hp.pretraining.pretrain_epochs), "stage 1"):  # Table 2: no early stopping
        history.append({"epoch": epoch, **train_epoch(network, clips, optimizer, hp, seed, epoch)})
        checkpoint.save({"network": network.state_dict(), "optimizer": optimizer.state_dict(), "history": history})
    saved = save_representations(network, clips)
    saved.save(folder / "representations.safetensors")
    save_weights(network, folder / "weights.safetensors")
    files.write_json(folder / "history.json", history)
    return saved
