"""Builds a course: release versions by nbgrader, pages to read, a zip for students, the instructor's guide.

OUT/source/A/A.ipynb      the source, where nbgrader expects it
OUT/release/A/A.ipynb     what students get
OUT/gradebook.db          nbgrader's database: points, and the tests that grading restores
OUT/reading/A.html        the release version as a page
OUT/students.zip          release versions and a README
OUT/instructor_guide.md   goals, points, hints, rubrics and solutions
OUT/nbgrader_config.py    makes nbgrader, whoever starts it here, grade in the sandbox
"""

import ast
import json
import os
import shutil
import sys
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat

from mugkit import files
from mugkit.course.assignment import Assignment, all_assignments, grade_id, names, points, secrets
from mugkit.errors import UserError

# nbgrader's own step would run students' code under the grader's account; the judge replaces it.
_CONFIG = """\
# Written by mugkit. Autograding in this folder runs in mugkit's sandbox, whoever starts it.
import os

c = get_config()
c.CourseDirectory.root = os.path.dirname(os.path.abspath(__file__))
c.CourseDirectory.course_id = "mugkit"
c.JudgeExecute.sources = os.path.join(c.CourseDirectory.root, "source")
c.Autograde.autograde_preprocessors = [
    "mugkit.course.execute.JudgeExecute",
    "nbgrader.preprocessors.LimitOutput",
    "nbgrader.preprocessors.SaveAutoGrades",
    "nbgrader.preprocessors.CheckCellMetadata",
]
c.GenerateFeedback.preprocessors = [
    "nbgrader.preprocessors.GetGrades",
    "nbgrader.preprocessors.ClearHiddenTests",
    "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
]
"""
# No machine has this kernel, so nbgrader's own step fails before it runs anything.
_NO_KERNEL = {"name": "judged-in-a-sandbox", "display_name": "graded by mugkit course grade", "language": "python"}
_README = """\
# Assignments

Install mugkit as its README says and activate its environment (`source MUGKIT/.venv/bin/activate`), then run
`jupyter lab` in this folder. Work through the notebooks in order and run the test below each exercise. Hand in the
notebooks without renaming them, in a folder with your name.
"""
_GUIDE = """\
# Instructor's guide

Written by `mugkit course build` from the sources in `notebooks/assignments/`. Not for students: it has solutions.

Hand out `students.zip`. The repository has the solutions, so give students a copy of it without them to install:
`git archive --output mugkit.zip HEAD . ':!notebooks/assignments' ':!tests/course'`.

Put the notebooks that students hand in into one folder per student, `SUBMISSIONS/NAME/ASSIGNMENT.ipynb`, and run
`mugkit course grade SUBMISSIONS --out DIR`. This fills nbgrader's gradebook and writes feedback pages and `points.csv`.
Other students, other assignments and corrected notebooks can follow into the same DIR.

Grade essays by hand with the rubrics below: run `jupyter lab` in DIR and choose Formgrader in the menu Nbgrader. Then
`nbgrader export` in DIR writes all points to `grades.csv`, and `nbgrader generate_feedback ASSIGNMENT --force` puts
them into the feedback pages. Autograding from Formgrader or with `nbgrader autograde` uses the same sandbox or refuses.
"""


def api(root: Path, protected: bool | None = None) -> Any:
    """nbgrader's API for a course folder, with that folder's configuration.

    Args:
        protected: whether the judge runs answers in bubblewrap; None: it must, and grading fails where it cannot.

    Raises:
        UserError: if nbgrader is not installed.
    """
    try:
        from nbgrader.apps import NbGraderAPI  # type: ignore[import-untyped]
        from nbgrader.coursedir import CourseDirectory  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise UserError("nbgrader is not installed", fix="make setup EXTRAS=course") from error
    from traitlets.config import PyFileConfigLoader

    warnings.filterwarnings("ignore", module="nbgrader.api")  # warnings about its own use of SQLAlchemy
    # nbgrader runs `alembic`, which is installed beside this Python and perhaps not on PATH.
    beside = str(Path(sys.executable).parent)
    if beside not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = beside + os.pathsep + os.environ.get("PATH", "")
    config = PyFileConfigLoader("nbgrader_config.py", path=str(root.absolute())).load_config()
    config.Exchange.root = str(root.absolute())  # unused, but nbgrader complains if it cannot write there
    config.NbGraderAPI.log_level = "ERROR"  # otherwise it logs a page for each notebook
    config.JudgeExecute.protected = protected
    return NbGraderAPI(CourseDirectory(config=config), config=config)


