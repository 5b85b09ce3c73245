"""The instructor's guide, written from the sources alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Any

from mugkit.course.assignment import Assignment, grade_id, names, points, secrets

_HEAD = """\
# Instructor's guide

Written by `mugkit course build` from the sources in `notebooks/assignments/`. Not for students: it has solutions.

Hand out `students.zip`. Put the notebooks that students hand in into one folder per student,
`SUBMISSIONS/NAME/ASSIGNMENT.ipynb`, and run `mugkit course grade SUBMISSIONS --out DIR`. This fills nbgrader's
gradebook and writes feedback pages and `points.csv`. Grade essays by hand with the rubrics below: run
`nbgrader formgrader` in DIR. Autograding from there or with `nbgrader autograde` uses the same sandbox or refuses.
"""


def instructor_guide(chosen: Sequence[Assignment]) -> str:
    """Markdown: an overview, then each assignment with its goals, exercises, hints, solutions and rubrics."""
    return "\n".join([_HEAD, *_overview(chosen), *(line for task in chosen for line in _assignment(task))]) + "\n"


def _overview(chosen: Sequence[Assignment]) -> Iterator[str]:
    yield "| assignment | minutes | automatic points | points by hand |\n| --- | --- | --- | --- |"
    for task in chosen:
        minutes = "–".join(map(str, task.about["minutes"]))
        yield f"| {task.about['title']} (`{task.name}`) | {minutes} | {task.automatic_points} | {task.manual_points} |"
    yield ""


def _assignment(task: Assignment) -> Iterator[str]:
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
    """The hints of a test's calls of `expect` and `expect_close`, in their order."""
    positions = {"expect": 1, "expect_close": 2}
    found = []
    for node in ast.walk(ast.parse(test.source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in positions:
            named = [keyword.value for keyword in node.keywords if keyword.arg == "hint"]
            hint = (named or node.args[positions[node.func.id] :])[:1]
            found += [part.value for part in hint if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    return found
