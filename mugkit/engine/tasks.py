"""Many runs taken apart: one task for every stored thing that is not there yet."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mugkit import files, other_code
from mugkit.config import RunSpec
from mugkit.engine.single import work
from mugkit.errors import UserError
from mugkit.runs import Store
from mugkit.systems import Work

Part = Literal["pretrain", "labels", "train"]
PARTS: tuple[Part, ...] = ("pretrain", "labels", "train")
ARRIVAL = 90.0  # seconds: file systems on a network keep what they know of a folder for up to a minute


@dataclass(frozen=True)
class Task:
    """One stage of one run.

    Attributes:
        folder: where its result will lie.
        needs: the folder of the stage before it, if that has to be computed first.
    """

    part: Part
    spec: RunSpec
    folder: Path
    needs: Path | None

    def __str__(self) -> str:
        return f"{self.spec.system} on {self.spec.dataset}, seed {self.spec.seed}, {self.part}"


def parts_of(todo: Work) -> tuple[Part, ...]:
    """The stages a run consists of: those whose labels are not learned need stage 3 only."""
    return PARTS if todo.system.labels == "mucn" else PARTS[2:]


def identity_of(todo: Work, part: Part) -> dict[str, Any]:
    """What one stage of a run is made of."""
    return {"pretrain": todo.pretraining, "labels": todo.learning, "train": todo.training}[part]


def folder_of(todo: Work, part: Part) -> Path:
    """Where one stage of a run lies, or would lie."""
    return todo.store.folder(part, identity_of(todo, part))


def plan(
    specs: Sequence[RunSpec], store: Store, device: str, until: Part = "train", learn: Sequence[RunSpec] = ()
) -> list[Task]:
    """What is missing, each once however many runs share it; stages in order, so that a task follows what it needs.

    A stage begins with one task for each text encoder. A frozen encoder reads a split's texts once, and whoever else
    needs them waits: so that one worker reads them with one encoder while another does with the next.

    Args:
        until: the last stage wanted of `specs`.
        learn: runs of which stage 2 is the last one wanted.
    """
    found: dict[Path, Task] = {}
    first: dict[tuple[Part, str], Path] = {}
    wanted = [(spec, PARTS.index("labels")) for spec in learn] + [(spec, PARTS.index(until)) for spec in specs]
    runs = [(work(spec, store, device), last) for spec, last in wanted]
    for number, part in enumerate(PARTS):
        for todo, last in runs:
            stages = parts_of(todo)
            if part not in stages or number > last:
                continue
            folder = folder_of(todo, part)
            if folder in found or store.intact(folder):
                continue
            if not folder.exists():
                other_code.tell(folder.parent, identity_of(todo, part))
            before = folder_of(todo, stages[stages.index(part) - 1]) if part != stages[0] else None
            found[folder] = Task(part, todo.spec, folder, before if before in found else None)
            first.setdefault((part, todo.hp.network.text_encoder), folder)
    begins = set(first.values())
    return sorted(found.values(), key=lambda task: (PARTS.index(task.part), task.folder not in begins))


def perform(task: Task, root: Path, device: str) -> None:
    """Computes one task; stages before it that are not stored are computed too.

    Raises:
        UserError: here the same run is another one: this node's code, data or text encoder are not the caller's.
    """
    todo = work(task.spec, Store(root), device)
    if folder_of(todo, task.part) != task.folder:
        what = f"{socket.gethostname()} has another version of mugkit, of '{task.spec.dataset}' or of the text encoder"
        fix = "install the same version on all nodes, and set MUGKIT_HOME to a path that all of them share"
        raise UserError(what, file=files.home(), fix=fix)
    {"pretrain": todo.representations, "labels": todo.learned_labels, "train": todo.result}[task.part]()


def arrived(folder: Path) -> bool:
    """Whether what a task stored can be seen here. A network's file system may show it late: listing it asks anew."""
    until = time.monotonic() + ARRIVAL
    while True:
        if folder.parent.is_dir() and folder.name in os.listdir(folder.parent):  # noqa: PTH208
            return True
        if time.monotonic() > until:
            return False
        time.sleep(0.5)
