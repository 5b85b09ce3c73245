"""Label sources: they provide the unimodal labels of stage 3.

Stage 3 asks a source once per batch for the targets of L_m (Eq. 25). An offline source knows its labels beforehand:
copies of the clip's label (y_mc ← y), human unimodal labels, or the labels that MUCN learned in stage 2. An online
source (`ulgm`, `sugrm`, `mlc`) makes labels while the network is trained, from the network's own features.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float, Int64
from safetensors.torch import load_file, save_file
from torch import Tensor

from mugkit import files
from mugkit.config import Hyperparameters
from mugkit.data.batch import Batch
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import MODALITIES, Dataset
from mugkit.errors import UserError
from mugkit.models.mug import MultiTaskNetwork, Representations


class LabelSource:
    """A source of unimodal labels. Subclasses have to implement only `targets`; they see only the training split."""

    def targets(self, index: Int64[Tensor, "batch"]) -> Mapping[str, Float[Tensor, "batch"]]:
        """Labels by modality for these clips of the training split; empty if there are no unimodal tasks."""
        raise NotImplementedError

    def weights(self, index: Int64[Tensor, "batch"]) -> Mapping[str, Float[Tensor, "batch"]] | None:
        """Weights of each clip's unimodal losses; None: all clips count the same."""
        return None

    def begin_epoch(self, train: ClipLoader, epoch: int, seed: int) -> None:
        """Called before every epoch; a source moves its tensors to the device of `train`."""

    def before_step(self, network: MultiTaskNetwork, batch: Batch, epoch: int) -> None:
        """Called before every step of the network."""

    def after_step(self, network: MultiTaskNetwork, reps: Representations, batch: Batch, epoch: int) -> None:
        """Called after every step of the network; `reps` are the representations that the step used, detached."""

    def finish(self, folder: Path) -> None:
        """Called after training, to write labels that were made during training to the run's folder."""

    def state(self) -> dict[str, Any]:
        """What a resumed run needs: tensors and plain values."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restores what `state` returned."""


@dataclass
class FixedLabels(LabelSource):
    """A source whose labels are known before stage 3 begins; without any, there are no unimodal tasks (Table 5)."""

    values: Mapping[str, Float[Tensor, "clips"]] = field(default_factory=dict)  # of the training split by modality

    def begin_epoch(self, train: ClipLoader, epoch: int, seed: int) -> None:
        self.values = {m: labels.to(train.device) for m, labels in self.values.items()}

    def targets(self, index: Int64[Tensor, "batch"]) -> dict[str, Float[Tensor, "batch"]]:
        return {m: labels[index] for m, labels in self.values.items()}


def copied(dataset: Dataset) -> FixedLabels:
    """y_mc ← y: the clip's label for every modality (Table 5)."""
    labels = torch.from_numpy(dataset.train.labels.copy())
    return FixedLabels(dict.fromkeys(MODALITIES, labels))


def true(dataset: Dataset) -> FixedLabels:
    """Human unimodal labels ('MUG (With True Label)', Table 4).

    Raises:
        UserError: if the data set has no such labels.
    """
    if not dataset.has_true_labels:
        raise UserError(
            f"data set '{dataset.name}' has no true unimodal labels",
            field="system",
            fix="use a data set that has them (reviews, sims) or another system",
        )
    return FixedLabels({m: torch.from_numpy(dataset.train.true_labels[m].copy()) for m in MODALITIES})


@dataclass(frozen=True, repr=False)
class LearnedLabels:
    """y_mc of the training split, and how stage 2 arrived at them."""

    labels: Mapping[str, Float[Tensor, "clips"]]  # y_mc by modality, after the last epoch
    trajectory: Mapping[str, Float[Tensor, "epochs clips"]]  # after every epoch, for figures and the label explorer
    history: pd.DataFrame  # one row per epoch and modality: losses, share of open gates, λ

    def __repr__(self) -> str:
        return f"LearnedLabels({len(self.labels['l']):,} clips); .labels, .trajectory, .history"

    def save(self, folder: Path) -> None:
        tensors = {f"trajectory.{m}": values.contiguous() for m, values in self.trajectory.items()}
        save_file(tensors | {f"labels.{m}": values for m, values in self.labels.items()}, folder / "labels.safetensors")
        rows = self.history.astype(object).where(self.history.notna(), None).to_dict("records")
        files.write_json(folder / "history.json", rows)

    @classmethod
    def load(cls, folder: Path) -> "LearnedLabels":
        tensors = load_file(folder / "labels.safetensors")
        labels, trajectory = ({m: tensors[f"{part}.{m}"] for m in MODALITIES} for part in ("labels", "trajectory"))
        return cls(labels, trajectory, pd.DataFrame(files.read_json(folder / "history.json")))


# Online sources by name.
ONLINE: Mapping[str, str] = {
    "ulgm": "mugkit.training.label_sources.ulgm:ULGM",
    "sugrm": "mugkit.training.label_sources.sugrm:SUGRM",
    "mlc": "mugkit.training.label_sources.mlc:MLC",
}


def online(name: str, dataset: Dataset, hp: Hyperparameters) -> LabelSource:
    """The online source of this name, which makes its labels while the network is trained."""
    source: LabelSource = resolve_name(ONLINE[name])(dataset, hp)
    return source


def save_labels(labels: Mapping[str, Float[Tensor, "clips"]], folder: Path) -> None:
    """Writes an online source's labels at the end of training to the run's folder."""
    save_file({f"labels.{m}": values.cpu().contiguous() for m, values in labels.items()}, folder / "labels.safetensors")


def saved_labels(folder: Path) -> dict[str, Float[Tensor, "clips"]]:
    """The labels that `save_labels` wrote."""
    tensors = load_file(folder / "labels.safetensors")
    return {m: tensors[f"labels.{m}"] for m in MODALITIES}
