"""What training costs: one system's step time relative to another's, and each stage's share of a run.

Only ratios within one run are reported. Steps of the systems alternate on the same batches, so that other load on the
machine slows all of them alike.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from mugkit import files
from mugkit.config import Optimization, profile
from mugkit.data.batch import Batch
from mugkit.data.loader import ClipLoader
from mugkit.device import choose_device, cpu_threads
from mugkit.experiments.registry import Experiment
from mugkit.studies.study import grid
from mugkit.training.optim import adamw, step
from mugkit.training.seeding import derive_seed, similar_lengths
from mugkit.training.trainer import Objective

WARM_UP = 3  # the first steps fill caches and are not counted


@dataclass(frozen=True)
class Trainer:
    """A system ready to train."""

    clips: ClipLoader
    network: nn.Module
    objective: Objective
    optimizer: torch.optim.Optimizer
    optimization: Optimization

    @classmethod
    def of(cls, work: Experiment) -> "Trainer":
        clips = ClipLoader(work.dataset.train, work.hp.network, choose_device(work.device), work.level)
        torch.manual_seed(derive_seed(work.spec.seed, "weights"))
        network, objective = work.builder()(clips)
        network.train()
        objective.begin_epoch(clips, 0, work.spec.seed)
        return cls(clips, network, objective, adamw(network, work.hp.optimization), work.hp.optimization)

    def order(self, seed: int, epoch: int) -> list[Int64[Tensor, "batch"]]:
        """The batches of an epoch."""
        return similar_lengths(self.clips.lengths, self.optimization.batch_size, seed, epoch)

    def step(self, batch: Batch, epoch: int) -> Float[Tensor, ""]:
        """Makes one step with all hooks; returns the loss before the step, on its device."""
        self.objective.before_step(batch, epoch)
        loss = self.objective.loss(batch, epoch)
        value = step(self.network, self.optimizer, loss, self.optimization.clip_norm)
        self.objective.after_step(batch, epoch)
        return value


def stepper(work: Experiment) -> Callable[[int], None]:
    """Returns a function that makes the i-th step of a system's first epochs.

    The first epoch ends with the warm-up, because labels made in training are made from the second epoch on.
    """
    trainer = Trainer.of(work)
    order = trainer.order(work.spec.seed, 0)

    def make_step(number: int) -> None:
        epoch, position = divmod(number, len(order))
        trainer.step(trainer.clips.batch(order[position]), epoch + (number >= WARM_UP))

    return make_step


def alternate(steps: Mapping[str, Callable[[int], None]], rounds: int) -> dict[str, list[float]]:
    """Times every step of every system in seconds; in each round all systems make one step, one after the other."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(WARM_UP + rounds):
        for name, make_step in steps.items():
            started = time.perf_counter()
            make_step(number)
            if number >= WARM_UP:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def step_times(works: Mapping[str, Experiment], over: Sequence[str] = (), rounds: int = 40) -> pd.DataFrame:
    """Median and quartiles of the ratio, taken in every round, of each system's step time to that of each in `over` (or
    of the first system)."""
    first = next(iter(works))
    with cpu_threads(profile(works[first].spec.profile).threads):
        seconds = alternate({name: stepper(work) for name, work in works.items()}, rounds)
    tables = []
    for other in over or [first]:
        ratios = {name: np.divide(values, seconds[other]).tolist() for name, values in seconds.items()}
        rows = {name: statistics.quantiles(values, n=4) for name, values in ratios.items()}
        tables.append(_table(rows, "system", "ratio").assign(over=other))
    return pd.concat(tables, ignore_index=True)


def step_time_table(table: pd.DataFrame) -> pd.DataFrame:
    """Formats `step_times`: systems as rows, the systems in `over` as columns."""
    ends = zip(table["ratio"], table["lower_quartile"], table["upper_quartile"], strict=True)
    cells = [f"{ratio:.2f} [{low:.2f}, {high:.2f}]" for ratio, low, high in ends]
    return grid(table.assign(cell=cells, head="over " + table["over"]), "system", "head").rename_axis(columns=None)


def _table(quartiles: dict[str, list[float]], name: str, value: str) -> pd.DataFrame:
    """One row per name: the median, and the quartiles below and above it."""
    table = pd.DataFrame.from_dict(quartiles, orient="index", columns=["lower_quartile", value, "upper_quartile"])
    return table.rename_axis(name).reset_index()[[name, value, "lower_quartile", "upper_quartile"]]


def stage_shares(labelled: Sequence[Experiment], trained: Sequence[Path]) -> pd.DataFrame:
    """Each stage's share of the processor time of a run of MUG, medians over seeds; runs missing stages.

    Medians are used because the first run also encodes the texts. Quartiles are divided by the medians' total.
    Experiments `labelled` are for stages 1 and 2; `trained`, at least two folders of runs, for stage 3.
    """
    folders = {
        "1 pretrain": [work.representations() for work in labelled],
        "2 meta-learn": [work.learned_labels() for work in labelled],
        "3 joint": trained,
    }
    quartiles = {}
    for name, several in folders.items():
        seconds = [float(files.read_json(folder / "done.json")["seconds"]) for folder in several]
        quartiles[name] = np.array(statistics.quantiles(seconds, n=4, method="inclusive"))
    total = sum(values[1] for values in quartiles.values())
    return _table({name: (values / total).tolist() for name, values in quartiles.items()}, "stage", "share")
