"""Training at the paper's size without its data and without downloads: what costs are counted and timed with.

Clips are made up; their number, dims and lengths are those of the paper's data sets. Text encoders have bert-base's and
t5-base's shape and random weights. Neither changes what a step costs.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.clips import MOSI_TOKENS, random_frames
from mugkit.config import RunSpec
from mugkit.data.batch import Batch
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import LABEL_SCALE, MODALITIES, SPLITS, Dataset, Split
from mugkit.data.validate import PAPER_DIMS
from mugkit.experiments.registry import SYSTEMS, Experiment
from mugkit.experiments.run_store import Store
from mugkit.models.mug import build
from mugkit.studies.cost import Trainer
from mugkit.training import joint, pretrain
from mugkit.training.label_sources import source as labels
from mugkit.training.optim import adamw, step

VOCABULARY = 20_000  # ids below it are words in every vocabulary in use


# Tokens, acoustic and visual frames of a clip.
# MOSI: the mean of MOSI_TOKENS, frames aligned to words. MOSEI: 447,143 words in 23,453 sentences, as its paper says,
# and a third more tokens. SIMS: 15 characters and 3.67 s, as its paper says, at 43 acoustic and 10 visual frames a
# second.
MEAN: Mapping[str, Mapping[str, int]] = {
    "mosi": {"l": round(float(np.mean(MOSI_TOKENS))), "a": 13, "v": 13},
    "mosei": {"l": 27, "a": 19, "v": 19},
    "sims": {"l": 17, "a": 158, "v": 37},
}


class Tokenised(ClipLoader):
    """Clips whose text is given as token ids, for an encoder that is trained along."""

    def __init__(self, split: Split, ids: list[list[int]], device: torch.device | str = "cpu") -> None:
        self.split, self.device, self._ids = split, torch.device(device), ids
        self._features = self._states = None


def made(family: str, tokens: list[int]) -> Dataset:
    """A data set with a clip in every split for each number of tokens; frames in proportion to them."""
    mean, dims = MEAN[family], dict(zip("av", PAPER_DIMS[family], strict=True))
    rng, rho = np.random.default_rng(len(tokens)), LABEL_SCALE[family]
    frames = {m: [max(1, round(mean[m] * number / mean["l"])) for number in tokens] for m in "av"}
    splits = {}
    for name in SPLITS:
        sequences = {m: random_frames(lengths, dims[m], rng) for m, lengths in frames.items()}
        y, *unimodal = rng.uniform(-rho, rho, (4, len(tokens))).astype(np.float32)
        names = [f"{name}{number}" for number in range(len(tokens))]
        splits[name] = Split(name, names, names, y, sequences, dict(zip(MODALITIES, unimodal, strict=True)))
    return Dataset(family, family, splits)


def token_ids(tokens: list[int], vocabulary: int = VOCABULARY) -> list[list[int]]:
    """Random ids, so many for each clip."""
    rng = np.random.default_rng(len(tokens))
    return [rng.integers(0, vocabulary, number).tolist() for number in tokens]


def work(system: str, dataset: Dataset, device: str = "cpu", **changes: Any) -> Experiment:
    """A run of the profile `paper`, its text encoder of random weights."""
    encoder = "random-t5-base" if SYSTEMS[system].t5 else "random-bert-base"
    values = tuple(sorted({"text_encoder": encoder, **changes}.items()))
    spec = RunSpec(system, dataset.name, 1111, "paper", changes=values)
    return Experiment(spec, dataset, Store(Path("nowhere")), device)


Step = Callable[[Batch], None]


def stage_1(todo: Experiment, clips: ClipLoader) -> Step:
    """Makes the network and optimizer of stage 1; the function makes one step."""
    hp = todo.hp
    network = build(hp.network, todo.dataset.dims, clips.text_width).to(clips.device)
    optimizer = adamw(network, hp.optimization)
    network.train()

    def train_step(batch: Batch) -> None:
        loss = pretrain.losses(network, batch, hp.pretraining).total(hp.pretraining)
        step(network, optimizer, loss, hp.optimization.clip_norm)

    return train_step


def stage_3(todo: Experiment, clips: ClipLoader) -> Step:
    """The same for stage 3 and for baselines. Learned labels cost what copied labels do."""
    hp, make = todo.hp, None
    if todo.system.labels == "mucn":
        make = joint.builder(todo.dataset, hp, labels.copied(todo.dataset), str(clips.device))
    network, objective = (make or todo.builder())(clips)
    network.train()
    objective.begin_epoch(clips, 0, 1)
    trainer = Trainer(clips, network, objective, adamw(network, hp.optimization), hp.optimization)

    def train_step(batch: Batch) -> None:
        trainer.step(batch, 0)

    return train_step
