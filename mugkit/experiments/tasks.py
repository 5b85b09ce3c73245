"""Splits many runs into tasks: one for every result that is not stored yet."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mugkit import files
from mugkit.config import RunSpec
from mugkit.errors import UserError
from mugkit.experiments.registry import Experiment
from mugkit.experiments.store import Store, warn_stale

Stage = Literal["pretrain", "labels", "train"]
STAGES: tuple[Stage, ...] = ("pretrain", "labels", "train")
VISIBLE_WITHIN = 90.0  # seconds; network file systems cache the content of a folder for up to a minute
# Sets an experiment up with a store and a device, here or on a node: a module-level function, or a partial of one.
Recipe = Callable[[Store, str], Experiment]


@dataclass(frozen=True)
class Task:
    """One stage of one run.

    Attributes:
        spec: the specification of the run, which the recipe sets up.
        folder: the folder for its result.
        needs: the folder of the stage before it, if that must be computed first.
    """

    stage: Stage
    spec: RunSpec
    recipe: Recipe = field(compare=False)
    folder: Path
    needs: Path | None

    def __str__(self) -> str:
        return f"{self.spec.system} on {self.spec.dataset}, seed {self.spec.seed}, {self.stage}"


def plan(
    recipes: Sequence[Recipe], store: Store, device: str, until: Stage = "train", learn: Sequence[Recipe] = ()
) -> list[Task]:
    """Lists what is missing, once even if several runs share it; stages in order, so that a task follows what it needs.

    A stage begins with one task for each text encoder. A frozen encoder reads a split's texts once, and other tasks
    that need them wait. This order lets one worker read texts with one encoder while another uses the next encoder.

    Args:
        until: the last stage wanted of `recipes`.
        learn: runs of which stage 2 is the last stage wanted.
    """
    found: dict[Path, Task] = {}
    first: dict[tuple[Stage, str], Path] = {}
    wanted = [(recipe, STAGES.index("labels")) for recipe in learn]
    wanted += [(recipe, STAGES.index(until)) for recipe in recipes]
    runs = [(recipe, recipe(store, device), last) for recipe, last in wanted]
    for number, stage in enumerate(STAGES):
        for recipe, experiment, last in runs:
            if stage not in experiment.stages or number > last:
                continue
            folder = experiment.folder(stage)
            if folder in found or store.intact(folder):
                continue
            if not folder.exists():
                warn_stale(folder.parent, experiment.stages[stage][0])
            earlier = STAGES[number - 1]
            before = experiment.folder(earlier) if number and earlier in experiment.stages else None
            found[folder] = Task(stage, experiment.spec, recipe, folder, before if before in found else None)
            first.setdefault((stage, experiment.hp.network.text_encoder), folder)
    begins = set(first.values())
    return sorted(found.values(), key=lambda task: (STAGES.index(task.stage), task.folder not in begins))


def run_task(task: Task, root: Path, device: str) -> None:
    """Computes one task; stages before it that are not stored are computed too.

    Raises:
        UserError: if the run has another identity here, as this node's code, data or text encoder differ.
    """
    experiment = task.recipe(Store(root), device)
    if experiment.folder(task.stage) != task.folder:
        what = f"{socket.gethostname()} has another version of mugkit, of '{task.spec.dataset}' or of the text encoder"
        fix = "install the same version on all nodes, and set MUGKIT_HOME to a path that all of them share"
        raise UserError(what, file=files.home(), fix=fix)
    _, compute = experiment.stages[task.stage]
    compute()


def wait_until_visible(folder: Path) -> bool:
    """Whether a task's result is visible here. Network file systems may show it late; listing the folder helps."""
    until = time.monotonic() + VISIBLE_WITHIN
    while True:
        if folder.parent.is_dir() and folder.name in os.listdir(folder.parent):  # noqa: PTH208
            return True
        if time.monotonic() > until:
            return False
        time.sleep(0.5)
