"""A training step never waits for its device; the epoch's end does once, and still names the clips of a bad step."""

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_up import make_dataset
from small import PERHAPS_WAITING, WAITING, small
from torch.utils._python_dispatch import TorchDispatchMode

from mugkit.config import RunSpec
from mugkit.data.loader import ClipLoader
from mugkit.data.schema import Dataset
from mugkit.errors import UserError
from mugkit.experiments.registry import SYSTEMS, Experiment
from mugkit.experiments.run_store import Store
from mugkit.models.mug import build
from mugkit.training import optim, pretrain
from mugkit.training.optim import StepLosses, adamw

# What makes Python wait for a device: a value of a tensor, or a shape that depends on values.
WAITS = ("aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::_unique", "aten::item")

LABELS_FROM_STAGE_2 = {name for name, system in SYSTEMS.items() if system.labels == "mucn"}  # else as `copy`


class Waits(TorchDispatchMode):
    """Counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.name().startswith(WAITS) or (func.name().startswith("aten::index") and selects(args[1])):
            self.seen.append(func.name())
        return func(*args, **(kwargs or {}))


def selects(indices: Any) -> bool:
    """Whether it is a mask that says what to take, so that how much that is has to be counted."""
    masks = indices if isinstance(indices, list | tuple) else ()
    return any(isinstance(mask, torch.Tensor) and mask.dtype is torch.bool for mask in masks)


@pytest.fixture
def unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses are treated as a GPU's are."""
    monkeypatch.setattr(optim, "is_looked_at", lambda loss: False)


@pytest.fixture
def data() -> Dataset:
    return make_dataset((32, 8, 8))


def steps(todo: Experiment, epoch: int = 0) -> Callable[[], None]:
    """The two steps of an epoch, everything up to them made."""
    clips = ClipLoader(todo.dataset.train, todo.hp.network, "cpu", todo.level)
    network, objective = todo.builder()(clips)
    optimizer = adamw(network, todo.hp.optimization)
    network.train()

    def of(epoch: int) -> Callable[[], None]:
        objective.begin_epoch(clips, epoch, 1)
        batches = [clips.batch(index) for index in torch.arange(32).split(16)]

        def two() -> None:
            for batch in batches:
                objective.before_step(batch, epoch)
                optim.step(network, optimizer, objective.loss(batch, epoch), 1.0)
                objective.after_step(batch, epoch)

        return two

    for before in range(epoch):
        of(before)()
    return of(epoch)


@pytest.mark.usefixtures("unseen")
@pytest.mark.parametrize("epoch", [0, 1])  # labels that are made while stage 3 runs begin to move in the second epoch
@pytest.mark.parametrize("system", sorted(SYSTEMS.keys() - LABELS_FROM_STAGE_2 - WAITING - PERHAPS_WAITING))
def test_step_does_not_wait_for_its_device(
    system: str, epoch: int, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = (("batch_size", 16),)
    two = steps(
        Experiment(RunSpec(system, "made-up", 1, "smoke", changes=changes), data, Store(tmp_path), "cpu"), epoch
    )
    to = torch.Tensor.to

    def noted(values: torch.Tensor, *arguments: Any, **options: Any) -> torch.Tensor:
        caller = sys._getframe(1).f_globals["__name__"]  # torch calls it too, where nothing has to move
        moves = any(isinstance(value, torch.Tensor | torch.device) for value in (*arguments, *options.values()))
        if moves and caller.startswith("mugkit."):
            waits.seen.append(f"to, in {caller}")
        return to(values, *arguments, **options)

    with Waits() as waits:
        monkeypatch.setattr(torch.Tensor, "cpu", lambda values: waits.seen.append("cpu") or values)
        monkeypatch.setattr(torch.Tensor, "to", noted)
        for place in ("data.batch", "data.loader", "baselines.mult", "baselines.sugrm"):  # nobody waits for these
            monkeypatch.setattr(f"mugkit.{place}.to_device", lambda values, device: values)
        two()
    assert waits.seen == []


def test_step_on_a_cpu_is_looked_at(data: Dataset, tmp_path: Path) -> None:
    two = steps(Experiment(RunSpec("copy", "made-up", 1, "smoke"), data, Store(tmp_path), "cpu"))
    with Waits() as waits:
        two()
    assert len(waits.seen) == 2  # and so the counter counts


@pytest.mark.usefixtures("unseen")
def test_bad_step_is_told_at_the_epochs_end_with_its_clips(data: Dataset) -> None:
    hp = small(batch_size=4)
    frames = data.train.sequences["a"]
    frames.frames[frames.offsets[7]] = np.nan
    clips = ClipLoader(data.train, hp.network)
    network = build(hp.network, data.dims, clips.text_width)
    with pytest.raises(UserError, match=r"values that are not finite: train_7\)") as caught:
        pretrain.train_epoch(network, clips, adamw(network, hp.optimization), hp, 1, 3)
    assert "became nan in epoch 3" in str(caught.value)


def test_step_losses_are_all_of_them_in_float64_and_the_first_bad_one_is_named(data: Dataset) -> None:
    clips = ClipLoader(data.train, small().network)
    losses = StepLosses(clips, 5)
    for number, value in enumerate((0.1, 0.2)):
        with losses.of(clips.batch(torch.tensor([number]))):
            losses.note(torch.tensor(value), torch.tensor(10.0))
    assert losses.fetch().tolist() == [[float(np.float32(0.1)), 10.0], [float(np.float32(0.2)), 10.0]]
    for number, value in enumerate((math.inf, math.nan), start=2):
        with losses.of(clips.batch(torch.tensor([number]))):
            losses.note(torch.tensor(value), torch.tensor(10.0))
    with pytest.raises(UserError, match=r"became inf in epoch 5 .*train_2"):
        losses.fetch()
