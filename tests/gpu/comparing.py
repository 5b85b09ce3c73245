"""A device beside the CPU and beside itself, and whether a training step waits for it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from drawing import same_draws
from ground import SEED, Ground
from safetensors.torch import load_file
from small import PERHAPS_WAITING, WAITING
from torch import Tensor

from mugkit import files
from mugkit.experiments.registry import SYSTEMS, Experiment
from mugkit.studies.cost import Trainer

CPU = torch.device("cpu")
# Relative, of losses. The first step's differs by the rounding of one forward pass in float32; an epoch's also by what
# AdamW makes of it, which divides small gradients by their size. (On a CPU with and without oneDNN: 7e-8 at most, and
# 1e-3 for CubeMLP, under 1e-5 for all others.) Of labels: mean difference over ρ; a gate that opens on one device only
# moves some of them.
TOLERANCES = {"first step": 1e-4, "epoch": 1e-2, "stage 1": 1e-3, "stage 2": 1e-2}
Items = Callable[[Iterable[str]], Iterator[str]]


def systems(ground: Ground, within: Items) -> dict[str, Any]:
    """Stages 1 and 2 of MUG, then an epoch of every system: the device beside the CPU, and beside itself.

    In float32 throughout: cuDNN's recurrent layers would take TensorFloat-32.
    """
    with torch.backends.cudnn.flags(allow_tf32=False):
        found = {name: _stages(ground) for name in within(["stages 1 and 2"])}
        found |= {name: _epoch(ground, name) for name in within(SYSTEMS)}
    return {"tolerances": TOLERANCES, "results": found, "ok": all(row["ok"] for row in found.values())}


def _stages(ground: Ground) -> dict[str, Any]:
    """Stage 2 follows on the same device's stage 1."""
    tries = {"cpu": CPU, "device": ground.device, "again": ground.device}
    works = {name: ground.work("mug", device, name) for name, device in tries.items()}
    losses = {name: _of_stage_1(work) for name, work in works.items()}
    labels = {name: load_file(work.learned_labels() / "labels.safetensors") for name, work in works.items()}
    first = _relative(losses["device"], losses["cpu"])
    pairs = [(values, labels["cpu"][name]) for name, values in labels["device"].items() if name.startswith("labels.")]
    second = max(float((a - b).abs().mean()) for a, b in pairs) / ground.dataset.label_scale
    same = losses["device"] == losses["again"] and _equal(labels["device"], labels["again"])
    ok = first <= TOLERANCES["stage 1"] and second <= TOLERANCES["stage 2"]
    return {"stage 1": first, "stage 2": second, "ok": ok, "identical_again": same}


def _of_stage_1(work: Experiment) -> list[float]:
    rows = files.read_json(work.representations() / "history.json")
    return [value for row in rows for name, value in row.items() if name != "epoch"]


def _equal(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(values, b[name]) for name, values in a.items())


def _epoch(ground: Ground, system: str) -> dict[str, Any]:
    tries = (CPU, ground.device, ground.device)
    losses, weights = zip(*(epoch(ground.work(system, device, "cpu")) for device in tries), strict=True)
    first, whole = _relative(losses[1][:1], losses[0][:1]), _relative([np.mean(losses[1])], [np.mean(losses[0])])
    same = losses[1] == losses[2] and _equal(weights[1], weights[2])
    ok = first <= TOLERANCES["first step"] and whole <= TOLERANCES["epoch"]
    return {"first step": first, "epoch": whole, "loss": losses[1][-1], "ok": ok, "identical_again": same}


def epoch(work: Experiment) -> tuple[list[float], dict[str, Tensor]]:
    """Losses of an epoch's steps, and the weights after it."""
    if work.system.labels == "mucn":  # the CPU's for both devices: stages 1 and 2 are compared by themselves
        Experiment(work.spec, work.dataset, work.store, "cpu").learned_labels()
    trainer = Trainer.of(work)
    torch.manual_seed(SEED)
    with same_draws(trainer.network):
        losses = [trainer.step(trainer.clips.batch(index), 0) for index in trainer.order(SEED, 0)]
    weights = {name: values.cpu() for name, values in trainer.network.state_dict().items()}
    return torch.stack(losses).tolist(), weights


def _relative(a: Any, b: Any) -> float:
    """The largest difference, over the largest value; infinite where either is not finite."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    return float(np.abs(a - b).max() / np.abs(b).max()) if np.isfinite([a, b]).all() else float("inf")


def waiting(ground: Ground, within: Items) -> dict[str, Any]:
    """Which systems' steps wait for the device, in their first two epochs; `ok` if only those known to."""
    found = {name: _waits(ground, name) for name in within(SYSTEMS)}
    wrong = [name for name, what in found.items() if what and name not in WAITING | PERHAPS_WAITING]
    idle = [name for name in WAITING & found.keys() if not found[name]]
    return {"waits": found, "not_known": wrong, "known_but_does_not": idle, "ok": not wrong}


def _waits(ground: Ground, system: str) -> str:
    """What torch says of the first wait; '' if there is none."""
    trainer = Trainer.of(ground.work(system, ground.device, "cpu"))
    for number in range(2):  # labels that are made while stage 3 runs begin to move in the second epoch
        trainer.objective.begin_epoch(trainer.clips, number, SEED)
        batches = [trainer.clips.batch(index) for index in trainer.order(SEED, number)]
        if number == 0:
            trainer.step(batches[0], 0)  # libraries start, and may wait
        try:
            with refused_to_wait(ground.device):
                for batch in batches:
                    trainer.step(batch, number)
        except RuntimeError as error:
            if "synchroniz" not in str(error):
                raise
            return f"epoch {number}: {str(error).splitlines()[0]}"
    return ""


@contextmanager
def refused_to_wait(device: torch.device) -> Iterator[None]:
    """Every wait for a card is an error inside; a CPU is never waited for."""
    if device.type != "cuda":
        yield
        return
    torch.cuda.synchronize(device)
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")
