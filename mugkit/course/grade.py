"""Grades a folder of submissions: nbgrader's gradebook and feedback, points decided by the judge.

    SUBMISSIONS/NAME/A.ipynb    (or NAME/A/A.ipynb)
    OUT/                        a build of the course, and:
    OUT/submitted, autograded, feedback     as nbgrader has them; OUT/gradebook.db for grading by hand
    OUT/points.csv              a line a student and assignment
    OUT/tests.csv               a line a student and test, with the hint where it failed

What a student handed in is untrusted, its structure too. `assemble` takes the text of answers and of added cells out of
it and puts them into the release version, so that nothing else of the file matters: not its metadata, points, cell
types, outputs, nor tests that were changed, copied or deleted.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
from nbformat.v4 import new_code_cell, new_markdown_cell

from mugkit import files, notebook_files
from mugkit.course import assignment, build, lint
from mugkit.course.assignment import EXPLORE, Assignment, grade_id, kind
from mugkit.course.sandbox import Limits
from mugkit.errors import UserError
from mugkit.stages.training import progress

MISSING = "not handed in"


@dataclass(frozen=True)
class Graded:
    """A student's points in one assignment.

    Attributes:
        automatic: points of tests, of `of`.
        status: graded, not handed in, or why it could not be graded.
        tests: by test, its points, the most it can give, and what was said where it failed.
    """

    student: str
    assignment: str
    automatic: float
    of: float
    status: str
    tests: tuple[dict[str, Any], ...] = ()


def grade(
    submissions: Path,
    out: Path,
    protected: bool = True,
    limits: Limits | None = None,
    chosen: Sequence[Assignment] | None = None,
) -> list[Graded]:
    """Grades every student on every assignment; one that cannot be graded does not stop the others.

    Raises:
        UserError: there are no submissions, or `out` holds a build of other sources.
    """
    students = _students(submissions)
    chosen = assignment.all_assignments() if chosen is None else list(chosen)
    _prepare(out, chosen)
    grader = build.api(out, _settings(protected, limits or Limits(), chosen))
    pairs = [(student, one) for student in students for one in chosen]
    graded = [_one(student, one, out, grader) for student, one in progress(pairs, "grading")]
    _write(graded, out)
    return graded


def _students(submissions: Path) -> list[Path]:
    if not submissions.is_dir():
        raise UserError("no such folder", file=submissions, fix="name a folder that holds one folder per student")
    found = sorted(path for path in submissions.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not found:
        fix = "put each student's notebooks into a folder of its own: SUBMISSIONS/NAME/ASSIGNMENT.ipynb"
        raise UserError("no student's folder in it", file=submissions, fix=fix)
    return found


def _prepare(out: Path, chosen: list[Assignment]) -> None:
    """A build to grade with; an earlier one is kept, since its gradebook may hold points given by hand."""
    if not (out / "gradebook.db").exists():
        build.build(out, chosen)
    elif complaints := lint.build_problems(out, chosen):
        fix = "grade into another folder, or bring the sources back"
        raise UserError(f"built from other sources: {complaints[0]}", file=out, fix=fix)


def _settings(protected: bool, limits: Limits, chosen: Sequence[Assignment]) -> dict[str, dict[str, Any]]:
    """nbgrader with the judge in place of its kernel; hidden tests stay out of feedback."""
    from nbconvert.preprocessors import CSSHTMLHeaderPreprocessor
    from nbgrader.preprocessors import (  # type: ignore[import-untyped]
        CheckCellMetadata,
        ClearHiddenTests,
        GetGrades,
        LimitOutput,
        SaveAutoGrades,
    )

    from mugkit.course.execute import JudgeExecute

    sources = str(chosen[0].path.parent) if chosen else ""
    return {
        "Autograde": {"autograde_preprocessors": [JudgeExecute, LimitOutput, SaveAutoGrades, CheckCellMetadata]},
        "GenerateFeedback": {"preprocessors": [GetGrades, ClearHiddenTests, CSSHTMLHeaderPreprocessor]},
        "JudgeExecute": {"protected": protected, "limits": asdict(limits), "sources": sources},
    }


def _one(folder: Path, one: Assignment, out: Path, grader: Any) -> Graded:
    """One student's work on one assignment."""
    student, empty = folder.name, Graded(folder.name, one.name, 0.0, float(one.automatic_points), MISSING)
    try:
        handed_in = _handed_in(folder, one.name)
        if handed_in is None:
            return empty
        notebook = assemble(handed_in, nbformat.read(build.release(out, one.name), as_version=4))
        target = out / "submitted" / student / one.name / f"{one.name}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, target)
        _succeed(grader.autograde(one.name, student))
        _succeed(grader.generate_feedback(one.name, student))
        return _points(one, student, out, grader)
    except Exception as error:  # whatever a submission provokes is that student's alone
        return replace(empty, status=f"could not be graded: {_reason(error)}")


