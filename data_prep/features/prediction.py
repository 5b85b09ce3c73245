"""Predicts the scores of a clip: the multimodal score, and the output of stage 3's P^m for each modality (Eq. 24)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from safetensors import SafetensorError
from safetensors.torch import load_file, load_model
from torch import Tensor

from features.clips import Frames, Scaling
from mugkit import files
from mugkit.config import Network
from mugkit.data import store
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import FRAME_MODALITIES, MODALITIES, MODALITY_NAMES, Dataset, RaggedFrames, Split
from mugkit.errors import UserError
from mugkit.models.mug import MUGNetwork, build

Scores = Mapping[str, Float32[np.ndarray, " clips"]]  # "M", "l", "a", "v"; in units of the labels


@dataclass(frozen=True)
class TrainedRun:
    """A trained network and the description of its input.

    Attributes:
        network: the network, in evaluation mode.
        config: its shapes and text encoder.
        dataset: the data set that it was trained on.
        scaling: the scaling of that data set's frames; None if they were used as extracted.
    """

    network: MUGNetwork
    config: Network
    dataset: Dataset
    scaling: Scaling | None

    @classmethod
    def open(cls, folder: Path) -> TrainedRun:
        """Loads a finished run of stage 3 from its folder, and the data set with the fingerprint that it names.

        Raises:
            UserError: if there is no finished run, its network is not MUG's, or its data set is not prepared here.
        """
        identity = _identity(folder)
        prepared = (store.load(name) for name in store.available())
        dataset = next((one for one in prepared if one.fingerprint == identity["data"]), None)
        if dataset is None:
            problem = "the data set it was trained on is not prepared here, and a clip needs that data set's scaling"
            raise UserError(problem, file=folder, field="data", fix="prepare it, or run the training again")
        weights = _weights(folder / "weights.safetensors")
        config = Network(**identity["network"])
        width = weights["language.down.weight"].shape[1]
        dims = {m: weights[f"sequences.{m}.lstm.weight_ih_l0"].shape[1] for m in FRAME_MODALITIES}
        network = build(config, dims, width)
        load_model(network, folder / "weights.safetensors")
        return cls(network.eval(), config, dataset, Scaling.of_dataset(dataset))

    @property
    def dims(self) -> dict[str, int]:
        """d′_a and d′_v, the numbers of columns that the network reads."""
        return {m: int(network.lstm.input_size) for m, network in self.network.sequences.items()}  # type: ignore[union-attr,arg-type]

    def predict(self, text: str, frames: Frames) -> dict[str, float]:
        """The scores of one clip: "M" multimodal, "l", "a", "v" unimodal, in units of the labels.

        Args:
            frames: frames as extracted; this method scales them as the training split was scaled.

        Raises:
            UserError: if there is no text, or frames have another number of columns than the network reads.
        """
        if not text.strip():
            raise UserError("the transcript is empty", field="text", fix="give what is said in the clip")
        for m, read in self.dims.items():
            if frames[m].shape[1] != read:
                problem = f"the clip has {frames[m].shape[1]} {MODALITY_NAMES[m]} columns, the run reads {read}"
                fix = f"choose a run trained on features of the clip's kind, not on '{self.dataset.name}'"
                raise UserError(problem, field=m, fix=fix)
        scaled = self.scaling(frames) if self.scaling else frames
        sequences = {m: RaggedFrames(scaled[m], np.array([0, len(scaled[m])])) for m in FRAME_MODALITIES}
        clip = Split("test", ["clip"], [text], np.zeros(1, dtype=np.float32), sequences)
        return {name: float(values[0]) for name, values in self.scores(clip).items()}

    @torch.no_grad()
    def scores(self, split: Split) -> Scores:
        """The scores of all clips of a split of its data set, whose frames are scaled already."""
        parts: list[dict[str, Tensor]] = []
        for batch in ClipLoader(split, self.config).in_order(64):
            reps = self.network.represent(batch)
            unimodal = self.network.predict_unimodal(reps.unimodal)  # Eq. 24
            parts.append({"M": self.network.predict(reps), **unimodal})  # Eq. 5
        return {name: torch.cat([part[name] for part in parts]).numpy() for name in ("M", *MODALITIES)}


def _identity(folder: Path) -> dict[str, Any]:
    """The identity of a run of stage 3, as the run store wrote it."""
    path, fix = folder / "done.json", "give the folder that `mugkit run --system mug …` printed"
    if not path.is_file():
        raise UserError("no finished run here", file=folder, field="run", fix=fix)
    identity = files.read_json(path).get("identity", {})
    if identity.get("stage") != 3 or "network" not in identity:
        raise UserError("not a run of stage 3", file=path, field="identity", fix=fix)
    return dict(identity)


def _weights(path: Path) -> dict[str, Tensor]:
    fix = "give a run of the system mug, or run it again"
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"the weights cannot be read: {error}", file=path, fix=fix) from error
    if not weights.keys() >= _NEEDED:
        raise UserError("not the weights of MUG's network with its three unimodal predictors", file=path, fix=fix)
    return weights


# These weights identify the network of MUG: language, two sequences, P^l.
_NEEDED = {
    "language.down.weight",
    "sequences.a.lstm.weight_ih_l0",
    "sequences.v.lstm.weight_ih_l0",
    "unimodal_predictors.l.layers.1.weight",
}