def build(out: Path, chosen: Sequence[Assignment] | None = None) -> list[Path]:
    """Builds all assignments (or the chosen ones) into `out`, replacing an earlier build; returns the files' paths.

    Raises:
        UserError: if `out` holds submissions or something else, or nbgrader refuses a source.
    """
    out = files.replaceable(out, "nbgrader_config.py")
    if (out / "submitted").exists():
        problem = "holds submissions and their points, which a build would delete"
        raise UserError(problem, file=out, fix="build into another folder with --out")
    chosen = all_assignments() if chosen is None else chosen
    with files.atomic_folder(out, replace=True) as folder:
        _configure(folder, chosen)
        grader = api(folder)
        for task in chosen:
            _release(grader, task)
            _write_page(folder, task)
        with zipfile.ZipFile(folder / "students.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("assignments/README.md", _README)
            for task in chosen:
                archive.write(release(folder, task.name), f"assignments/{task.name}.ipynb")
        (folder / "instructor_guide.md").write_text(instructor_guide(chosen), encoding="utf-8")
        guard(folder, chosen)
    return sorted(path for path in out.rglob("*") if path.is_file())


def guard(out: Path, chosen: Sequence[Assignment]) -> None:
    """Makes autograding in a course folder use the sandbox or fail, whoever starts it.

    The folder's configuration names the judge. If nbgrader ignores it, grading stops at a kernel that no machine has.
    """
    _configure(out, chosen)
    with api(out).gradebook as gradebook:
        for task in chosen:
            for notebook in gradebook.find_assignment(task.name).notebooks:
                notebook.kernelspec = json.dumps(_NO_KERNEL)
        gradebook.db.commit()


def _configure(out: Path, chosen: Sequence[Assignment]) -> None:
    for task in chosen:
        (out / "source" / task.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(task.path, out / "source" / task.name)
    with files.atomic_path(out / "nbgrader_config.py") as path:
        path.write_text(_CONFIG, encoding="utf-8")


def release(out: Path, name: str) -> Path:
    """The path of an assignment's release version in a build."""
    return out / "release" / name / f"{name}.ipynb"


def _release(grader: Any, task: Assignment) -> None:
    result = grader.generate_assignment(task.name)
    if not result["success"]:
        said = (result.get("log") or "") + (result.get("error") or "")
        raise UserError(f"nbgrader refuses it: {said.strip()[-600:]}", file=task.path, fix="run `mugkit course check`")


def _write_page(folder: Path, task: Assignment) -> None:
    from nbconvert import HTMLExporter

    page, _ = HTMLExporter().from_notebook_node(nbformat.read(release(folder, task.name), as_version=4))
    target = folder / "reading" / f"{task.name}.html"
    target.parent.mkdir(exist_ok=True)
    target.write_text(page, encoding="utf-8")


def instructor_guide(chosen: Sequence[Assignment]) -> str:
    """Markdown: an overview, then each assignment with its goals, exercises, hints, solutions and rubrics."""
    return "\n".join([_GUIDE, *_overview_table(chosen), *(line for task in chosen for line in _guide_to(task))]) + "\n"


def _overview_table(chosen: Sequence[Assignment]) -> Iterator[str]:
    yield "| assignment | minutes | automatic points | points by hand |\n| --- | --- | --- | --- |"
    for task in chosen:
        minutes = "–".join(map(str, task.about["minutes"]))
        yield f"| {task.about['title']} (`{task.name}`) | {minutes} | {task.automatic_points} | {task.manual_points} |"
    yield ""


def _guide_to(task: Assignment) -> Iterator[str]:
    yield f"## {task.about['title']}\n"
    yield from (f"- {goal}" for goal in task.about["goals"])
    if task.blocked:
        modules = ", ".join(f"`{name}`" for name in task.blocked)
        yield f"\nDuring grading, the library that a submission sees lacks these modules: {modules}.\n"
    yield "\n| test | points | usual mistakes (the hints) |\n| --- | --- | --- |"
    for test in task.cells("test"):
        hints = "; ".join(dict.fromkeys(hint.replace("|", "\\|") for hint in hints_of(test)))
        yield f"| `{grade_id(test)}` | {points(test)} | {hints} |"
    yield "\n### Solutions\n"
    yield from (
        f"`{', '.join(names(cell.source))}`\n\n```python\n{cell.source}\n```\n" for cell in task.cells("answer")
    )
    for essay in task.cells("essay"):
        yield f"### Rubric of `{grade_id(essay)}` ({points(essay)} points)\n"
        yield "\n".join(line for region in secrets(essay) for line in region.splitlines()[1:-1]) + "\n"


def hints_of(test: Any) -> list[str]:
    """The hints of a test's calls of `expect` and `expect_close`: the only text among their arguments."""
    found: list[str] = []
    for node in ast.walk(ast.parse(test.source)):
        match node:
            case ast.Call(func=ast.Name(id="expect" | "expect_close"), args=args, keywords=keywords):
                given = [*args, *(keyword.value for keyword in keywords)]
                found += [
                    part.value for part in given if isinstance(part, ast.Constant) and isinstance(part.value, str)
                ]
    return found
