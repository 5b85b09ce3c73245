"""Rules for sources and builds of assignments; every check yields all its complaints, so that none hides another.

nbgrader reports many such errors late and vaguely: duplicate ids, missing points, a solution outside a solution cell.
The allowed content of a release is computed here a second time, independently of nbgrader, and compared.
"""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

from mugkit.course.assignment import Assignment, grade_id, kind, points, read, secrets, without_solution
from mugkit.course.build import release
from mugkit.course.guide import hints_of

_TOTAL = re.compile(r"\*\*(\d+) points: (\d+) automatic, (\d+) by hand\.")
_MARKERS = ("BEGIN SOLUTION", "END SOLUTION", "BEGIN HIDDEN TESTS", "END HIDDEN TESTS")


def problems(task: Assignment) -> list[str]:
    """All faults of a source; empty if there are none."""
    of_cells = (f"'{_name(cell)}' {complaint}" for cell in task.notebook.cells for complaint in _of_cell(cell))
    return [f"{task.path.name}: {complaint}" for complaint in (*_of_notebook(task), *of_cells)]


def build_problems(out: Path, chosen: list[Assignment]) -> list[str]:
    """All faults of a build of these sources; empty if there are none."""
    complaints = [f"{task.path.name}: {text}" for task in chosen for text in _released(out, task)]
    return complaints + list(_zip(out, chosen))


def _of_notebook(task: Assignment) -> Iterator[str]:
    ids = [cell.get("id") for cell in task.notebook.cells]
    for what, names in (("cell id", ids), ("grade_id", filter(None, map(grade_id, task.notebook.cells)))):
        yield from (f"{what} '{name}' occurs {times} times" for name, times in Counter(names).items() if times > 1)
    first = task.notebook.cells[0].source if task.notebook.cells else ""
    stated, actual = _TOTAL.search(first), (task.automatic_points, task.manual_points)
    if stated is None:
        yield "the first cell does not state '**N points: A automatic, M by hand.'"
    elif tuple(map(int, stated.groups())) != (sum(actual), *actual):
        yield f"the first cell states {', '.join(stated.groups())} points, the cells have {(sum(actual), *actual)}"
    lacking = [key for key in ("title", "minutes", "goals") if not task.about.get(key)]
    yield from (f"the notebook's metadata lacks mugkit.{key}" for key in lacking)
    yield from (f"a goal is not in the first cell: {goal}" for goal in task.about.get("goals", []) if goal not in first)


def _of_cell(cell: Any) -> Iterator[str]:
    what, shown = kind(cell), without_solution(cell)
    if what != "explore" and not grade_id(cell):
        yield "has no grade_id"
    if what in ("test", "essay") and points(cell) < 1:
        yield "has no points"
    if what in ("test", "given", "text") and not cell.metadata.get("nbgrader", {}).get("locked"):
        yield "is not locked"
    if what in ("answer", "essay") and not secrets(cell):
        yield "has no solution"
    if what not in ("answer", "essay", "test") and any(marker in cell.source for marker in _MARKERS):
        yield "has a solution or hidden tests but is neither answer nor test"
    if any(marker in shown for marker in _MARKERS):
        yield "has a marker without its counterpart"
    if what == "test":
        yield from _of_test(cell, shown)
    # A source is committed with its outputs, which nbval compares; a test that passes prints nothing.
    if cell.cell_type == "code" and cell.execution_count is None:
        yield "was not run: run `make notebooks`"
    if what == "explore" and not cell.outputs:
        yield "has no outputs: run `make notebooks`"


def _of_test(cell: Any, shown: str) -> Iterator[str]:
    seen, comparisons = (len(re.findall(r"expect(?:_close)?\(", source)) for source in (shown, cell.source))
    if not seen:
        yield "tests nothing that students see"
    if not secrets(cell):
        yield "has no hidden tests"
    if len(hints_of(cell)) != comparisons:
        yield "has a comparison without a hint"
    if cell.outputs:
        yield "has outputs: a test that passes prints nothing"


def _name(cell: Any) -> str:
    return grade_id(cell) or cell.source[:50]


def _released(out: Path, task: Assignment) -> Iterator[str]:
    """Compares the release version with what the source prescribes."""
    path = release(out, task.name)
    if not path.is_file():
        yield "not built: run `mugkit course build`"
        return
    built = read(path).notebook.cells
    if len(built) != len(task.notebook.cells):
        yield f"the release has {len(built)} cells, the source {len(task.notebook.cells)}"
    for cell, source in zip(built, task.notebook.cells, strict=False):
        if cell.source.rstrip() != without_solution(source).rstrip():
            yield f"'{_name(source)}' in the release is not what the source says: run `mugkit course build`"
        if any(marker in cell.source for marker in _MARKERS):
            yield f"'{_name(source)}' gives away a solution or a hidden test"
        if cell.get("outputs"):
            yield f"'{_name(source)}' in the release has outputs, which give an answer away"
        for key in ("grade_id", "locked", "points", "grade", "solution"):
            if cell.metadata.get("nbgrader", {}).get(key) != source.metadata.get("nbgrader", {}).get(key):
                yield f"'{_name(source)}' has another {key} in the release"


def _zip(out: Path, chosen: list[Assignment]) -> Iterator[str]:
    """Checks that students get the release versions and a README, and nothing else."""
    path = out / "students.zip"
    if not path.is_file():
        yield "students.zip is not built: run `mugkit course build`"
        return
    with zipfile.ZipFile(path) as archive:
        expected = {"assignments/README.md", *(f"assignments/{task.name}.ipynb" for task in chosen)}
        if set(archive.namelist()) != expected:
            yield f"students.zip holds {sorted(archive.namelist())}, not {sorted(expected)}"
        for task in chosen:
            built, inside = release(out, task.name), f"assignments/{task.name}.ipynb"
            both = built.is_file() and inside in archive.namelist()
            if both and nbformat.reads(archive.read(inside).decode(), 4) != read(built).notebook:
                yield f"students.zip has another version of {task.name} than the release"
