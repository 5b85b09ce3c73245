"""Small made-up data sets with something to learn, for tests that need clips but no files of anybody's."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from mugkit.data import store
from mugkit.data.schema import LABEL_SCALE, MODALITIES, SPLITS, Dataset, RaggedFrames, Split, SplitName

# One word for each of the seven integer classes of a ±3 scale: the label can be read off the text.
OPINIONS = ("awful", "bad", "weak", "okay", "decent", "good", "superb")
FILLERS = ("the", "film", "was", "and", "story", "with", "a", "cast")


def make_dataset(
    sizes: tuple[int, int, int] = (48, 16, 16),
    dims: tuple[int, int] = (5, 4),
    true_labels: bool = True,
    seed: int = 0,
    family: str = "mosi",
    name: str = "made-up",
) -> Dataset:
    """A data set whose text, acoustic and visual frames each carry their modality's label, plus noise.

    y is uniform in [−ρ, ρ]; y_m scatters around it. The transcript names the class of y_l; the frames of
    modality m scatter around y_m times a direction common to all clips. Lengths are 1–9 frames, unaligned.

    Args:
        sizes: clips in train, valid, test.
        dims: d′_a and d′_v.
        true_labels: whether y_m are given to the reader as human unimodal labels.
        seed: the same seed gives the same data set.
        family: decides the label scale ρ.
    """
    rng = np.random.default_rng(seed)
    directions = {m: rng.choice([-1.0, 1.0], dim) for m, dim in zip("av", dims, strict=True)}
    rho = LABEL_SCALE[family]
    splits = {
        split: _make_split(split, size, directions, rho, true_labels, rng)
        for split, size in zip(SPLITS, sizes, strict=True)
    }
    dataset = Dataset(name, family, splits, about={"caption": "made up", "variant": "made up", "caveats": ["made up"]})
    return dataclasses.replace(dataset, fingerprint=store.fingerprint(dataset))


def _make_split(
    name: SplitName,
    size: int,
    directions: dict[str, np.ndarray],
    rho: float,
    true_labels: bool,
    rng: np.random.Generator,
) -> Split:
    y = rng.uniform(-rho, rho, size)
    y_m = {m: np.clip(y + 0.15 * rho * rng.standard_normal(size), -rho, rho).astype(np.float32) for m in MODALITIES}
    return Split(
        name,
        ids=[f"{name}_{clip}" for clip in range(size)],
        text=[_sentence(label / rho, rng) for label in y_m["l"]],
        labels=y.astype(np.float32),
        sequences={m: _frames(y_m[m] / rho, direction, rng) for m, direction in directions.items()},
        true_labels=y_m if true_labels else {},
    )


def _sentence(label: float, rng: np.random.Generator) -> str:
    words = [*rng.choice(FILLERS, rng.integers(2, 8)), OPINIONS[round(3 * label) + 3]]
    return " ".join(rng.permutation(words))


def _frames(labels: np.ndarray, direction: np.ndarray, rng: np.random.Generator) -> RaggedFrames:
    lengths = rng.integers(1, 10, len(labels))
    means = np.repeat(labels, lengths)[:, None] * direction
    frames = means + 0.3 * rng.standard_normal(means.shape)
    return RaggedFrames(frames.astype(np.float32), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))


def changed(dataset: Dataset, split: SplitName = "train", **fields: Any) -> Dataset:
    """The data set with other fields in one split."""
    part = dataclasses.replace(dataset.splits[split], **fields)
    return dataclasses.replace(dataset, splits={**dataset.splits, split: part})


def only(modalities: str, dataset: Dataset, splits: Sequence[SplitName] = SPLITS) -> Dataset:
    """The data set with these modalities alone in some splits."""
    for name in splits:
        split = dataset.splits[name]
        text = split.text if "l" in modalities else [""] * len(split)
        dataset = changed(
            dataset, name, text=text, sequences={m: s for m, s in split.sequences.items() if m in modalities}
        )
    return dataset


def made_up_sentences(count: int = 2300) -> pd.DataFrame:
    """Sentences of `reviews`, as `reviews.read_sentences` returns them."""
    rng = np.random.default_rng(0)
    texts = [f"film {i} was" + " fine" * int(rng.integers(1, 12)) for i in range(1, count + 1)]
    ratings = np.clip(rng.normal(0, 1.9, count), -4, 4).round(2)
    return pd.DataFrame({"id": range(1, count + 1), "text": texts, "rating": ratings, "spread": 1.0})
