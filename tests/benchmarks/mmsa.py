"""Self-MM's and stage 3's training step beside MMSA's Self_MM trainer.

The same clips in the same batches of 16, the same local encoder trained along, dims as published (Self-MM) and as in
Table 2 (stage 3). A step is all that training does with a batch that lies ready: forward, backward, labels, optimizer.
Putting a batch together is counted on neither side, as MMSA leaves it to other processes. What is counted is the time
that a processor worked, on one thread either side; on a machine that does nothing else, that is the time that passes.

A round is an epoch of 128 clips, so that every round holds the same work. MMSA's published settings step its optimizer
every 4 batches only, which is less work a clip; with a step after each batch both train alike, to the same losses.
"""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks import environment
from benchmarks.clips import like_mosi, only
from benchmarks.measures import Found, Ratio
from benchmarks.peer import training
from mugkit.config import RunSpec
from mugkit.data.encoders import OFFLINE_ENCODER
from mugkit.data.prepare import prepare
from mugkit.data.schema import Dataset
from mugkit.data.store import load
from mugkit.data.text import token_ids
from mugkit.device import cpu_threads
from mugkit.experiments.registry import Experiment
from mugkit.experiments.run_store import Store
from mugkit.progress import progress
from mugkit.studies.cost import Trainer

SEED, THREADS, BATCH = 1111, 1, 16
CLIPS, ACCUMULATED, ROUNDS = 128, 4, 6  # a round is an epoch; rounds that count, after a round that warms up
EPOCHS = 3  # over which losses are compared
BAR, TOLERANCE = 3.0, 1e-4
ABOUT = (
    f"an epoch of {CLIPS} clips of `reviews`, chosen so that their transcripts are as long as MOSI's (15 tokens on "
    f"average), in batches of {BATCH}; {OFFLINE_ENCODER} trained along on both sides; Self-MM as published, stage 3 "
    f"with Table 2's dims; time that a processor worked on {THREADS} thread, putting batches together on neither side."
)
TEXT_OUT = 384  # dims of the encoder's states
# Where MMSA's and our training differ, for equal losses: rates of ours, no weight decay, zeros in C⁺.
AGREED = {
    "without_dropout": True, "update_epochs": 1, "excludeZero": False,
    **{f"weight_decay_{part}": 0.0 for part in ("bert", "audio", "video", "other")},
    **{f"learning_rate_{part}": 1e-3 for part in ("audio", "video", "other")}, "learning_rate_bert": 5e-5,
}  # fmt: skip
OURS_AGREED = {"weight_decay": 0.0, "clip_norm": 1e9, "learning_rate": 1e-3, "text_learning_rate": 5e-5}
OURS = {"Self-MM": "self-mm", "stage 3": "mug-true-labels"}  # where stage 3's labels come from costs nothing


@dataclass(frozen=True)
class Task:
    """What both sides train on: clips of `reviews` as long as MOSI's, their token ids, and MMSA's interpreter."""

    python: Path
    dataset: Dataset
    ids: list[list[int]]

    @classmethod
    def of(cls, python: Path, dataset: Dataset) -> "Task":
        lengths = torch.tensor([len(clip) for clip in token_ids(dataset.train.text, OFFLINE_ENCODER)])
        chosen = only(dataset, like_mosi(lengths.numpy(), CLIPS))
        return cls(python, chosen, token_ids(chosen.train.text, OFFLINE_ENCODER))

    def theirs(self, **settings: Any) -> Any:
        """MMSA's trainer (`peer.training`)."""
        fixed = {"batch_size": BATCH, "text_out": TEXT_OUT, "seed": SEED, "threads": THREADS, "without_dropout": False}
        return training(self.python, self.dataset.train, self.ids, OFFLINE_ENCODER, **{**fixed, **settings})

    def ours(self, system: str, **changes: Any) -> Trainer:
        """Our trainer of a system, by Table 2 or its own paper but for batch and encoder."""
        values = {"batch_size": BATCH, "text_encoder": OFFLINE_ENCODER, **changes}
        spec = RunSpec(system, self.dataset.name, SEED, "paper", changes=tuple(sorted(values.items())))
        return Trainer.of(Experiment(spec, self.dataset, Store.default(), "cpu"))


def measure() -> Found:
    """Ratios of speed, and how far losses are apart where both protocols are made the same."""
    python = environment.python()
    prepare("reviews", [])
    dataset = load("reviews")
    with cpu_threads(THREADS):
        task = Task.of(python, dataset)
        speeds, apart = compared(task), losses_apart(task)
    what = f"{EPOCHS} epochs of Self-MM from the same weights; no dropout, no decay, a step each batch"
    return Found(
        [*speeds, Ratio("losses of MMSA and ours, largest difference", what, [apart], TOLERANCE, False, "")],
        about=ABOUT,
    )


def compared(task: Task) -> list[Ratio]:
    """MMSA's seconds over ours, round by round; the first is not counted."""
    with contextlib.ExitStack() as stack:
        peers = {number: stack.enter_context(task.theirs(update_epochs=number))[0] for number in (1, ACCUMULATED)}
        ours = {name: task.ours(system) for name, system in OURS.items()}
        seconds = {name: np.zeros(1 + ROUNDS) for name in (*peers, *ours)}
        for epoch in progress(range(1 + ROUNDS), "mmsa"):
            for batch in ours["Self-MM"].order(SEED, epoch):
                for number, peer in peers.items():
                    seconds[number][epoch] += peer.step(batch.tolist())[0]
                for name, trainer in ours.items():
                    seconds[name][epoch] += timed(trainer, batch.tolist(), epoch)
            for peer in peers.values():
                peer.end_epoch()
    settings = ((1, "", "a step each batch", BAR), (ACCUMULATED, " as published", "a step every 4 batches", None))
    return [
        Ratio(
            f"{name} beside MMSA{note}", f"MMSA's Self_MM trainer, {how}, over our {name}",
            (seconds[batches][1:] / seconds[name][1:]).tolist(), bar, threads=THREADS,
        )
        for batches, note, how, bar in settings for name in OURS
    ]  # fmt: skip


def timed(trainer: Trainer, clips: Sequence[int], epoch: int) -> float:
    """Seconds of our step on a batch that lies ready."""
    batch = trainer.clips.batch(torch.tensor(clips))
    started = time.process_time()
    trainer.step(batch, epoch)
    return time.process_time() - started


def losses_apart(task: Task) -> float:
    """The largest difference of a batch's loss between MMSA and ours, from MMSA's initial weights on."""
    ours, worst = task.ours("self-mm", **OURS_AGREED), 0.0
    with task.theirs(**AGREED) as (peer, weights):
        ours.network.load_state_dict(weights)
        for module in ours.network.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        for epoch in progress(range(EPOCHS), "losses"):
            for batch in ours.order(SEED, epoch):
                _, theirs = peer.step(batch.tolist())
                worst = max(worst, abs(theirs - ours.step(ours.clips.batch(batch), epoch).item()))
            peer.end_epoch()
    return worst
