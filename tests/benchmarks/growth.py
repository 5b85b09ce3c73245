"""How cost grows with the number of clips, of frames in a clip, and of seeds; and memory with the size of the frames.

Growth is the exponent p of cost ~ size^p: 1 is linear, less where fixed costs weigh. Clips are made up, for what they
hold does not change what they cost; networks and batches are those of the profile `quick`. In every round each size is
measured once, so whatever else the machine does slows all sizes alike.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.clips import random_frames
from benchmarks.measures import Curve, Found, Ratio
from mugkit.config import Hyperparameters, RunSpec, hyperparameters
from mugkit.data import store
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import MODALITIES, SPLITS, Dataset, Split
from mugkit.device import cpu_threads
from mugkit.experiments.scheduler import ExecutionConfig, run_all
from mugkit.experiments.store import Store
from mugkit.models.mug import build
from mugkit.overrides import override
from mugkit.training import joint, pretrain, trainer
from mugkit.training.label_sources import source as labels
from mugkit.training.meta import meta_learn
from mugkit.training.optim import adamw
from mugkit.training.pretrain import SavedRepresentations

EXPONENT, MEMORY = 1.15, 0.3  # bars; with all frames in memory the second would be 1 or more
DIMS, TEXT = {"a": 74, "v": 47}, 384  # MOSI's frames, the offline encoder's width
PROFILE, SEED, CLIPS, LENGTH = "quick", 1111, 250, 40

_STATUS = Path("/proc/self/status")

Epoch = Callable[[], object]


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    clips: tuple[int, ...] = (500, 1000, 2000, 4000)
    clips_of_labels: tuple[int, ...] = (1000, 4000, 16000)  # stage 2 is cheap enough for MOSEI's size
    frames: tuple[int, ...] = (16, 32, 64, 128, 256)
    seeds: tuple[int, ...] = (1, 2, 4)
    mapped: tuple[int, ...] = (500, 3000)  # clips, when memory is measured
    rounds: int = 3


class Encoded(ClipLoader):
    """Clips whose text is given as a frozen encoder's features."""

    def __init__(self, split: Split, features: Float[Tensor, "clips hidden"]) -> None:
        self.split, self.device, self._ids, self._states = split, torch.device("cpu"), [], None
        self._features = features


def made(clips: int, length: int, others: int = 1, equal: bool = False) -> Dataset:
    """A made-up data set: a training split of `clips` clips of 1 to 2·length frames, other splits of `others`.

    Args:
        equal: all clips have `length` frames.
    """
    sizes = dict(zip(SPLITS, (clips, others, others), strict=True))
    splits = {name: _split(name, size, length, equal) for name, size in sizes.items()}
    return Dataset("growth", "mosi", splits, about={"caption": "made up", "variant": "made up", "caveats": []})


def _split(name: str, size: int, length: int, equal: bool) -> Split:
    rng = np.random.default_rng(size + length)
    sequences = {}
    for modality, dim in DIMS.items():
        lengths = np.full(size, length) if equal else rng.integers(1, 2 * length, size, endpoint=True)
        sequences[modality] = random_frames(lengths.tolist(), dim, rng)
    y = rng.uniform(-3, 3, size).astype(np.float32)
    return Split(name, [f"{name}{i}" for i in range(size)], [f"sentence {i % 10}" for i in range(size)], y, sequences)


def configuration() -> Hyperparameters:
    return hyperparameters("mosi", PROFILE)


def stage_1(dataset: Dataset) -> Epoch:
    """An epoch of stage 1 on the training split."""
    hp, clips = configuration(), Encoded(dataset.train, torch.randn(len(dataset.train), TEXT))
    network = build(hp.network, dataset.dims, TEXT)
    optimizer = adamw(network, hp.optimization)
    return partial(pretrain.train_epoch, network, clips, optimizer, hp, SEED, 0)


def stage_2(clips: int) -> Epoch:
    """An epoch of stage 2, all three modalities, and the labels it writes."""
    hp = override(configuration(), {"meta_epochs": 1})
    widths = {"l": hp.network.d_l, "a": hp.network.d_a, "v": hp.network.d_v}
    x, projected = ({m: torch.randn(clips, width) for m, width in widths.items()} for _ in range(2))
    y = 6 * torch.rand(clips) - 3
    saved = SavedRepresentations(x, projected, {m: y + torch.randn(clips) for m in MODALITIES}, y)

    def epoch() -> None:
        with tempfile.TemporaryDirectory() as folder:
            meta_learn(saved, hp.meta, 3.0, SEED, Path(folder))

    return epoch


def stage_3(dataset: Dataset) -> Epoch:
    """An epoch of stage 3 on the training split."""
    hp, clips = configuration(), Encoded(dataset.train, torch.randn(len(dataset.train), TEXT))
    network, objective = joint.builder(dataset, hp, labels.copied(dataset), "cpu")(clips)
    optimizer = adamw(network, hp.optimization)
    return partial(trainer.train_epoch, network, objective, clips, optimizer, hp, SEED, 0)


def table(folder: Path, seeds: int) -> Epoch:
    """A row of a table with so many seeds, all stages of it, through the engine and a run store."""
    specs = [RunSpec("mug", str(folder), SEED + number, "smoke") for number in range(seeds)]

    def row() -> None:
        with tempfile.TemporaryDirectory() as runs:
            run_all(specs, ExecutionConfig(workers=1, device="cpu"), store=Store(Path(runs)))

    return row


