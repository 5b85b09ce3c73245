"""Rules for sources and builds of assignments; every check yields all its complaints, so that none hides another.

nbgrader reports many such errors late and vaguely: duplicate ids, missing points, a solution outside a solution cell.
The allowed content of a release is computed here a second time, independently of nbgrader, and compared.
"""

import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat

from mugkit.course.assignment import Assignment, grade_id, kind, points, read, secrets, without_solution
from mugkit.course.build import hints_of, release

_TOTAL = re.compile(r"\*\*(\d+) points: (\d+) automatic, (\d+) by hand\.")
_MARKERS = ("BEGIN SOLUTION", "END SOLUTION", "BEGIN HIDDEN TESTS", "END HIDDEN TESTS")


def problems(task: Assignment) -> list[str]:
    """All faults of a source; empty if there are none."""
    of_cells = (f"'{_name(cell)}' {complaint}" for cell in task.notebook.cells for complaint in _of_cell(cell))
    return [f"{task.path.name}: {complaint}" for complaint in (*_of_notebook(task), *of_cells)]


def build_problems(out: Path, chosen: Sequence[Assignment]) -> list[str]:
    """All faults of a build of these sources; empty if there are none."""
    return release_problems(out, chosen) + list(_zip(out, chosen))


def release_problems(out: Path, chosen: Sequence[Assignment]) -> list[str]:
    """All faults of the release versions of these sources in a build that may hold more."""
    return [f"{task.path.name}: {text}" for task in chosen for text in _released(out, task)]


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
    marked = _has_marker(cell.source) and what not in ("answer", "essay", "test")
    visible, comparisons = (len(re.findall(r"expect(?:_close)?\(", source)) for source in (shown, cell.source))
    faults = {
        "has no grade_id": what != "explore" and not grade_id(cell),
        "has no points": what in ("test", "essay") and points(cell) < 1,
        "is not locked": what in ("test", "given", "text") and not cell.metadata.get("nbgrader", {}).get("locked"),
        "has no solution": what in ("answer", "essay") and not secrets(cell),
        "has a solution or hidden tests but is neither answer nor test": marked,
        "has a marker without its counterpart": _has_marker(shown),
        "tests nothing that students see": what == "test" and not visible,
        "has no hidden tests": what == "test" and not secrets(cell),
        "has a comparison without a hint": what == "test" and len(hints_of(cell)) != comparisons,
        # A source is committed with its outputs, which nbval compares; a test that passes prints nothing.
        "has outputs: a test that passes prints nothing": what == "test" and cell.outputs,
        "was not run: run `make notebooks`": cell.cell_type == "code" and cell.execution_count is None,
        "has no outputs: run `make notebooks`": what == "explore" and not cell.outputs,
    }
    yield from (complaint for complaint, found in faults.items() if found)


def _has_marker(source: str) -> bool:
    return any(marker in source for marker in _MARKERS)


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
        if _has_marker(cell.source):
            yield f"'{_name(source)}' gives away a solution or a hidden test"
        if cell.get("outputs"):
            yield f"'{_name(source)}' in the release has outputs, which give an answer away"
        for key in ("grade_id", "locked", "points", "grade", "solution"):
            if cell.metadata.get("nbgrader", {}).get(key) != source.metadata.get("nbgrader", {}).get(key):
                yield f"'{_name(source)}' has another {key} in the release"


def _zip(out: Path, chosen: Sequence[Assignment]) -> Iterator[str]:
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