def _reason(error: Exception) -> str:
    """One line: nbgrader's errors are whole tracebacks, which end in what happened."""
    if isinstance(error, UserError):
        return error.problem
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[-1][:300]}"


def _handed_in(folder: Path, name: str) -> Any | None:
    """The notebook as it was handed in; None if there is none."""
    for path in (folder / f"{name}.ipynb", folder / name / f"{name}.ipynb"):
        if path.is_symlink() or path.parent.is_symlink():
            raise UserError("a link in place of a file", file=path.name, fix="hand in the notebook itself")
        if path.is_file():
            return notebook_files.load(path)
    return None


def assemble(handed_in: Any, release: Any) -> Any:
    """The release version with a student's answers and added cells in it.

    Args:
        handed_in: the submission's JSON; anything but cells is ignored.
        release: the release version.
    """
    known = {grade_id(cell): cell for cell in release.cells if grade_id(cell)}
    answers: dict[str, str] = {}
    added: dict[str, list[Any]] = {"": []}
    pending: list[Any] = []
    for cell in handed_in["cells"]:
        name = str(_object(_object(cell, "metadata"), "nbgrader").get("grade_id", ""))
        if name not in known:
            pending.append(_added(cell))
        elif name not in answers:  # a copy of a cell does not count twice
            answers[name] = _text(cell)
            added[name], pending = pending, []
    cells = []
    for name, cell in known.items():
        cell = copy.deepcopy(cell)
        if kind(cell) in ("answer", "essay") and name in answers:
            cell.source = answers[name] if cell.cell_type == "code" else _harmless(answers[name])
        cells += [*added.get(name, []), cell]
    assembled = copy.deepcopy(release)
    assembled.cells = cells + pending
    return assembled


def _object(outer: dict[str, Any], name: str) -> dict[str, Any]:
    """A field that ought to be an object; an empty one otherwise."""
    found = outer.get(name)
    return found if isinstance(found, dict) else {}


def _text(cell: Any) -> str:
    """A cell's text; what is no text, and half a character, cannot have come from an editor."""
    source = cell.get("source", "")
    lines = source if isinstance(source, list) else [source]
    return "".join(line for line in lines if isinstance(line, str)).encode(errors="replace").decode()


def _harmless(text: str) -> str:
    """Markdown without HTML: it is shown in the browser of whoever grades."""
    return text.replace("<", "&lt;")


def _added(cell: Any) -> Any:
    """A cell of the student's own, without anything but its text and whether it is for exploring."""
    if cell.get("cell_type") != "code":
        return new_markdown_cell(_harmless(_text(cell)))
    tags = _object(cell, "metadata").get("tags")
    explores = isinstance(tags, list) and EXPLORE in tags
    return new_code_cell(_text(cell), metadata={"tags": [EXPLORE]} if explores else {})


def _succeed(result: dict[str, Any]) -> None:
    if not result["success"]:
        raise RuntimeError((result.get("error") or result.get("log") or "nbgrader failed").strip())


def _points(one: Assignment, student: str, out: Path, grader: Any) -> Graded:
    """Reads the gradebook: what nbgrader made of the judge's outcomes."""
    hints = _messages(out / "autograded" / student / one.name / f"{one.name}.ipynb")
    tests = []
    with grader.gradebook as gradebook:
        for grade in gradebook.find_submission_notebook(one.name, one.name, student).grades:
            if grade.name in hints:
                row = {"test": grade.name, "points": float(grade.auto_score or 0), "of": float(grade.max_score)}
                tests.append(row | {"message": hints[grade.name]})
    earned = sum(test["points"] for test in tests)
    return Graded(student, one.name, earned, float(one.automatic_points), "graded", tuple(tests))


def _messages(path: Path) -> dict[str, str]:
    """By test, what its failure said; empty text where it passed."""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if kind(cell) == "test"]
    return {grade_id(cell): " ".join(output.evalue for output in cell.outputs if "evalue" in output) for cell in cells}


def _write(graded: Sequence[Graded], out: Path) -> None:
    rows = [{key: value for key, value in asdict(one).items() if key != "tests"} for one in graded]
    tests = [{"student": one.student, "assignment": one.assignment, **test} for one in graded for test in one.tests]
    columns = ["student", "assignment", "test", "points", "of", "message"]
    for name, table in (("points", pd.DataFrame(rows)), ("tests", pd.DataFrame(tests, columns=columns))):
        with files.atomic_path(out / f"{name}.csv") as path:
            table.to_csv(path, index=False)
