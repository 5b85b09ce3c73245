"""Many runs taken apart: one task for every stored thing that is not there yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mugkit import other_code
from mugkit.config import RunSpec
from mugkit.engine.single import work
from mugkit.runs import Store
from mugkit.systems import Work

Part = Literal["pretrain", "labels", "train"]
PARTS: tuple[Part, ...] = ("pretrain", "labels", "train")


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


def plan(specs: Sequence[RunSpec], store: Store, device: str, until: Part = "train") -> list[Task]:
    """What is missing, each once however many runs share it; stages in order, so that a task follows what it needs."""
    found: dict[Path, Task] = {}
    for part in PARTS[: PARTS.index(until) + 1]:
        for todo in (work(spec, store, device) for spec in specs):
            stages = parts_of(todo)
            folder = folder_of(todo, part)
            if part not in stages or folder in found or store.intact(folder):
                continue
            if not folder.exists():
                other_code.tell(folder.parent, identity_of(todo, part))
            before = folder_of(todo, stages[stages.index(part) - 1]) if part != stages[0] else None
            found[folder] = Task(part, todo.spec, folder, before if before in found else None)
    return list(found.values())


def perform(part: Part, spec: RunSpec, root: Path, device: str) -> None:
    """Computes one task; stages before it that are not stored are computed too."""
    todo = work(spec, Store(root), device)
    {"pretrain": todo.representations, "labels": todo.learned_labels, "train": todo.result}[part]()
