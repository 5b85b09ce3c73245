"""The sources keep to the rules; and the lint sees each fault in a source that has it."""

from __future__ import annotations

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


def marks(notebook: Any, name: str) -> Any:
    return cell(notebook, name).metadata.nbgrader


def edit(notebook: Any, name: str, old: str, new: str) -> None:
    assert old in cell(notebook, name).source
    cell(notebook, name).source = cell(notebook, name).source.replace(old, new)


FAULTS: dict[str, tuple[Callable[[Any], object], str]] = {
    "grade_id twice": (lambda n: marks(n, "mae").update(grade_id="acc7"), "grade_id 'acc7' occurs 2 times"),
    "no points": (lambda n: marks(n, "test-mae").pop("points"), "'test-mae' has no points"),
    "other sum": (lambda n: marks(n, "test-mae").update(points=3), "the cells have (26, 22, 4)"),
    "goal not shown": (lambda n: edit(n, "title", "five metrics", "metrics"), "a goal is not in the first cell"),
    "unlocked test": (lambda n: marks(n, "test-mae").update(locked=False), "'test-mae' is not locked"),
    "no solution": (lambda n: cell(n, "mae").update(source="pass"), "'mae' has no solution"),
    "solution elsewhere": (
        lambda n: cell(n, "setup").update(source="### BEGIN SOLUTION\nx = 1\n### END SOLUTION"),
        "'setup' has a solution",
    ),
    "tests not closed": (lambda n: edit(n, "test-mae", "### END HIDDEN TESTS", ""), "without its counterpart"),
    "no hidden tests": (
        lambda n: cell(n, "test-mae").update(source=cell(n, "test-mae").source.partition("### BEGIN")[0]),
        "no hidden tests",
    ),
    "only hidden tests": (
        lambda n: cell(n, "test-mae").update(source="### BEGIN" + cell(n, "test-mae").source.partition("### BEGIN")[2]),
        "tests nothing that students see",
    ),
    "no hint": (lambda n: edit(n, "test-mae", ', "predictions are not clipped for the error"', ""), "without a hint"),
    "not run": (lambda n: cell(n, "setup").update(execution_count=None), "'setup' was not run"),
    "printing test": (
        lambda n: cell(n, "test-mae").update(outputs=[{"output_type": "stream"}]),
        "'test-mae' has outputs",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_lint_of_assignments_sees(fault: str) -> None:
    spoil, complaint = FAULTS[fault]
    notebook = copy.deepcopy(variants.numbered(1).notebook)
    spoil(notebook)
    found = problems(Assignment(Path("spoilt.ipynb"), notebook))
    assert any(complaint in problem for problem in found), found
