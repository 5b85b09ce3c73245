"""Submissions made from the sources: the solution with some answers replaced, judged in this process."""

import ast
import dataclasses
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from mugkit.course.answers import Ran
from mugkit.course.assignment import Assignment, all_assignments, grade_id, without_solution
from mugkit.course.judge import Cell, cells_of, judge
from mugkit.course.worker import Worker


class Variant(NamedTuple):
    """An answer that is not the solution: a whole cell, or an edit (old, new) of the solution.

    Attributes:
        place: grade_id of the answer's cell, or of the test that must not pass.
    """

    assignment: int
    place: str
    what: str
    code: Any


def _listed(name: str) -> list[Variant]:
    tables = tomllib.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))
    return [
        Variant(int(number), place, what, code)
        for number, places in tables.items()
        for place, variants in places.items()
        for what, code in variants.items()
    ]


WRONG, RIGHT = _listed("wrong_answers.toml"), _listed("right_answers.toml")


class LocalAnswers:
    """Answers in this process, as `SandboxedAnswers` has them in its own: for code that we wrote."""

    def __init__(self) -> None:
        self.worker = Worker()

    def run(self, source: str) -> Ran:
        return Ran(**self.worker.run(source))

    def get(self, name: str) -> Any:
        return self.worker.names[name]

    def fresh(self) -> "LocalAnswers":
        return LocalAnswers()

    def close(self) -> None:
        """Nothing runs."""


@cache
def numbered(number: int) -> Assignment:
    """The assignment whose name starts with that number."""
    return next(task for task in all_assignments() if task.name.startswith(f"{number}_"))


def solution(number: int, answer: str) -> str:
    """The source of a solution cell."""
    return next(str(cell.source) for cell in numbered(number).cells("answer") if grade_id(cell) == answer)


def wrong(variant: Variant) -> dict[str, str]:
    """The answer with its mistake in it. A test's name holds that of the answer's cell."""
    answer, (old, new) = variant.place.split("-")[1], variant.code
    right = solution(variant.assignment, answer)
    assert old in right
    changed = right.replace(old, new)
    ast.parse(changed)  # a slip of the pen would fail every test
    return {answer: changed}


def blank(number: int) -> dict[str, str]:
    """What students get in place of every answer."""
    return {grade_id(cell): without_solution(cell) for cell in numbered(number).cells("answer")}


def failed(number: int, changed: Mapping[str, str], answers: Any = None) -> dict[str, str]:
    """The tests that fail and what they say, for the solution with some answers replaced."""
    task = numbered(number)
    cells: list[Cell] = [
        dataclasses.replace(cell, source=changed.get(cell.name, cell.source)) if cell.kind == "answer" else cell
        for cell in cells_of(task, task.notebook)
    ]
    outcomes = judge(cells, answers or LocalAnswers())
    found = {grade_id(cell): outcomes[grade_id(cell)].error for cell in task.cells("test")}
    return {name: error["message"] for name, error in found.items() if error}
