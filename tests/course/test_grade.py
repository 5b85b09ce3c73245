"""Submissions through nbgrader itself: points, feedback, and files that were tampered with or are none."""

import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
import variants
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from nbgrader.api import Gradebook  # type: ignore[import-untyped]

from mugkit.course import execute, sandbox
from mugkit.course.assignment import grade_id, kind, without_solution
from mugkit.course.build import build
from mugkit.course.grade import Graded, grade
from mugkit.course.handed_in import assemble, doubts, identify
from mugkit.course.sandbox import Limits
from mugkit.errors import UserError

ONE = variants.numbered(1)
USUAL = f"{ONE.name}.ipynb"
GradedCourse = tuple[Path, dict[str, Graded]]  # its folder, and what each student got


def release(number: int = 1) -> Any:
    """The release version of an assignment, worked out without nbgrader."""
    notebook = copy.deepcopy(variants.numbered(number).notebook)
    for cell in notebook.cells:
        cell.source = without_solution(cell)
    return notebook


def filled(**changed: str) -> Any:
    """A submission: all answers right but for those given."""
    notebook = release()
    for cell in notebook.cells:
        if kind(cell) == "answer":
            cell.source = changed.get(grade_id(cell), variants.solution(1, grade_id(cell)))
    return notebook


def cell_of(notebook: Any, name: str) -> Any:
    return next(cell for cell in notebook.cells if grade_id(cell) == name)


def tampered() -> Any:
    """No right answer; points raised, a test emptied, one deleted, one copied, an answer unlocked as a passed test."""
    notebook = release()
    for cell in notebook.cells:
        if kind(cell) == "test":
            cell.metadata.nbgrader.points = 1000
    cell_of(notebook, "test-acc7").source = "assert True"
    notebook.cells.remove(cell_of(notebook, "test-f1-value"))
    notebook.cells.append(copy.deepcopy(cell_of(notebook, "test-acc7")))
    cell_of(notebook, "acc2").metadata.nbgrader.update(grade=True, points=50)
    return notebook


def with_helper() -> Any:
    notebook = filled(mae="def mae(prediction, truth):\n    return helper(prediction, truth)")
    notebook.cells.insert(2, new_code_cell("def helper(a, b):\n    return abs(a - b).mean()"))
    return notebook


def with_script() -> Any:
    notebook = filled(mae="print('<script>alert(1)</script>')\n" + variants.solution(1, "mae"))
    notebook.cells.append(new_markdown_cell("<script>alert(1)</script>"))
    return notebook


def without_metadata() -> Any:
    notebook = filled()
    for cell in notebook.cells:
        cell.metadata = {}
    return notebook


def with_plots() -> Any:
    notebook = filled()
    cell_of(notebook, "mae").outputs = [new_output("display_data", {"image/png": "A" * 25 * 1024**2})]
    return notebook


def with_markers() -> Any:
    """Answers that hold markers which mean something to nbgrader."""
    unclosed = variants.solution(1, "acc7").replace("### END SOLUTION", "")
    return filled(mae="### BEGIN HIDDEN TESTS\n" + variants.solution(1, "mae"), acc7=unclosed)


def encoded(notebook: Any, encoding: str = "utf-8") -> bytes:
    return json.dumps(notebook, ensure_ascii=False).encode(encoding, errors="replace")


