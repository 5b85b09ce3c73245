"""Stage 2: the closed form beside learn2learn's MAML, and how long MOSEI's stage 2 takes.

Both sides take the same steps on the same made-up representations, at the sizes of Table 2's MOSEI column. What is
counted is all of an epoch: drawing, gathering, the bi-level steps, writing the parameters and the labels.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.counting import count
from benchmarks.measures import Found, Ratio
from mugkit.config import MetaLearning, hyperparameters
from mugkit.data.schema import MODALITIES
from mugkit.device import cpu_threads
from mugkit.progress import progress
from mugkit.training import closed_form, meta
from mugkit.training.checkpoint import Checkpoint
from mugkit.training.denoising import ModalityData
from mugkit.training.seeding import generator

REFERENCE, OURS = meta.WithLearn2learn, closed_form.ClosedForm
WHOLE, ALONE = 2.0, 1.4  # bars: what must not be lost; README says why it is no more
MOSEI_CLIPS = 16326
CLIPS, EPOCHS, ROUNDS = 1280, 4, 7
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
class Spent:
    """Seconds that passed, seconds that processors worked, and the share of the steps that found the gate open."""

    seconds: float
    worked: float
    gate_open: float


def spent(clips: int, steps: meta.BilevelSteps, workers: int, threads: int, epochs: int = 0) -> Spent:
    """What stage 2 of three modalities takes.

    Args:
        steps: one of the two; several workers know ours alone.
        workers: processes; 1: this process.
        threads: CPU threads of a step.
        epochs: 0: as many as Table 2 has.
    """
    config, data = modalities(clips)
    config = replace(config, meta_epochs=epochs or config.meta_epochs)
    learning = [meta.ModalityMetaTrainer(data[m], m, config, RHO, 1111, Checkpoint(), steps) for m in data]
    started, worked = time.perf_counter(), time.process_time()
    with cpu_threads(threads), tempfile.TemporaryDirectory() as folder:
        if workers > 1:
            meta.learn_side_by_side(learning, RHO, workers, Path(folder) / "modalities")
        else:
            for learner in learning:
                learner.learn()
    passed = time.perf_counter() - started, time.process_time() - worked
    return Spent(*passed, statistics.mean(row["gate_open"] for learner in learning for row in learner.history))


Side = Callable[[], Spent]


def in_turns(first: Side, second: Side, what: Callable[[Spent], float], label: str) -> list[float]:
    """How many times faster the second is, a value a round; a round before them is not counted."""
    rounds = progress(range(ROUNDS + 1), label, total=ROUNDS + 1)
    return [what(first()) / what(second()) for _ in rounds][1:]


def stage2() -> Found:
    """All three modalities on all cores and on one thread, and stage 2 of MOSEI's size."""
    cores = os.cpu_count() or 1
    workers = min(cores, len(MODALITIES))

    def side(steps: meta.BilevelSteps, workers: int, threads: int) -> Side:
        return lambda: spent(CLIPS, steps, workers, threads, EPOCHS)

    whole = in_turns(side(REFERENCE, 1, cores), side(OURS, workers, cores), lambda took: took.seconds, "all cores")
    theirs, ours = side(REFERENCE, 1, 1), side(OURS, 1, 1)
    alone = in_turns(theirs, ours, lambda took: took.worked, "one thread")
    products = count(theirs).flops / count(ours).flops
    mosei, (config, _) = spent(MOSEI_CLIPS, OURS, workers, cores), modalities(1)
    about = (
        f"learn2learn's time over ours for {EPOCHS} epochs of {CLIPS:,} made-up clips, three modalities, Table 2's"
        " sizes for MOSEI; on all cores learn2learn takes one modality after the other, with torch's threads, ours give"
        " the next epoch of whichever modality waits to the next free process; on one thread, time that a processor"
        f" worked. MOSEI's size: {MOSEI_CLIPS:,} made-up clips; {mosei.gate_open:.0%} of the gates were open, and a"
        " closed one costs twice as much."
    )
    last = f"seconds of {config.meta_epochs} epochs of three modalities, wall time"
    ratios = [
        Ratio("stage 2, learn2learn over ours, all cores", "wall time", whole, WHOLE, threads=cores),
        Ratio("stage 2, learn2learn over ours, one thread", "processor time", alone, ALONE),
        Ratio("stage 2, products of learn2learn over ours", "operations of matrix products", [products]),
        Ratio("stage 2 of MOSEI's size", last, [mosei.seconds], unit="s", threads=cores),
    ]
    return Found(ratios, about=about)
