"""Training clips with all of their labels: the clip's label, the true unimodal labels, the learned ones over seeds.

The case study (Fig. 6) and the label explorer use the same table and the same entry for a clip.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from mugkit.data.schema import FRAME_MODALITIES, MODALITIES, Dataset, RaggedFrames
from mugkit.errors import UserError
from mugkit.evaluation.comparison import label_rows
from mugkit.evaluation.probes import frame_means
from mugkit.training.label_sources.source import LearnedLabels

MOMENT_FRAMES = 100_000  # at most; enough for a mean and a standard deviation


@dataclass(frozen=True, repr=False)
class Utterances:
    """The training split of a data set and its labels from stage 2, one `LearnedLabels` per seed."""

    dataset: Dataset
    learned: Sequence[LearnedLabels]

    def __repr__(self) -> str:
        clips, seeds = len(self.dataset.train), len(self.learned)
        return f"Utterances({clips:,} clips of {self.dataset.name}, {seeds} seeds); .table, .entry(position)"

    @cached_property
    def _labels(self) -> dict[str, Float[np.ndarray, "seeds clips"]]:
        return {m: rows.astype(float) for m, rows in label_rows([seed.labels for seed in self.learned]).items()}

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per clip.

        Columns: id, text, y; for each modality true_m (only if known), learned_m (mean over seeds), low_m and
        high_m (range over seeds); disagreement, the range of the three true labels, or of the learned ones if the
        truth is unknown; moved, the mean |y_mc − y| over modalities.
        """
        split = self.dataset.train
        columns: dict[str, Any] = {"id": split.ids, "text": split.text, "y": split.labels.astype(float)}
        if self.dataset.has_true_labels:
            columns |= {f"true_{m}": split.true_labels[m].astype(float) for m in MODALITIES}
        for m, rows in self._labels.items():
            columns |= {f"learned_{m}": rows.mean(0), f"low_{m}": rows.min(0), f"high_{m}": rows.max(0)}
        table = pd.DataFrame(columns)
        judged = table[[f"{'true' if self.dataset.has_true_labels else 'learned'}_{m}" for m in MODALITIES]]
        changes = [np.abs(table[f"learned_{m}"] - table["y"]) for m in MODALITIES]
        spread = np.ptp(judged.to_numpy(), axis=1).round(4)  # so that rounding errors do not break ties
        return table.assign(disagreement=spread, moved=np.mean(changes, axis=0))

    def entry(self, clip: int) -> dict[str, Any]:
        """One clip as plain numbers; `clip` is its position in `table`.

        Returns:
            id, text, y; `true` and `learned` by modality (`learned` as mean, low and high over seeds); `trajectory`,
            like `learned`, after every meta-epoch; `frames`, the `readings` of every frame of sound and vision.

        Raises:
            UserError: if there is no clip at that position.
        """
        if clip not in range(len(self.table)):
            raise UserError(f"no clip {clip}", field="clip", fix=f"positions are 0 to {len(self.table) - 1}")
        row = self.table.iloc[clip]
        true = {m: round(float(row[f"true_{m}"]), 4) for m in MODALITIES if f"true_{m}" in row}
        paths = {m: np.stack([learned.trajectory[m][:, clip].numpy() for learned in self.learned]) for m in MODALITIES}
        return {
            "id": row["id"], "text": row["text"], "y": round(float(row["y"]), 4), "true": true,
            "learned": {m: _summary(rows[:, clip]) for m, rows in self._labels.items()},
            "trajectory": {m: _summary(path) for m, path in paths.items()},
            "frames": {m: self.readings(m, clip).round(3).tolist() for m in self.dataset.train.sequences},
        }  # fmt: skip

    def readings(self, modality: str, clip: int) -> Float[np.ndarray, "length"]:
        """Each frame's coordinate along `direction`, in standard deviations over the training frames."""
        mean, weights = self._directions[modality]
        return (self.dataset.train.sequences[modality][clip].astype(np.float64) - mean) @ weights

    @cached_property
    def _directions(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        train = self.dataset.train
        return {m: direction(train.sequences[m], train.labels) for m in FRAME_MODALITIES if m in train.sequences}


def _summary(over_seeds: Float[np.ndarray, "seeds *epochs"]) -> dict[str, Any]:
    parts = {"mean": over_seeds.mean(0), "low": over_seeds.min(0), "high": over_seeds.max(0)}
    return {name: np.round(values.astype(float), 4).tolist() for name, values in parts.items()}


def direction(
    sequences: RaggedFrames, labels: Float[np.ndarray, "clips"]
) -> tuple[Float[np.ndarray, "dim"], Float[np.ndarray, "dim"]]:
    """The mean frame, and weights that map a frame to one number that rises with the clip's label.

    Each dim is standardised and weighted by the correlation of its clip mean with y. The result is scaled to a standard
    deviation of 1 over frames. It needs no unimodal label, and shows *when* a stream is expressive, not how well.
    """
    frames = sequences.frames[:: -(-len(sequences.frames) // MOMENT_FRAMES)].astype(np.float64)
    mean, std = frames.mean(0), frames.std(0)
    scale = np.where(std > 0, std, 1.0)
    clips = (frame_means(sequences) - mean) / scale
    spread = clips.std(0) * labels.std()
    covariance = (clips - clips.mean(0)).T @ (labels - labels.mean()) / len(labels)
    weights = np.divide(covariance, spread, out=np.zeros_like(covariance), where=spread > 0) / scale
    deviation = float(((frames - mean) @ weights).std())
    return mean, weights / (deviation or 1.0)