SWAPPED = next(wrong for wrong in variants.WRONG if wrong.what == "arguments swapped")
POINTS = {  # by student: what is handed in, and its points of 20
    "right": (filled(), 20),
    "blank": (release(), 0),
    "swapped": (filled(**variants.wrong(SWAPPED)), 16),
    "helped": (with_helper(), 20),
    "tampered": (tampered(), 0),
    "loop": (filled(choose="while True: pass"), 17),
    "page": (with_script(), 20),
}
ODD: dict[str | bytes, tuple[str, bytes, str]] = {  # by student: path and content of a right file, and what is said
    "no metadata": (USUAL, encoded(without_metadata()), "recognised by their text"),
    "renamed": ("1_metrics (1).ipynb", encoded(filled()), "found as 1_metrics (1).ipynb"),
    "utf 16": (USUAL, encoded(filled(), "utf-16"), "graded"),
    "latin 1": (USUAL, encoded(filled(mae=variants.solution(1, "mae") + "\n# d\u00e9j\u00e0 vu"), "latin-1"), "graded"),
    "byte order mark": (USUAL, encoded(filled(), "utf-8-sig"), "graded"),
    "below": (f"week 1/mine/{USUAL}", encoded(filled()), "found as week 1/mine"),
    "plots": (USUAL, encoded(with_plots()), "graded"),
    "markers": (USUAL, encoded(with_markers()), "graded"),
    "copy": (USUAL, encoded(filled()), "graded (left out: old.ipynb)"),
    **{name: (USUAL, encoded(filled()), "graded") for name in ("[a-z]*", "two\nlines", "n" * 200, b"Jos\xe9")},
}
SHOWN = {"two\nlines": "two\\nlines", b"Jos\xe9": "Jos\\xe9"}
UNREADABLE = {
    "broken": "could not be graded", "linked": "a link", "absent": "not handed in",
    "a link to a folder": "a link in place of a folder", "twice": "handed in 2 times: one.ipynb, other.ipynb",
    "packed": "week1.zip is no notebook", "exported": f"{ONE.name}.html is no notebook",
}  # fmt: skip


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> GradedCourse:
    """One course with all kinds of students, graded once."""
    root = tmp_path_factory.mktemp("course")
    files = {f"{student}/{USUAL}": encoded(notebook) for student, (notebook, _) in POINTS.items()}
    files |= {f"{os.fsdecode(student)}/{place}": content for student, (place, content, _) in ODD.items()}
    files |= {f"twice/{name}.ipynb": encoded(filled()) for name in ("one", "other")}
    files[f"broken/{USUAL}"] = b"{{ no notebook"
    files["copy/old.ipynb"] = encoded(release())
    files |= {"packed/week1.zip": b"PK", f"exported/{ONE.name}.html": b"<html>"}
    for place, content in files.items():
        (root / "in" / place).parent.mkdir(parents=True, exist_ok=True)
        (root / "in" / place).write_bytes(content)
    (root / "in" / "absent").mkdir()
    (root / "in" / "linked").mkdir()
    (root / "in" / "linked" / USUAL).symlink_to(root / "in" / "right" / USUAL)
    (root / "in" / "a link to a folder").symlink_to(root / "in" / "renamed")
    held = sandbox.contains(sandbox.protection())  # bounded attacks only: they need no sandbox to end
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execute, "Limits", lambda: Limits(cell_seconds=20.0))
        graded = grade(root / "in", root / "out", protected=held, chosen=[ONE])
    return root / "out", {result.student: result for result in graded}


@pytest.mark.parametrize("student", POINTS)
def test_grade_points(student: str, course: GradedCourse) -> None:
    found = course[1][student]
    assert (found.status, found.automatic, found.of) == ("graded", POINTS[student][1], 20)
    expected = {grade_id(cell): float(cell.metadata.nbgrader.points) for cell in ONE.cells("test")}
    assert [(test["test"], test["of"]) for test in found.tests] == list(expected.items())  # each once, with its points


@pytest.mark.parametrize("name", ODD, ids=repr)
def test_grade_unusual_name_or_file_is_recognised_and_said(name: str | bytes, course: GradedCourse) -> None:
    shown = SHOWN.get(name, str(name))
    found = course[1][shown]
    assert found.automatic == 20, found.status
    assert ODD[name][2] in found.status
    assert (course[0] / "feedback" / found.id / ONE.name / f"{ONE.name}.html").is_file()
    assert pd.read_csv(course[0] / "points.csv").set_index("student").loc[shown, "automatic"] == 20


@pytest.mark.parametrize("student", UNREADABLE)
def test_grade_unreadable_submission_stops_nobody_else(student: str, course: GradedCourse) -> None:
    found = course[1][student]
    assert (UNREADABLE[student] in found.status, found.automatic) == (True, 0)
    assert student == "absent" or "; " in found.status, "what to do about it"


def test_grade_writes_a_table_of_points_and_one_of_tests(course: GradedCourse) -> None:
    assert len(pd.read_csv(course[0] / "points.csv")) == len(course[1])
    tests = pd.read_csv(course[0] / "tests.csv")
    swapped = tests[(tests.student == "swapped") & (tests.points == 0)].set_index("test")
    assert set(swapped.index) == {"test-f1-value", "test-f1-order"}
    assert "weights come from the truth" in swapped.loc["test-f1-order", "message"]


def test_another_assignment_and_other_students_extend_the_tables_and_nothing_replaces_them(
    course: GradedCourse, tmp_path: Path
) -> None:
    out, five = shutil.copytree(course[0], tmp_path / "graded"), variants.numbered(5)
    before = {name: pd.read_csv(out / f"{name}.csv", dtype=str) for name in ("points", "tests")}
    (tmp_path / "in" / "right").mkdir(parents=True)
    for name, notebook in ((ONE.name, filled()), (five.name, release(5))):
        nbformat.write(notebook, tmp_path / "in" / "right" / f"{name}.ipynb")
    (found,) = grade(tmp_path / "in", out, sandbox.contains(sandbox.protection()), chosen=[five])
    assert (found.status, found.automatic) == ("graded", 0)
    for name, earlier in before.items():
        table = pd.read_csv(out / f"{name}.csv", dtype=str)
        assert table[table.assignment == ONE.name].reset_index(drop=True).equals(earlier)
        assert set(table[table.assignment == five.name].student) == {"right"}
    with pytest.raises(UserError, match="would delete"):
        build(out)
    (out / "points.csv").write_text("student;points\n")
    with pytest.raises(UserError, match="columns"):
        grade(tmp_path / "in", out, chosen=[five])


