"""Stage 2: the closed form beside learn2learn's MAML, and how long MOSEI's stage 2 takes.

Both sides take the same steps on the same made-up representations, at the sizes of Table 2's MOSEI column. What is
counted is `meta.train_epoch`: drawing, gathering, the bi-level steps and writing the parameters.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mugkit.bench.measures import Found, Ratio
from mugkit.config import MetaLearning, hyperparameters
from mugkit.data.schema import MODALITIES
from mugkit.stages import closed_form, meta
from mugkit.stages.denoising import ModalityData
from mugkit.stages.training import cpu_threads, generator, progress

REFERENCE, OURS = meta.with_learn2learn, closed_form.step
WHOLE, ALONE = 1.4, 1.3  # bars: what must not be lost; README says why it is no more
MOSEI_CLIPS, MOSEI_EPOCHS = 16326, 4
CLIPS, ROUNDS = 1280, 7
RHO = 3.0


def made_up(clips: int, dim: int, seed: int) -> ModalityData:
    """Representations that know the label a little (x_m) and rather well (x_m′, ŷ_m′), on the unit sphere."""
    draw = generator(seed, "bench")
    labels = 6 * torch.rand(clips, generator=draw) - RHO

    def around(strength: float) -> Tensor:
        direction = torch.randn(dim, generator=draw)
        x = strength * labels[:, None] * direction + torch.randn(clips, dim, generator=draw)
        return torch.nn.functional.normalize(x.tanh(), dim=1)

    return ModalityData(around(0.1), around(0.4), labels + 0.7 * torch.randn(clips, generator=draw), labels)


def modalities(clips: int) -> tuple[MetaLearning, dict[str, ModalityData]]:
    """Table 2's settings for MOSEI, and data of its dims."""
    hp = hyperparameters("mosei", "paper", {})
    dims = {"l": hp.network.d_l, "a": hp.network.d_a, "v": hp.network.d_v}
    return hp.meta, {m: made_up(clips, dims[m], seed) for seed, m in enumerate(MODALITIES)}


@dataclass(frozen=True)
class Epoch:
    """What an epoch took.

    Attributes:
        seconds: that passed.
        worked: seconds that processors worked.
        gate_open: share of the steps that found the gate open.
    """

    seconds: float
    worked: float
    gate_open: float


class Stage2:
    """Stage 2 of three modalities, an epoch at a time.

    Args:
        step: one of the two.
        workers: modalities at a time.
        threads: CPU threads of a step.
    """

    def __init__(self, clips: int, step: meta.BilevelStep, workers: int, threads: int) -> None:
        self.config, self.data = modalities(clips)
        self.mucns = {m: meta.fresh_mucn(data, self.config, RHO, 1111) for m, data in self.data.items()}
        self.step, self.workers, self.threads = step, workers, threads

    def epoch(self, number: int) -> Epoch:
        """One epoch of all three."""

        def learn(m: str, _: threading.Event) -> meta.Learned:
            data = self.data[m]
            row = meta.train_epoch(self.mucns[m], data, data.labels, self.config, 1111, number, self.step)
            return data.labels, [row]

        started, worked = time.perf_counter(), time.process_time()
        with cpu_threads(self.threads):
            found = meta.side_by_side(learn, self.workers)
        passed = time.perf_counter() - started, time.process_time() - worked
        return Epoch(*passed, statistics.mean(rows[0]["gate_open"] for _, rows in found.values()))


def in_turns(one: Stage2, other: Stage2, what: Callable[[Epoch], float], label: str) -> list[float]:
    """How many times faster the second is, a value a round; a round before them is not counted."""
    rounds = progress(range(ROUNDS + 1), label, total=ROUNDS + 1)
    return [what(one.epoch(n)) / what(other.epoch(n)) for n in rounds][1:]


def stage2() -> Found:
    """All three modalities on all cores and on one thread, and an epoch of MOSEI's size."""
    cores = os.cpu_count() or 1
    workers = min(cores, len(MODALITIES))
    whole = in_turns(
        Stage2(CLIPS, REFERENCE, 1, cores), Stage2(CLIPS, OURS, workers, cores), lambda e: e.seconds, "all cores"
    )
    alone = in_turns(Stage2(CLIPS, REFERENCE, 1, 1), Stage2(CLIPS, OURS, 1, 1), lambda e: e.worked, "one thread")
    mosei = Stage2(MOSEI_CLIPS, OURS, workers, cores)
    epochs = [mosei.epoch(n) for n in progress(range(MOSEI_EPOCHS), "MOSEI's size")]
    times = mosei.config.meta_epochs
    opened = statistics.mean(one.gate_open for one in epochs)
    about = (
        f"learn2learn's time over ours for an epoch of {CLIPS:,} made-up clips, three modalities, Table 2's sizes for"
        " MOSEI; on all cores learn2learn takes one modality after the other, with torch's threads, ours all side by"
        " side, with a thread each; on one thread, time that a processor worked. MOSEI's size:"
        f" {MOSEI_CLIPS:,} clips, {times} times the seconds of one epoch; {opened:.0%} of the gates were open, and a"
        " closed one costs twice as much."
    )
    return Found(
        [
            Ratio("stage 2, learn2learn over ours, all cores", "wall time", whole, WHOLE, threads=cores),
            Ratio("stage 2, learn2learn over ours, one thread", "processor time", alone, ALONE),
            Ratio(
                "stage 2 of MOSEI's size",
                f"seconds of {times} epochs of three modalities, wall time",
                [times * one.seconds for one in epochs], unit="s", threads=cores,
            ),
        ],
        about=about,
    )  # fmt: skip
