"""Submissions made from the sources: the solution with some answers replaced, judged in this process."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Any

from mugkit.course.answers import Ran
from mugkit.course.assignment import Assignment, all_assignments, grade_id, without_solution
from mugkit.course.judge import Cell, Outcome, cells_of, judge
from mugkit.course.worker import Worker


class LocalAnswers:
    """Answers in this process, as `SandboxedAnswers` has them in its own: for code that we wrote."""

    def __init__(self) -> None:
        self.worker = Worker()

    def run(self, source: str) -> Ran:
        return Ran(**self.worker.run(source))

    def get(self, name: str) -> Any:
        return self.worker.names[name]

    def fresh(self) -> LocalAnswers:
        return LocalAnswers()

    def close(self) -> None:
        """Nothing runs."""


@cache
def numbered(number: int) -> Assignment:
    """The assignment whose name starts with that number."""
    return next(one for one in all_assignments() if one.name.startswith(f"{number}_"))


def solution(number: int, answer: str) -> str:
    """The source of a solution cell."""
    return next(str(cell.source) for cell in numbered(number).cells("answer") if grade_id(cell) == answer)


def blank(number: int) -> dict[str, str]:
    """What students get in place of every answer."""
    return {grade_id(cell): without_solution(cell) for cell in numbered(number).cells("answer")}


def cells(number: int, changed: Mapping[str, str]) -> list[Cell]:
    """The solution's cells, some answers replaced."""
    one = numbered(number)
    return [
        dataclasses.replace(cell, source=changed.get(cell.name, cell.source)) if cell.kind == "answer" else cell
        for cell in cells_of(one, one.notebook)
    ]


def results(number: int, changed: Mapping[str, str], answers: Any = None) -> dict[str, Outcome]:
    """By test, what became of it."""
    tests = {grade_id(cell) for cell in numbered(number).cells("test")}
    outcomes = judge(cells(number, changed), answers or LocalAnswers())
    return {outcome.name: outcome for outcome in outcomes if outcome.name in tests}


def failed(number: int, changed: Mapping[str, str], answers: Any = None) -> set[str]:
    """The tests that did not pass."""
    return {name for name, outcome in results(number, changed, answers).items() if not outcome.passed}