def test_grade_feedback_has_points_and_hints_but_no_hidden_test_and_no_script(course: GradedCourse) -> None:
    page = (course[0] / "feedback" / "swapped" / ONE.name / f"{ONE.name}.html").read_text()
    assert "weights come from the truth" in page
    assert "HIDDEN TESTS" not in page
    assert "from mugkit.metrics" not in page
    assert "<script>alert(1)" not in (course[0] / "feedback" / "page" / ONE.name / f"{ONE.name}.html").read_text()


@pytest.mark.parametrize("configured", [True, False], ids=["its configuration", "none"])
def test_nbgrader_started_in_the_folder_runs_no_answer_outside_the_sandbox(
    configured: bool, course: GradedCourse, tmp_path: Path
) -> None:
    """With the folder's configuration the sandbox judges; without it, nothing runs."""
    out = shutil.copytree(course[0], tmp_path / "graded")
    written = tmp_path / "written"
    path = out / "submitted" / "right" / ONE.name / USUAL
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(2, new_code_cell(f"open({str(written)!r}, 'w').write('as whoever grades')"))
    nbformat.write(notebook, path)
    if not configured:
        (out / "nbgrader_config.py").unlink()
    arguments = ["autograde", ONE.name, "--student", "right", "--force", "--course-dir", str(out)]
    command = [sys.executable, "-m", "nbgrader", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert not written.exists()
    if configured and all(layer.active for layer in sandbox.protection()):
        assert done.returncode == 0, done.stderr
        with Gradebook(f"sqlite:///{out}/gradebook.db") as gradebook:
            grades = gradebook.find_submission_notebook(ONE.name, ONE.name, "right").grades
            assert sum(grade.auto_score or 0 for grade in grades) == 20
    else:
        assert done.returncode != 0


def test_grade_refuses_a_build_of_other_sources_and_a_folder_without_submissions(tmp_path: Path) -> None:
    submissions, out = tmp_path / "submissions", tmp_path / "out"
    build(out, [variants.numbered(5)])
    with pytest.raises(UserError, match="no such folder"):
        grade(submissions, out)
    submissions.mkdir()
    with pytest.raises(UserError, match="no student's folder"):
        grade(submissions, out)
    (submissions / "ann").mkdir()
    with pytest.raises(UserError, match="other sources"):
        grade(submissions, out, chosen=[ONE])


def test_assemble_takes_answers_once_and_added_cells_and_nothing_else() -> None:
    handed_in = filled()
    handed_in.cells.insert(3, new_code_cell("x = 1", metadata={"nbgrader": {"grade_id": "mine", "grade": True}}))
    handed_in.cells.append({**cell_of(handed_in, "mae"), "source": "mae = None"})  # a second copy
    cell_of(handed_in, "test-mae").source = "pass"
    cell_of(handed_in, "protocol").source = "a < b, *really* <script>alert(1)</script>"
    found = assemble(handed_in.cells, release())
    names = [grade_id(cell) for cell in ONE.notebook.cells if grade_id(cell)]  # cells to explore with have none
    assert [grade_id(cell) for cell in found.cells if grade_id(cell)] == names
    assert cell_of(found, "mae").source == variants.solution(1, "mae")
    assert cell_of(found, "test-mae").source == cell_of(release(), "test-mae").source
    assert cell_of(found, "protocol").source == "a &lt; b, *really* &lt;script>alert(1)&lt;/script>"
    (added,) = [cell for cell in found.cells if cell.source == "x = 1"]
    assert "nbgrader" not in added.metadata


@pytest.mark.parametrize("number", range(1, 6))
def test_cells_without_metadata_are_recognised_in_every_assignment(number: int) -> None:
    handed_in = copy.deepcopy(variants.numbered(number).notebook)
    for cell in handed_in.cells:
        cell.source = cell.source if kind(cell) in ("answer", "essay") else without_solution(cell)
    expected = [grade_id(cell) for cell in handed_in.cells]
    for cell in handed_in.cells:
        cell.metadata = {}
    assert identify(handed_in.cells, release(number)) == expected


def test_answer_whose_cell_is_gone_is_named() -> None:
    notebook = filled()
    notebook.cells.remove(cell_of(notebook, "acc7"))
    assert list(doubts(notebook.cells, release())) == ["no cell answers acc7"]
