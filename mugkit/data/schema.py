"""The schema of a data set, whatever its source: text, unaligned frame sequences, labels.

Frames are stored flat: clip i owns rows `offsets[i]:offsets[i + 1]`, so nothing is padded on disk or in memory.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float32, Int64

from mugkit.errors import UserError

# Keys of all mappings by modality (MODALITIES) and by split (SPLITS).
MODALITIES: tuple[str, ...] = ("l", "a", "v")
MODALITY_NAMES: Mapping[str, str] = {"l": "language", "a": "acoustic", "v": "visual"}
INPUTS: Mapping[str, str] = {"l": "transcripts", "a": "acoustic frames", "v": "visual frames"}
FRAME_MODALITIES: tuple[str, ...] = ("a", "v")
SplitName = str
SPLITS: tuple[SplitName, ...] = ("train", "valid", "test")
# Names of the splits in files, columns and file names.
SPLIT_NAMES: Mapping[str, SplitName] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("dev", "development", "valid", "validation", "val"), "valid"),
    **dict.fromkeys(("test", "testing"), "test"),
}

# Half-width ρ of the label scale (Eq. 28), and sizes of the splits: the paper's (section 4.1), and ours for `reviews`.
LABEL_SCALE: Mapping[str, float] = {"reviews": 3.0, "mosi": 3.0, "mosei": 3.0, "sims": 1.0}
PAPER_SPLITS: Mapping[str, tuple[int, int, int]] = {
    "reviews": (1284, 500, 3000),  # sizes that a decision needs: `data_prep/validation_size.py`
    "mosi": (1284, 229, 686),
    "mosei": (16326, 1871, 4659),
    "sims": (1368, 456, 457),
}


def as_text(value: object) -> str:
    """A value as text: bytes are decoded as UTF-8 (invalid bytes become lone surrogates), the rest goes to `str`."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def split_name(key: object) -> SplitName | None:
    """The split that a key, a cell or a word of a file name stands for; None if it stands for none."""
    return SPLIT_NAMES.get(as_text(key).strip().lower()) if isinstance(key, str | bytes) else None


@dataclass(frozen=True)
class RaggedFrames:
    """Frame sequences of one modality for all clips of a split."""

    frames: Float32[np.ndarray, "frames dim"]  # of all clips, concatenated (possibly memory-mapped)
    offsets: Int64[np.ndarray, "clips+1"]  # the start of each clip, followed by the end of the last clip

    @classmethod
    def of(cls, clips: Sequence[Float32[np.ndarray, "_ dim"]]) -> "RaggedFrames":
        """Concatenates the frames of clips."""
        return cls(np.concatenate(clips), np.cumsum([0, *map(len, clips)], dtype=np.int64))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, clip: int) -> Float32[np.ndarray, "length dim"]:
        return self.frames[self.offsets[clip] : self.offsets[clip + 1]]

    @property
    def dim(self) -> int:
        return int(self.frames.shape[1])

    @property
    def lengths(self) -> Int64[np.ndarray, "clips"]:
        return np.diff(self.offsets)


@dataclass(frozen=True, repr=False)
class Split:
    """The clips of one split: their ids, texts, labels, frames, and true unimodal labels where the data has them."""

    name: SplitName
    ids: list[str]  # unique
    text: list[str]  # transcripts; all are empty if the data set has no language
    labels: Float32[np.ndarray, "clips"]  # y, the multimodal label of each clip, in [−ρ, ρ]
    sequences: Mapping[str, RaggedFrames]  # by modality, "a" and "v", if the data set has them
    true_labels: Mapping[str, Float32[np.ndarray, "clips"]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"Split({self.name}: {len(self):,} clips); .text, .labels, .sequences, .true_labels, .frame()"

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that this split has, in the order of MODALITIES."""
        language = {"l"} if any(text.strip() for text in self.text) else set()
        return tuple(m for m in MODALITIES if m in language | self.sequences.keys())

    def frame(self) -> pd.DataFrame:
        """Ids, text and labels as a table (columns id, text, y, and y_l, y_a, y_v if known)."""
        columns: dict[str, Any] = {"id": self.ids, "text": self.text, "y": self.labels}
        return pd.DataFrame(columns | {f"y_{m}": values for m, values in self.true_labels.items()})


@dataclass(frozen=True, repr=False)
class Dataset:
    """A prepared data set. Its family decides label scale, hyperparameters and metric conventions."""

    name: str  # it is stored under, e.g. `mosi`
    family: str  # reviews, mosi, mosei or sims
    splits: Mapping[SplitName, Split]  # train, valid and test
    fingerprint: str = ""  # SHA-256 over the stored content; part of every run's identity
    about: Mapping[str, Any] = field(default_factory=dict)  # source, variant and caveats, as shown under tables

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(split):,} {name}" for name, split in self.splits.items())
        return f"Dataset({self.name}: {sizes} clips); .train, .valid, .test"

    @property
    def label_scale(self) -> float:
        """ρ of Eq. 28: the largest intensity of sentiment."""
        return LABEL_SCALE[self.family]

    @property
    def dims(self) -> dict[str, int]:
        """d′_m: input dims of the acoustic and visual frames, for the modalities that the data set has."""
        return {m: sequences.dim for m, sequences in self.splits["train"].sequences.items()}

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that every split has, in the order of MODALITIES; () if there are only labels."""
        return tuple(m for m in MODALITIES if all(m in split.modalities for split in self.splits.values()))

    def require(self, modalities: Collection[str], who: str) -> None:
        """Raises a UserError if the data set lacks a modality that `who` needs, e.g. "system 'mug'".

        The error names what is missing, and what runs without it.
        """
        if missing := [m for m in MODALITIES if m in modalities and m not in self.modalities]:
            problem = f"{who} needs {' and '.join(INPUTS[m] for m in missing)}, which '{self.name}' does not have"
            raise UserError(problem, field="modalities", fix=what_runs(self.modalities))

    @property
    def has_true_labels(self) -> bool:
        """Whether every modality of the training split has its own labels."""
        return set(self.splits["train"].true_labels) >= set(MODALITIES)

    @property
    def train(self) -> Split:
        return self.splits["train"]

    @property
    def valid(self) -> Split:
        return self.splits["valid"]

    @property
    def test(self) -> Split:
        return self.splits["test"]


def what_runs(modalities: Collection[str]) -> str:
    """Says in errors and descriptions what a data set with these modalities can be used for."""
    if set(modalities) >= set(MODALITIES):
        return "every system runs"
    if "l" in modalities:
        return "text-only runs with language alone (mugkit run --system text-only)"
    if modalities:
        return "every system reads text, so no system runs; add a table of ids and texts as a further --source"
    return "labels alone serve `mugkit data describe` and the agreement statistics of notebook 01; no system runs"
