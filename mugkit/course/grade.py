"""Grades a folder of submissions: the judge decides on points; nbgrader keeps the gradebook and writes feedback.

    SUBMISSIONS/NAME/A.ipynb    (or NAME/A/A.ipynb)
    OUT/                        a build of the whole course, so that any assignment can follow, and:
    OUT/submitted, autograded, feedback     nbgrader's folders; OUT/gradebook.db for grading by hand
    OUT/points.csv              one line per student and assignment; those that are not graded this time stay
    OUT/tests.csv               one line per student and test, with the hint if it failed; likewise

One student's files never stop the grading of others: an error that they cause becomes that student's status.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd

from mugkit import files
from mugkit.course import build, handed_in, lint
from mugkit.course.assignment import Assignment, all_assignments, grade_id, kind
from mugkit.course.handed_in import Student
from mugkit.errors import UserError
from mugkit.progress import progress

_COLUMNS = {
    "points": ["student", "assignment", "automatic", "of", "status", "id"],
    "tests": ["student", "assignment", "test", "points", "of", "message"],
}


@dataclass(frozen=True)
class Graded:
    """A student's points in one assignment.

    Attributes:
        automatic: points for tests, out of `of`.
        status: graded, with notes on what was doubtful about the file; not handed in; or why it could not be graded.
        id: the student's name in gradebook and feedback.
        tests: for each test its name, its points, the maximum, and its message if it failed.
    """

    student: str
    assignment: str
    automatic: float
    of: float
    status: str
    id: str
    tests: tuple[dict[str, Any], ...] = ()


def grade(
    submissions: Path, out: Path, protected: bool = True, chosen: Sequence[Assignment] | None = None
) -> list[Graded]:
    """Grades every student on every assignment; a submission that cannot be graded does not stop the others.

    Raises:
        UserError: if there are no submissions, or `out` holds a build of other sources or a table that is not ours.
    """
    students, course = handed_in.students(submissions), all_assignments()
    chosen = course if chosen is None else chosen
    if not (out / "gradebook.db").exists():
        build.build(out)
    elif complaints := lint.release_problems(out, chosen):  # not rebuilt: its gradebook may hold points given by hand
        fix = "grade into another folder, or restore the sources"
        raise UserError(f"built from other sources: {complaints[0]}", file=out, fix=fix)
    earlier = {name: _rows(out / f"{name}.csv", columns) for name, columns in _COLUMNS.items()}
    build.guard(out, chosen)
    grader = build.api(out, protected)
    # Not only the chosen: a notebook of another assignment must not be taken for one of them.
    paths = {task.name: build.release(out, task.name) for task in course}
    releases = {name: nbformat.read(path, as_version=4) for name, path in paths.items() if path.is_file()}
    pairs = [(student, task) for student in students for task in chosen]
    graded = [_grade(student, task, out, grader, releases) for student, task in progress(pairs, "grading")]
    _write(graded, earlier, out)
    return graded


def _grade(student: Student, task: Assignment, out: Path, grader: Any, releases: dict[str, Any]) -> Graded:
    empty = Graded(student.name, task.name, 0.0, float(task.automatic_points), "not handed in", student.id)
    try:
        found = handed_in.find(student.folder, task.name, releases)
        if found is None:
            return empty
        release = releases[task.name]
        target = out / "submitted" / student.id / task.name / f"{task.name}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(handed_in.assemble(found.cells, release), target)
        _succeed(grader.autograde(task.name, student.id))
        _succeed(grader.generate_feedback(task.name, student.id))
        notes = "; ".join(filter(None, [found.note, *handed_in.doubts(found.cells, release)]))
        tests = _tests(task, student.id, out, grader)
        automatic = sum(test["points"] for test in tests)
        return replace(empty, status=f"graded ({notes})" if notes else "graded", automatic=automatic, tests=tests)
    except UserError as error:
        return replace(empty, status=f"could not be graded: {handed_in.printable(f'{error.problem}; {error.fix}')}")
    except Exception as error:  # nbgrader's errors are whole tracebacks, whose last line says what happened
        said = handed_in.printable((str(error).strip().splitlines() or [""])[-1][:300])
        return replace(empty, status=f"could not be graded: {type(error).__name__}: {said}")


def _succeed(result: dict[str, Any]) -> None:
    if not result["success"]:
        raise RuntimeError((result.get("error") or result.get("log") or "nbgrader failed").strip())


def _tests(task: Assignment, student: str, out: Path, grader: Any) -> tuple[dict[str, Any], ...]:
    """Points from the gradebook, which nbgrader derived from the judge's results, and the messages of failed tests."""
    judged = nbformat.read(out / "autograded" / student / task.name / f"{task.name}.ipynb", as_version=4)
    outputs = {grade_id(cell): cell.outputs for cell in judged.cells if kind(cell) == "test"}
    said = {name: " ".join(each.evalue for each in shown if "evalue" in each) for name, shown in outputs.items()}
    with grader.gradebook as gradebook:
        grades = gradebook.find_submission_notebook(task.name, task.name, student).grades
        return tuple(
            {"test": each.name, "points": float(each.auto_score or 0), "of": float(each.max_score),
             "message": said[each.name]}
            for each in grades if each.name in said
        )  # fmt: skip


def _rows(path: Path, columns: list[str]) -> list[dict[str, Any]]:
    """The rows of a table that an earlier call wrote, as text."""
    if not path.is_file():
        return []
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except ValueError:  # not UTF-8, or no table
        table = pd.DataFrame()
    if list(table) != columns:
        fix = "move it elsewhere: grading writes it anew and keeps its rows only in the form it had"
        raise UserError(f"its columns are not {', '.join(columns)}", file=path, fix=fix)
    return [dict(zip(columns, row, strict=True)) for row in table.to_numpy()]


def _write(graded: Sequence[Graded], earlier: dict[str, list[dict[str, Any]]], out: Path) -> None:
    """Writes both tables: what was graded now, and earlier rows of other students and assignments."""
    tests = [{"student": row.student, "assignment": row.assignment, **test} for row in graded for test in row.tests]
    now = {"points": [vars(row) for row in graded], "tests": tests}
    again = {(row.student, row.assignment) for row in graded}
    for name, columns in _COLUMNS.items():
        kept = [row for row in earlier[name] if (row["student"], row["assignment"]) not in again]
        rows = sorted([*kept, *now[name]], key=lambda row: (row["student"], row["assignment"]))
        with files.atomic_path(out / f"{name}.csv") as path:
            pd.DataFrame(rows, columns=columns).to_csv(path, index=False)