@dataclass(frozen=True)
class Series:
    """One thing that grows: sizes, and what is timed at each."""

    name: str
    unit: str
    sizes: Sequence[int]
    epochs: Sequence[Epoch]

    def measure(self, rounds: int) -> tuple[Ratio, Curve]:
        """The exponent of every round, and the median seconds over those of the smallest size."""
        for epoch in self.epochs[:1]:
            epoch()  # first steps fill caches
        seconds = [[_timed(epoch) for epoch in self.epochs] for _ in range(rounds)]
        medians = [statistics.median(column) for column in zip(*seconds, strict=True)]
        what = f"p of seconds ~ {self.unit}^p from {self.sizes[0]:,} to {self.sizes[-1]:,} {self.unit}: {self.name}"
        exponents = [exponent(self.sizes, row) for row in seconds]
        ratio = Ratio(f"growth with {self.unit}, {self.name}", what, exponents, EXPONENT, at_least=False, unit="")
        return ratio, curve(self.name, self.unit, self.sizes, medians, "seconds")


def _timed(epoch: Epoch) -> float:
    started = time.perf_counter()
    epoch()
    return time.perf_counter() - started


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The slope of log cost over log size, by least squares."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def curve(name: str, unit: str, sizes: Sequence[float], costs: Sequence[float], what: str) -> Curve:
    relative = [[value / values[0] for value in values] for values in (sizes, costs)]
    return Curve(name, relative[0], relative[1], f"{unit} (smallest: {sizes[0]:,.0f})", f"{what}, relative")


def all_series(plan: Plan, folder: Path) -> Iterator[Series]:
    """Stages over clips; the two that read frames over frames; a row of a table over seeds."""
    both = {"stage 1": stage_1, "stage 3": stage_3}
    for name, stage in both.items():
        yield Series(f"epoch of {name}", "clips", plan.clips, [stage(made(size, LENGTH)) for size in plan.clips])
    epochs = [stage_2(size) for size in plan.clips_of_labels]
    yield Series("epoch of stage 2", "clips", plan.clips_of_labels, epochs)
    for name, stage in both.items():
        epochs = [stage(made(CLIPS, length)) for length in plan.frames]
        yield Series(f"epoch of {name}", "frames of a clip", plan.frames, epochs)
    data = store.save(made(CLIPS, LENGTH // 2, others=CLIPS // 5), folder / "growth")
    yield Series("a row of a table", "seeds", plan.seeds, [table(data, count) for count in plan.seeds])


def peak(folder: Path) -> float:
    """In a process of its own: the most memory, in bytes, that an epoch of stages 1 and 3 took on mapped frames.

    Anonymous memory: pages of a mapped file are the system's, which takes them back whenever it needs them.
    """
    dataset, seen, over = store.load(folder), [_anonymous()], threading.Event()

    def watch() -> None:
        while not over.wait(0.005):
            seen.append(_anonymous())

    watching = threading.Thread(target=watch)
    watching.start()
    with cpu_threads(1):
        for stage in (stage_1, stage_3):
            stage(dataset)()
    over.set()
    watching.join()
    return max(seen)


def _anonymous() -> float:
    return 1024.0 * int(_STATUS.read_text().partition("RssAnon:")[2].split()[0])


def memory(sizes: Sequence[int], folder: Path, rounds: int) -> tuple[Ratio, Curve]:
    """How much the peak grows for every byte that the frames on disk grow; how much an allocator keeps changes.

    Clips are of equal length: of every shape that a batch has, the allocator keeps something, and more clips have more
    shapes until all have come.
    """
    frames, places = [], []
    for size in sizes:
        data = made(size, LENGTH * 3, equal=True)
        frames.append(float(sum(one.frames.nbytes for one in data.train.sequences.values())))
        places.append(store.save(data, folder / f"mapped-{size}"))
    peaks = [[_in_a_fresh_process(place) for place in places] for _ in range(rounds)]
    slopes = [float(np.polyfit(frames, of_round, 1)[0]) for of_round in peaks]
    what = (
        f"bytes of memory for each further byte of frames on disk, {frames[0] / 1e6:.0f} to {frames[-1] / 1e6:.0f} MB: "
        "epochs of stages 1 and 3, encoded text included"
    )
    ratio = Ratio("growth of memory", what, slopes, MEMORY, at_least=False, unit="")
    medians = [float(value) for value in np.median(peaks, axis=0)]
    return ratio, curve("epochs of stages 1 and 3", "clips", [float(size) for size in sizes], medians, "peak memory")


def _in_a_fresh_process(place: Path) -> float:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
        return fresh.submit(peak, place).result()


@contextlib.contextmanager
def _home() -> Iterator[Path]:
    """A home of its own: nothing is left in the user's store and text cache."""
    own = {"MUGKIT_PROGRESS": "0"}
    with tempfile.TemporaryDirectory() as home, mock.patch.dict(os.environ, own | {"MUGKIT_HOME": home}):
        yield Path(home)


def growth(plan: Plan | None = None) -> Found:
    """All of it, one thread. Memory is measured where the system tells a process what it holds (Linux)."""
    plan = plan or Plan()
    with cpu_threads(1), _home() as folder:
        found = [series.measure(plan.rounds) for series in all_series(plan, folder)]
        if _STATUS.is_file():
            found.append(memory(plan.mapped, folder, plan.rounds))
    return Found([ratio for ratio, _ in found], [curve for _, curve in found])
