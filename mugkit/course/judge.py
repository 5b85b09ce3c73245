"""Runs an assignment's tests on answers, and decides.

nbgrader runs tests inside the student's kernel. Code in that kernel sees the hidden tests and can replace whatever a
test calls: `torch.allclose`, the functions of mugkit, the compiler that turns `assert` into code. So tests run here
instead, in a namespace of their own that is made from the source notebook: its given cells and its tests, never the
submission's. Of the student, only values cross over (mugkit.course.answers). A forged score printed, returned or
written anywhere is text in a notebook; nobody reads it as a score. One mistake costs one loss: what fails is judged a
second time, with the solution in place of those earlier answers that were wrong.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mugkit.course import codec
from mugkit.course.answers import AnswerError, Ran, SandboxedAnswers
from mugkit.course.assignment import Assignment, Kind, grade_id, kind, names


@dataclass(frozen=True)
class Cell:
    """A cell of a submission, as far as the judge trusts it.

    Attributes:
        kind: by the source; cells that are not in it are answers.
        source: the source's own text unless it is an answer.
        defines: the names that tests will look for.
        solution: the source's own answer.
    """

    name: str
    kind: Kind
    source: str
    defines: Sequence[str] = ()
    solution: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of a cell; for a test, `passed` decides on its points."""

    name: str
    passed: bool
    message: str = ""
    ran: Ran = field(default_factory=Ran)


def cells_of(assignment: Assignment, notebook: Any) -> Iterator[Cell]:
    """The code cells of an assembled submission; everything but answers is taken from the source."""
    source = {grade_id(cell): cell for cell in assignment.notebook.cells if grade_id(cell)}
    for position, cell in enumerate(notebook.cells):
        known = source.get(grade_id(cell))
        if cell.cell_type != "code" or (known is not None and kind(known) in ("essay", "explore", "text")):
            continue
        if known is None:
            if kind(cell) != "explore":
                yield Cell(f"cell {position}", "answer", cell.source)
        elif kind(known) == "answer":
            yield Cell(grade_id(known), "answer", cell.source, names(known.source), known.source)
        else:
            yield Cell(grade_id(known), kind(known), known.source)


def judge(cells: Sequence[Cell], answers: SandboxedAnswers) -> list[Outcome]:
    """Runs all cells in order: answers there, tests here, given cells in both places.

    A test passes if it does with the student's earlier answers, or with the solution in place of those that were wrong.
    The second round has a process of its own, and only what its tests decide is kept: what it prints is seen by nobody.
    """
    outcomes = list(_round(cells, answers))
    tests = {cell.name for cell in cells if cell.kind == "test"}
    if sum(outcome.name in tests and not outcome.passed for outcome in outcomes) < 2:
        return outcomes
    mended = answers.fresh()
    try:
        passed = {outcome.name for outcome in _round(cells, mended, mend=True) if outcome.passed} & tests
    finally:
        mended.close()
    return [Outcome(outcome.name, True, ran=outcome.ran) if outcome.name in passed else outcome for outcome in outcomes]


def _round(cells: Sequence[Cell], answers: SandboxedAnswers, mend: bool = False) -> Iterator[Outcome]:
    """One run of all cells; with `mend`, the solution takes the place of an answer once a test of it has failed."""
    own: dict[str, Any] = {"__name__": "__judge__"}
    wanted: dict[str, None] = {}
    answer: Cell | None = None
    given: list[Cell] = []
    wrong = False
    for cell in cells:
        if cell.kind == "test":
            outcome = _test(cell, own, wanted, answers)
            wrong |= not outcome.passed
            yield outcome
            continue
        if cell.kind == "answer" and cell.solution:
            if mend and answer and wrong:
                answers.run(answer.solution)
                for shared in given:  # a wrong answer may have changed what tests share
                    exec(compile(shared.source, f"<{shared.name}>", "exec"), own)
            answer, wrong = cell, False
        if cell.kind == "given":
            given.append(cell)
            exec(compile(cell.source, f"<{cell.name}>", "exec"), own)
        ran = answers.run(cell.source)
        wanted |= dict.fromkeys(cell.defines)
        yield Outcome(cell.name, ran.error is None, (ran.error or {}).get("message", ""), ran)


def _test(cell: Cell, own: dict[str, Any], wanted: dict[str, None], answers: SandboxedAnswers) -> Outcome:
    """One test, with the student's names as they are now."""
    try:
        _fetch(own, wanted, answers)
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(cell.source, f"<{cell.name}>", "exec"), own)
    except AssertionError as error:
        return Outcome(cell.name, False, str(error))
    except AnswerError as error:
        return Outcome(cell.name, False, f"your code failed: {error}")
    except Exception as error:  # a test that stumbles over a value of an unexpected kind
        return Outcome(cell.name, False, f"{type(error).__name__}: {error}")
    return Outcome(cell.name, True)


def _fetch(own: dict[str, Any], wanted: dict[str, None], answers: SandboxedAnswers) -> None:
    for name in wanted:
        own.pop(name, None)
        with contextlib.suppress(KeyError, AnswerError, codec.NotTransferable):  # absent: the test names it
            own[name] = answers.get(name)
