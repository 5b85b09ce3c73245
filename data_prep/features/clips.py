"""Reads a clip's frames from its files, and scales columns of any unit for an LSTM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from features.acoustic import sims_frames
from features.media import read_audio
from features.openface import read_openface
from mugkit.data.schema import FRAME_MODALITIES, Dataset

Frames = Mapping[str, Float32[np.ndarray, "frames dim"]]  # by modality: "a", "v"


def clip_frames(audio: Path, openface: Path) -> dict[str, Float32[np.ndarray, "frames dim"]]:
    """CH-SIMS's 33 acoustic and 709 visual columns of one clip, each at its own frame rate.

    Args:
        audio: a sound or video file.
        openface: the CSV file that OpenFace 2 made of the video.

    Raises:
        UserError: see `read_audio` and `read_openface`.
    """
    return {"a": sims_frames(read_audio(audio)), "v": read_openface(openface).frames}


@dataclass(frozen=True)
class Scaling:
    """Mean and standard deviation of every column over the training split, by modality.

    Hertz, decibels, pixels and millimetres differ by orders of magnitude, and an input of 10 saturates a gate of an
    LSTM. A new clip needs the training split's scaling, so the scaling is stored with the data set.
    """

    mean: Frames
    std: Frames

    @classmethod
    def of(cls, train: Frames) -> Scaling:
        """Computes the scaling from all frames of the training split; a constant column gets standard deviation 1."""
        std = {m: frames.std(axis=0, dtype=np.float64) for m, frames in train.items()}
        mean = {m: frames.mean(axis=0, dtype=np.float64).astype(np.float32) for m, frames in train.items()}
        # Rounding gives a constant column of large numbers a tiny deviation.
        constant = {m: np.maximum(std[m], 1e-5 * np.abs(mean[m])) == 1e-5 * np.abs(mean[m]) for m in train}
        return cls(mean, {m: np.where(constant[m], 1.0, std[m]).astype(np.float32) for m in train})

    def __call__(self, frames: Frames) -> dict[str, Float32[np.ndarray, "frames dim"]]:
        """(frame − mean) / standard deviation, column by column."""
        return {m: (values - self.mean[m]) / self.std[m] for m, values in frames.items()}

    def plain(self) -> dict[str, Any]:
        """As JSON-serializable lists, for a data set's `about`; single precision survives the round trip."""
        return {m: {"mean": self.mean[m].tolist(), "std": self.std[m].tolist()} for m in self.mean}

    @classmethod
    def of_dataset(cls, dataset: Dataset) -> Scaling | None:
        """The scaling that a data set was stored with; None if its frames were not scaled."""
        stored = dataset.about.get("scaling")
        if stored is None:
            return None
        arrays = {k: {m: np.array(stored[m][k], dtype=np.float32) for m in FRAME_MODALITIES} for k in ("mean", "std")}
        return cls(arrays["mean"], arrays["std"])
