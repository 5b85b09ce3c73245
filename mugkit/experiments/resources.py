"""The resources that one run asks for: CPU cores, and a share of a GPU card."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from mugkit.config import RunSpec, profile
from mugkit.errors import UserError

_CORES = 4  # for a run whose number of threads torch decides


@dataclass(frozen=True)
class Resources:
    """What one run asks for.

    Attributes:
        cpus: CPU cores; None means the number of threads of its profile.
        gpus: share of one card, from 0 (none) to 1 (all of it); with 0.25 four runs share a card. None: its profile's.

    Raises:
        UserError: if there are no cores, or more than one card.
    """

    cpus: float | None = None
    gpus: float | None = None

    def __post_init__(self) -> None:
        if self.cpus is not None and not 0 < self.cpus < float("inf"):
            raise UserError(f"{self.cpus} is not possible", field="--cpus-per-run", fix="give a number above 0")
        if self.gpus is not None and not 0 <= self.gpus <= 1:
            fix = "give a number from 0 to 1: a run uses one card, or a part of it"
            raise UserError(f"{self.gpus} is not possible", field="--gpus-per-run", fix=fix)


def gpus_of(resources: Resources, specs: Sequence[RunSpec]) -> float:
    """The share of one card for the run that needs most."""
    return max((profile(s.profile).gpus for s in specs), default=1) if resources.gpus is None else resources.gpus


def on_cluster(
    resources: Resources, specs: Sequence[RunSpec], device: str, nodes: Sequence[Mapping[str, float]]
) -> dict[str, float]:
    """What a task asks a cluster for. By default no more cores than a node has, and a card only if there is one.

    Args:
        nodes: what each node has: 'CPU', 'GPU'.
    """
    most = {kind: max((node.get(kind, 0.0) for node in nodes), default=0.0) for kind in ("CPU", "GPU")}
    cores = max((profile(s.profile).threads or _CORES for s in specs), default=1)
    cpus = min(cores, most["CPU"] or cores) if resources.cpus is None else resources.cpus
    has_card = most["GPU"] > 0 or resources.gpus is not None
    return {"CPU": float(cpus), "GPU": gpus_of(resources, specs) if has_card and device != "cpu" else 0.0}


def cards(resources: Resources, specs: Sequence[RunSpec], device: str) -> list[str]:
    """The card of each worker process of this machine, as in CUDA_VISIBLE_DEVICES; [] if workers get no card assigned.

    Several runs share a card, and several cards are used in turn. A device with a number uses only that card.
    """
    if device not in ("auto", "cuda") or not torch.cuda.is_available():
        return []
    listed = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    names = listed or [str(number) for number in range(torch.cuda.device_count())]
    portion = gpus_of(resources, specs)
    return names * int(1 / portion) if portion else [""] * (os.cpu_count() or 1)
