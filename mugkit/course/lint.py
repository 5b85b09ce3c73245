"""What sources and builds of assignments must keep to; each check yields its complaints, so that all are seen at once.

nbgrader notices much of this late and says it vaguely: duplicate ids, missing points, a solution outside of a solution
cell. What a release may hold is worked out here a second time, apart from nbgrader, and compared.
"""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat

from mugkit.course.assignment import (
    Assignment,
    all_assignments,
    grade_id,
    kind,
    points,
    read,
    secrets,
    without_solution,
)
from mugkit.course.build import release
from mugkit.course.guide import hints_of

_TOTAL = re.compile(r"\*\*(\d+) points: (\d+) automatic, (\d+) by hand\.")
_MARKERS = ("BEGIN SOLUTION", "END SOLUTION", "BEGIN HIDDEN TESTS", "END HIDDEN TESTS")


def problems(one: Assignment) -> list[str]:
    """Everything that is wrong with a source; empty if nothing is."""
    return [f"{one.path.name}: {complaint}" for check in _CHECKS for complaint in check(one)]


def build_problems(out: Path, chosen: list[Assignment] | None = None) -> list[str]:
    """Everything that is wrong with a build of these sources; empty if nothing is."""
    chosen = all_assignments() if chosen is None else chosen
    complaints = [f"{one.path.name}: {text}" for one in chosen for text in _released(out, one)]
    return complaints + list(_zip(out, chosen))


def _ids(one: Assignment) -> Iterator[str]:
    for what, ids in (
        ("cell id", [cell.get("id") for cell in one.notebook.cells]),
        ("grade_id", [grade_id(cell) for cell in one.notebook.cells if grade_id(cell)]),
    ):
        yield from (f"{what} '{name}' occurs {times} times" for name, times in Counter(ids).items() if times > 1)
    for cell in one.notebook.cells:
        if kind(cell) != "explore" and not grade_id(cell):
            yield f"a cell without grade_id: {cell.source[:50]!r}"


def _points(one: Assignment) -> Iterator[str]:
    for cell in one.cells("test", "essay"):
        if points(cell) < 1:
            yield f"'{grade_id(cell)}' has no points"
    stated = _TOTAL.search(one.notebook.cells[0].source if one.notebook.cells else "")
    actual = (one.automatic_points + one.manual_points, one.automatic_points, one.manual_points)
    if stated is None:
        yield "the first cell does not state '**N points: A automatic, M by hand.'"
    elif tuple(map(int, stated.groups())) != actual:
        yield f"the first cell states {', '.join(stated.groups())} points, the cells have {actual}"


def _about(one: Assignment) -> Iterator[str]:
    for key in ("title", "minutes", "goals"):
        if not one.about.get(key):
            yield f"the notebook's metadata lacks mugkit.{key}"
    first = one.notebook.cells[0].source if one.notebook.cells else ""
    yield from (f"a goal is not in the first cell: {goal}" for goal in one.about.get("goals", []) if goal not in first)


def _locks(one: Assignment) -> Iterator[str]:
    for cell in one.cells("test", "given", "text"):
        if not cell.metadata.get("nbgrader", {}).get("locked"):
            yield f"'{grade_id(cell)}' is not locked"


def _solutions(one: Assignment) -> Iterator[str]:
    for cell in one.notebook.cells:
        marked = any(marker in cell.source for marker in _MARKERS)
        if kind(cell) in ("answer", "essay") and not secrets(cell):
            yield f"'{grade_id(cell)}' has no solution"
        if kind(cell) not in ("answer", "essay", "test") and marked:
            yield f"'{grade_id(cell)}' has a solution or hidden tests but is neither answer nor test"
        if any(marker in without_solution(cell) for marker in _MARKERS):
            yield f"'{grade_id(cell)}': a marker without its counterpart"


def _hints(one: Assignment) -> Iterator[str]:
    for cell in one.cells("test"):
        visible = without_solution(cell)
        calls = visible.count("expect(") + visible.count("expect_close(")
        if not calls:
            yield f"'{grade_id(cell)}' tests nothing that students see"
        if not secrets(cell):
            yield f"'{grade_id(cell)}' has no hidden tests"
        if len(hints_of(cell)) != cell.source.count("expect(") + cell.source.count("expect_close("):
            yield f"'{grade_id(cell)}': a comparison without a hint"


def _outputs(one: Assignment) -> Iterator[str]:
    """A source is committed as it ran: nbval compares it, and a test that passes prints nothing."""
    for cell in one.notebook.cells:
        name = grade_id(cell) or cell.source[:50]
        if cell.cell_type == "code" and cell.execution_count is None:
            yield f"'{name}' was not run: run `make notebooks`"
        if kind(cell) == "test" and cell.outputs:
            yield f"'{name}' has outputs: a test that passes prints nothing"
        if kind(cell) == "explore" and not cell.outputs:
            yield f"'{name}' has no outputs: run `make notebooks`"


_CHECKS: tuple[Callable[[Assignment], Iterator[str]], ...] = (
    _ids, _points, _about, _locks, _solutions, _hints, _outputs,
)  # fmt: skip


def _released(out: Path, one: Assignment) -> Iterator[str]:
    """The release version against what the source says it must be."""
    path = release(out, one.name)
    if not path.is_file():
        yield "not built: run `mugkit course build`"
        return
    built = read(path).notebook.cells
    if len(built) != len(one.notebook.cells):
        yield f"the release has {len(built)} cells, the source {len(one.notebook.cells)}"
    for cell, source in zip(built, one.notebook.cells, strict=False):
        name = grade_id(source) or source.source[:40]
        if cell.source.rstrip() != without_solution(source).rstrip():
            yield f"'{name}' in the release is not what the source says: run `mugkit course build`"
        if any(marker in cell.source for marker in _MARKERS):
            yield f"'{name}' gives away a solution or a hidden test"
        if cell.get("outputs"):
            yield f"'{name}' in the release has outputs, which give an answer away"
        for key in ("grade_id", "locked", "points", "grade", "solution"):
            if cell.metadata.get("nbgrader", {}).get(key) != source.metadata.get("nbgrader", {}).get(key):
                yield f"'{name}' has another {key} in the release"


def _zip(out: Path, chosen: list[Assignment]) -> Iterator[str]:
    """What students get is the release, and nothing else."""
    path = out / "students.zip"
    if not path.is_file():
        yield "students.zip is not built: run `mugkit course build`"
        return
    with zipfile.ZipFile(path) as archive:
        expected = {"assignments/README.md", *(f"assignments/{one.name}.ipynb" for one in chosen)}
        if set(archive.namelist()) != expected:
            yield f"students.zip holds {sorted(archive.namelist())}, not {sorted(expected)}"
        for one in chosen:
            built, inside = release(out, one.name), f"assignments/{one.name}.ipynb"
            both = built.is_file() and inside in archive.namelist()
            if both and nbformat.reads(archive.read(inside).decode(), 4) != read(built).notebook:
                yield f"students.zip has another version of {one.name} than the release"
