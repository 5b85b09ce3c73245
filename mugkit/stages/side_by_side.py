"""Stage 2's modalities side by side: a core takes the next epoch of whichever waits.

Processes and not threads: a step is a hundred short operations, and threads would wait for each other's Python. Whoever
takes an epoch reads MUCN_m as the epoch before left it, so three modalities keep two cores busy to the end. Every epoch
is one core's work and adds up in the same order, however many cores there are.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, fields
from functools import lru_cache, partial
from pathlib import Path

import safetensors.torch
from torch import Tensor

from mugkit import pools
from mugkit.config import MetaLearning
from mugkit.stages import faults
from mugkit.stages.denoising import ModalityData
from mugkit.stages.modality import Learning, correct, fresh_mucn, train_epoch
from mugkit.stages.training import cpu_threads, progress

_LABELS = "labels"  # beside MUCN's parameters: y_mc


@dataclass(frozen=True)
class Job:
    """One modality as a worker finds it; `file` has its representations."""

    file: Path
    modality: str
    config: MetaLearning
    rho: float
    seed: int


@lru_cache(maxsize=3)
def _data(file: Path) -> ModalityData:
    return ModalityData(**safetensors.torch.load_file(file))


def packed(learning: Learning) -> bytes:
    """What the next epoch starts from. Bytes: tensors would go through shared memory, which may be small."""
    return _packed(learning.mucn.state_dict(), learning.previous)


def _packed(mucn: dict[str, Tensor], labels: Tensor) -> bytes:
    return safetensors.torch.save({name: value.contiguous() for name, value in {**mucn, _LABELS: labels}.items()})


def epoch(job: Job, number: int, before: bytes) -> tuple[bytes, dict[str, float]]:
    """In a worker: one epoch of one modality."""
    with cpu_threads(1), faults.of_modality(job.modality):
        data, state = _data(job.file), safetensors.torch.load(before)
        previous, mucn = state.pop(_LABELS), fresh_mucn(data, job.config, job.rho, job.seed)
        mucn.load_state_dict(state)
        row = train_epoch(mucn, data, previous, job.config, job.seed, number)
        return _packed(mucn.state_dict(), correct(mucn, data, job.config)), row


def _epochs(learning: dict[Job, Learning], workers: int) -> Iterator[None]:
    """Hands epochs out, at most one of a modality at a time; yields after each."""
    pool = pools.processes(workers)
    running: dict[Future[tuple[bytes, dict[str, float]]], Job] = {}

    def hand_out(job: Job) -> None:
        if left := learning[job].left:
            running[pool.submit(epoch, job, left[0], packed(learning[job]))] = job

    try:
        for job in learning:
            hand_out(job)
        while running:
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                job, (state, row) = running.pop(done), done.result()
                tensors = safetensors.torch.load(state)
                labels = tensors.pop(_LABELS)
                learning[job].mucn.load_state_dict(tensors)
                learning[job].took(row, labels)
                hand_out(job)
                yield
    except BaseException:
        pools.forget(pool)
        raise


def learn(learning: Sequence[Learning], rho: float, workers: int, folder: Path) -> None:
    """All epochs that are left.

    Args:
        folder: of what workers read; made, and removed at the end.

    Raises:
        NotFinite: see `train_epoch`.
        BrokenExecutor: workers were lost again and again.
    """
    folder.mkdir()
    jobs = {}
    for one in learning:
        job = Job(folder / f"{one.modality}.safetensors", one.modality, one.config, rho, one.seed)
        parts = {field.name: getattr(one.data, field.name).contiguous() for field in fields(one.data)}
        safetensors.torch.save_file(parts, job.file)
        jobs[job] = one
    pools.persist(partial(_all_epochs, jobs, workers))
    shutil.rmtree(folder)


def _all_epochs(learning: dict[Job, Learning], workers: int) -> None:
    for _ in progress(_epochs(learning, workers), "stage 2", total=sum(len(one.left) for one in learning.values())):
        pass
