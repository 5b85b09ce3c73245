"""A source notebook as data: its exercises, their points, and what students see.

nbgrader's metadata says what a cell is (`kind`); the notebook's own metadata says what the assignment is about:

    "mugkit": {"title": …, "minutes": [60, 90], "goals": […], "blocked": [modules that hold the answer]}
"""

import ast
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import nbformat

from mugkit import files
from mugkit.errors import UserError, unknown_name

Kind = Literal["text", "given", "answer", "test", "essay", "explore"]

EXPLORE = "explore"  # tag of cells that students run but grading skips: they train or need prepared data
CODE_STUB, TEXT_STUB = "# YOUR CODE HERE\nraise NotImplementedError()", "YOUR ANSWER HERE"
_SOLUTION = re.compile(r"^([ \t]*)[^\n]*BEGIN SOLUTION[^\n]*\n.*?END SOLUTION[^\n]*$", re.DOTALL | re.MULTILINE)
_HIDDEN = re.compile(r"^[^\n]*BEGIN HIDDEN TESTS[^\n]*\n.*?END HIDDEN TESTS[^\n]*\n?", re.DOTALL | re.MULTILINE)


def kind(cell: Any) -> Kind:
    """The kind of a cell, from nbgrader's metadata and the tag `EXPLORE`."""
    marks = cell.metadata.get("nbgrader", {})
    if marks.get("solution"):
        return "essay" if marks.get("grade") else "answer"
    if marks.get("grade"):
        return "test"
    if cell.cell_type != "code":
        return "text"
    return "explore" if EXPLORE in cell.metadata.get("tags", []) else "given"


def grade_id(cell: Any) -> str:
    """nbgrader's name of a cell, or '' if it has none."""
    return str(cell.metadata.get("nbgrader", {}).get("grade_id", ""))


def points(*cells: Any) -> int:
    """The sum of the cells' points."""
    return sum(int(cell.metadata.get("nbgrader", {}).get("points", 0) or 0) for cell in cells)


def without_solution(cell: Any) -> str:
    """A cell's source as students get it: stubs instead of solutions, no hidden tests."""
    if kind(cell) not in ("answer", "essay"):
        return _HIDDEN.sub("", cell.source).rstrip("\n")
    stub = CODE_STUB if cell.cell_type == "code" else TEXT_STUB
    shown, found = _SOLUTION.subn(lambda region: textwrap.indent(stub, region[1]), cell.source)
    return shown if found else stub


def secrets(cell: Any) -> list[str]:
    """The parts of a cell that students do not get: regions of the solution, or hidden tests."""
    return [found[0] for pattern in (_SOLUTION, _HIDDEN) for found in pattern.finditer(cell.source)]


def names(source: str) -> list[str]:
    """The names that a cell defines at its top level: functions, classes, variables."""
    found: list[str] = []
    for node in ast.parse(source).body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                found.append(name)
            case ast.Assign(targets=targets):
                found += [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]
    return found


@dataclass(frozen=True)
class Assignment:
    """One assignment: the path of its source, and the notebook in it with solutions and hidden tests."""

    path: Path
    notebook: Any

    @property
    def name(self) -> str:
        """The file name of the source without its suffix."""
        return self.path.stem

    @property
    def about(self) -> dict[str, Any]:
        """The notebook's `mugkit` metadata: title, minutes, goals, blocked."""
        return dict(self.notebook.metadata.get("mugkit", {}))

    @property
    def blocked(self) -> list[str]:
        """Modules of the library that hold the answers; during grading, a submission cannot import them."""
        return list(self.about.get("blocked", []))

    @property
    def preload(self) -> list[str]:
        """Modules that its given cells import and that take much time and memory to load."""
        return ["torch"] if any("import torch" in cell.source for cell in self.cells("given")) else []

    def cells(self, *kinds: Kind) -> list[Any]:
        return [cell for cell in self.notebook.cells if kind(cell) in kinds]

    @property
    def automatic_points(self) -> int:
        return points(*self.cells("test"))

    @property
    def manual_points(self) -> int:
        return points(*self.cells("essay"))


def read(path: Path) -> Assignment:
    return Assignment(path, nbformat.read(path, as_version=4))


def all_assignments() -> list[Assignment]:
    """All sources, in the order of their names; UserError if the package or a copy of its repository lacks them."""
    root = files.repository()
    paths = sorted((root / "notebooks" / "assignments").glob("*.ipynb")) if root else []
    if not paths:
        fix = "clone the repository and install it with `make setup`"
        raise UserError("the assignments are in the repository, which is not here as a whole", fix=fix)
    return [read(path) for path in paths]


def find(name: str) -> Assignment:
    """The assignment of that name; if there is none, a UserError suggests the nearest name."""
    known = {task.name: task for task in all_assignments()}
    if name not in known:
        raise unknown_name("assignment", name, known)
    return known[name]
