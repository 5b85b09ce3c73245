"""What a full reproduction costs in GPU hours: all systems on the paper's three data sets, all seeds, fifty trials.

Counted: the floating-point operations and the operators of every system's training step at the paper's sizes, with
encoders of bert-base's and t5-base's shape. Assumed, and said so under the table: the card, the share of its peak that
such steps reach, what handing over an operator takes, and how many epochs pass until training stops early. A step takes
the longer of its arithmetic and its handing over. `make gpu` measures a card's own figures, which replace the assumed
figures. `python .ci/upkeep/gpu_hours.py` writes these counts and the hours.
"""

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks import paper_size
from benchmarks.counting import Count, count
from mugkit import files
from mugkit.config import Hyperparameters, profile
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import MODALITIES, PAPER_SPLITS
from mugkit.experiments.registry import Experiment
from mugkit.progress import progress
from mugkit.training.checkpoint import Checkpoint
from mugkit.training.denoising import ModalityData
from mugkit.training.meta import ModalityMetaTrainer
from mugkit.training.pretrain import SavedRepresentations

FAMILIES = ("mosi", "mosei", "sims")
NAME, GPU = "gpu-hours.json", "gpu.json"
TRIALS = profile("paper").trials  # of the random search of section 4.4
_CLIPS = 4  # of the batch that is counted; FLOPs are those of a batch of any size by its clips


@dataclass(frozen=True)
class Card:
    """What a card does."""

    name: str
    flops: float  # that a training step reaches in a second: the peak of matrix products times the share of it
    launch: float  # seconds from one operator to the next at least
    about: str  # where these come from


_ABOUT = "assumed: half of an A100's 19.5 TFLOPS in float32 without TensorFloat-32, 10 µs an operator"
ASSUMED = Card("A100, float32", flops=0.5 * 19.5e12, launch=10e-6, about=_ABOUT)
EPOCHS = 16  # of stage 3 and of baselines, or `max_epochs` if that is less


@dataclass(frozen=True)
class Stage:
    """One training: the count of a full batch's step, and how often it is made (validation as a third of a step)."""

    step: Count
    steps: float


def _counted(todo: Experiment, make: Callable[[Experiment, ClipLoader], paper_size.Step]) -> Count:
    """A step of a full batch, from a few clips of mean length."""
    tokens = [paper_size.MEAN[todo.dataset.family]["l"]] * _CLIPS
    clips = paper_size.Tokenised(todo.dataset.train, paper_size.token_ids(tokens))
    step, batch = make(todo, clips), clips.batch(torch.arange(_CLIPS))
    found = count(lambda: step(batch))
    return Count(found.flops * todo.hp.optimization.batch_size / _CLIPS, found.operators)


def _counted_stage_2(hp: Hyperparameters) -> Count:
    """From two steps of each modality, with as many further clips as a step takes."""
    config, few = hp.meta, (hp.meta.extra_ratio + 1) * hp.meta.meta_batch_size
    widths = {"l": hp.network.d_l, "a": hp.network.d_a, "v": hp.network.d_v}
    x, projected = ({m: torch.randn(few, width) for m, width in widths.items()} for _ in range(2))
    y = torch.rand(few)
    saved, short = SavedRepresentations(x, projected, dict.fromkeys(MODALITIES, y), y), replace(config, meta_epochs=1)

    def epoch() -> None:  # one modality after the other: other processes would not be counted
        for m in MODALITIES:
            ModalityMetaTrainer(ModalityData.of(saved, m, short), m, short, 3.0, 1, Checkpoint()).learn()

    found, made = count(epoch), len(MODALITIES) * few / config.meta_batch_size
    return Count(found.flops / made, round(found.operators / made))


def stages(system: str, family: str) -> dict[str, Stage]:
    """What one run of a system consists of; stages 1 and 2 only where labels are learned."""
    todo = paper_size.work(system, paper_size.made(family, [paper_size.MEAN[family]["l"]] * _CLIPS))
    hp, (train, valid, _) = todo.hp, PAPER_SPLITS[family]
    batch, epochs = hp.optimization.batch_size, min(EPOCHS, hp.joint.max_epochs)
    found = {"3": Stage(_counted(todo, paper_size.stage_3), epochs * (train + valid / 3) / batch)}
    if todo.system.labels == "mucn":
        found["1"] = Stage(_counted(todo, paper_size.stage_1), hp.pretraining.pretrain_epochs * train / batch)
        meta_steps = len(MODALITIES) * hp.meta.meta_epochs * train / hp.meta.meta_batch_size
        found["2"] = Stage(_counted_stage_2(hp), meta_steps)
    gc.collect()
    return found


def measured(systems: Sequence[str], families: Sequence[str] = FAMILIES) -> list[dict[str, Any]]:
    """The counts of every system and data set: one row a stage."""
    pairs = [(family, system) for family in families for system in systems]
    return [
        {"dataset": family, "system": system, "stage": name, **asdict(stage.step), "steps": round(stage.steps)}
        for family, system in progress(pairs, "counting steps")
        for name, stage in stages(system, family).items()
    ]


def card_of(figures: Path) -> Card:
    """The card that `make gpu` measured, else the assumed card."""
    path = figures / GPU
    found = files.read_json(path) if path.is_file() else {}
    if "step_flops" not in found:  # also where `make gpu` left that part out
        return ASSUMED
    flops, launch = found["step_flops"], found["launch_seconds"]
    reached = f"{flops / 1e12:.1f} TFLOPS in a step of BERT-base at batch 32, {launch * 1e6:.0f} µs an operator"
    return Card(f"{found['device']}, {found['precision']}", flops, launch, f"measured (`make gpu`): {reached}")


def hours(rows: Sequence[Mapping[str, Any]], card: Card, seeds: int) -> pd.DataFrame:
    """GPU hours by system (rows) and data set (columns). Stages 1 and 2 run once for all seeds (section 3.4)."""
    table = pd.DataFrame(rows)
    step = np.maximum(table["flops"] / card.flops, table["operators"] * card.launch)
    table["hours"] = step * table["steps"] * np.where(table["stage"] == "3", seeds, 1) / 3600
    found = table.groupby(["system", "dataset"], sort=False)["hours"].sum().unstack("dataset")
    found.loc["total"] = found.sum()
    found["total"] = found.sum(axis=1)
    return found


def trials(rows: Sequence[Mapping[str, Any]], card: Card) -> dict[str, float]:
    """GPU hours of the random search of MUG on each data set: every trial is a whole run, all three stages."""
    own = [row for row in rows if row["system"] == "mug"]
    each = hours(own, card, 1).loc["mug"].to_dict()
    return {str(name): TRIALS * float(value) for name, value in each.items() if name != "total"}
