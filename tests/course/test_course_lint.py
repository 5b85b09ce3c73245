"""The sources keep to the rules; and the lint sees each fault in a source that has it."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import variants

from mugkit.course.assignment import Assignment, all_assignments, grade_id
from mugkit.course.lint import problems


@pytest.mark.parametrize("assignment", all_assignments(), ids=lambda assignment: assignment.name)
def test_source_keeps_to_the_rules(assignment: Assignment) -> None:
    assert problems(assignment) == []


def cell(notebook: Any, name: str) -> Any:
    return next(candidate for candidate in notebook.cells if grade_id(candidate) == name)


def marked(name: str, **marks: Any) -> Callable[[Any], None]:
    return lambda notebook: cell(notebook, name).metadata.nbgrader.update(marks)


def changed(name: str, **fields: Any) -> Callable[[Any], None]:
    return lambda notebook: cell(notebook, name).update(fields)


def edited(name: str, old: str, new: str) -> Callable[[Any], None]:
    return lambda notebook: cell(notebook, name).update(source=cell(notebook, name).source.replace(old, new))


TEST = cell(variants.numbered(1).notebook, "test-mae").source
SEEN, _, HIDDEN = TEST.partition("### BEGIN")
FAULTS: dict[str, tuple[Callable[[Any], None], str]] = {
    "grade_id twice": (marked("mae", grade_id="acc7"), "grade_id 'acc7' occurs 2 times"),
    "no points": (marked("test-mae", points=0), "'test-mae' has no points"),
    "other sum": (marked("test-mae", points=3), "the cells have (26, 22, 4)"),
    "goal not shown": (edited("title", "five metrics", "metrics"), "a goal is not in the first cell"),
    "unlocked test": (marked("test-mae", locked=False), "'test-mae' is not locked"),
    "no solution": (changed("mae", source="pass"), "'mae' has no solution"),
    "solution elsewhere": (
        changed("setup", source="### BEGIN SOLUTION\nx = 1\n### END SOLUTION"),
        "'setup' has a solution",
    ),
    "tests not closed": (edited("test-mae", "### END HIDDEN TESTS", ""), "without its counterpart"),
    "no hidden tests": (changed("test-mae", source=SEEN), "no hidden tests"),
    "only hidden tests": (changed("test-mae", source=f"### BEGIN{HIDDEN}"), "tests nothing that students see"),
    "no hint": (edited("test-mae", ', "predictions are not clipped for the error"', ""), "without a hint"),
    "not run": (changed("setup", execution_count=None), "'setup' was not run"),
    "printing test": (changed("test-mae", outputs=[{"output_type": "stream"}]), "'test-mae' has outputs"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_lint_of_assignments_sees(fault: str) -> None:
    spoil, complaint = FAULTS[fault]
    notebook = copy.deepcopy(variants.numbered(1).notebook)
    spoil(notebook)
    found = problems(Assignment(Path("spoilt.ipynb"), notebook))
    assert any(complaint in problem for problem in found), found
