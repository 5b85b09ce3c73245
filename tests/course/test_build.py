"""What `mugkit course build` makes of the sources, and what `check` finds in a build that was changed."""

import shutil
from pathlib import Path

import nbformat
import pytest
import variants

from mugkit.course.assignment import kind
from mugkit.course.build import build, release
from mugkit.course.lint import build_problems
from mugkit.errors import UserError

CHOSEN = ONE, THREE = [variants.numbered(1), variants.numbered(3)]


@pytest.fixture(scope="module")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "course"
    build(out, CHOSEN)
    return out


@pytest.fixture
def built(built_once: Path, tmp_path: Path) -> Path:
    """A build that a test may change."""
    return shutil.copytree(built_once, tmp_path / "course")


def test_build_release_holds_no_secret_and_passes_the_check(built: Path) -> None:
    assert build_problems(built, CHOSEN) == []
    for assignment in CHOSEN:
        text = release(built, assignment.name).read_text()
        assert "raise NotImplementedError()" in text
        assert "SOLUTION" not in text
        assert "HIDDEN" not in text
    assert "create_graph=True)\\n    return theta" not in release(built, THREE.name).read_text()


def test_build_page_has_no_solutions_and_the_guide_has_goals_points_hints_solutions_and_rubrics(built: Path) -> None:
    page = (built / "reading" / f"{ONE.name}.html").read_text()
    assert "Weighted F1" in page
    assert "take_along_axis" not in page
    guide = (built / "instructor_guide.md").read_text()
    for assignment in CHOSEN:
        assert f"| {assignment.automatic_points} | {assignment.manual_points} |" in guide
    hint, solution, rubric = "first-order MAML", "take_along_axis", "- 1 point: selection, conventions"
    for part in (*ONE.about["goals"], *THREE.about["goals"], "| `test-meta` | 5 |", hint, solution, rubric):
        assert part in guide


def test_build_check_sees_a_solution_outputs_and_other_metadata(built: Path) -> None:
    assert any(cell.get("outputs") for cell in THREE.notebook.cells)  # which the build leaves out
    path = release(built, THREE.name)
    notebook = nbformat.read(path, as_version=4)
    answer, explored, test = (
        next(cell for cell in notebook.cells if kind(cell) == wanted) for wanted in ("answer", "explore", "test")
    )
    answer.source = THREE.cells("answer")[0].source
    explored.outputs = [nbformat.v4.new_output("stream", text="open in 40 of 40 steps")]
    test.metadata.nbgrader.update(points=99, locked=False)
    nbformat.write(notebook, path)
    found = "\n".join(build_problems(built, CHOSEN))
    for part in (
        "'denoise' gives away a solution", "'denoise' in the release is not what the source says",
        "students.zip has another version", "which give an answer away", "another points", "another locked",
    ):  # fmt: skip
        assert part in found


def test_build_replaces_an_earlier_build_and_nothing_else(built: Path, tmp_path: Path) -> None:
    (built / "left over").touch()
    build(built, CHOSEN[:1])
    assert not (built / "left over").exists()
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(UserError, match="replaced as a whole"):
        build(tmp_path, CHOSEN[:1])
    assert (tmp_path / "thesis.txt").exists()


def test_build_check_without_a_build_says_so(tmp_path: Path) -> None:
    found = build_problems(tmp_path, CHOSEN)
    assert len(found) == len(CHOSEN) + 1
    assert all("mugkit course build" in problem for problem in found)
