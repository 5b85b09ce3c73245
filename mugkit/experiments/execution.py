"""Where runs are computed, and what each asks for: CPU cores, and a share of a GPU card."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cache, partial
from itertools import cycle, islice

import torch

from mugkit import pools
from mugkit.config import RunSpec, profile
from mugkit.device import choose_device
from mugkit.errors import UserError, unknown_name

ENGINES = ("local", "ray")
_CORES = 4  # for a run whose number of threads torch decides
Slot = Callable[[], Executor]  # opens, or returns, the executor for a task; holds one task at a time


def workers_of(workers: int | None, device: str) -> int:
    """The number of processes: by default one per core on a CPU, and one on a GPU."""
    return workers or (1 if choose_device(device).type == "cuda" else (os.cpu_count() or 1))


@dataclass(frozen=True)
class ExecutionConfig:
    """Where runs are computed, and what each asks for.

    Attributes:
        engine: 'local' spreads runs over processes of this machine, 'ray' over a Ray cluster.
        workers: number of processes; by default one per core on a CPU, and on GPUs as many as share the cards.
        address: address of the Ray cluster ('auto': the one this machine belongs to); '' starts one on this machine.
        cpus: CPU cores of a run on a cluster; by default the threads of its profile.
        gpus: share of one card, from 0 (none) to 1 (all of it); by default its profile's. With 0.25 four runs share it.

    Raises:
        UserError: if the engine is unknown, there are no cores, or more than one card.
    """

    engine: str = "local"
    workers: int | None = None
    device: str = "auto"
    address: str = ""
    cpus: float | None = None
    gpus: float | None = None

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise unknown_name("engine", self.engine, ENGINES)
        if self.cpus is not None and not 0 < self.cpus < float("inf"):
            raise UserError(f"{self.cpus} is not possible", field="--cpus-per-run", fix="give a number above 0")
        if self.gpus is not None and not 0 <= self.gpus <= 1:
            fix = "give a number from 0 to 1: a run uses one card, or a part of it"
            raise UserError(f"{self.gpus} is not possible", field="--gpus-per-run", fix=fix)

    def slots(self, specs: Sequence[RunSpec]) -> list[Slot]:
        """One slot for each task submitted at a time: a stage that others wait for must not queue behind stages that
        nothing waits for. A cluster takes all tasks that can start.

        Args:
            specs: the run of each task.
        """
        if self.engine == "ray":
            from mugkit.experiments.ray_executor import RayExecutor

            return [cache(partial(RayExecutor, self.address, partial(self.on_cluster, specs)))] * len(specs)
        cards = self.cards(specs)
        count = workers_of(self.workers or len(cards) or None, self.device)
        if min(count, len(specs)) == 1:
            return [pools.SerialExecutor]
        chosen = list(islice(cycle(cards or [None]), count))
        return [partial(pools.processes, chosen.count(card), card) for card in chosen]

    def on_cluster(self, specs: Sequence[RunSpec], nodes: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """What a task asks a cluster for. By default no more cores than a node has, and a card only if there is one.

        Args:
            nodes: what each node has: 'CPU', 'GPU'.
        """
        most = {kind: max((node.get(kind, 0.0) for node in nodes), default=0.0) for kind in ("CPU", "GPU")}
        cores = max(profile(spec.profile).threads or _CORES for spec in specs)
        cpus = min(cores, most["CPU"] or cores) if self.cpus is None else self.cpus
        wants_card = self.device != "cpu" and (most["GPU"] > 0 or self.gpus is not None)
        return {"CPU": float(cpus), "GPU": self._share(specs) if wants_card else 0.0}

    def cards(self, specs: Sequence[RunSpec]) -> list[str]:
        """The card of each worker process of this machine, as in CUDA_VISIBLE_DEVICES; [] if none gets a card assigned.

        Several runs share a card, and several cards are used in turn. A device with a number uses only that card.
        """
        if self.device not in ("auto", "cuda") or not torch.cuda.is_available():
            return []
        listed = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
        names = listed or [str(number) for number in range(torch.cuda.device_count())]
        share = self._share(specs)
        return names * int(1 / share) if share else [""] * (os.cpu_count() or 1)

    def _share(self, specs: Sequence[RunSpec]) -> float:
        """The share of one card for the run that needs most."""
        return max(profile(spec.profile).gpus for spec in specs) if self.gpus is None else self.gpus


LOCAL = ExecutionConfig()
