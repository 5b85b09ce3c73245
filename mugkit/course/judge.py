"""Runs an assignment's tests on a student's answers and decides which pass.

nbgrader runs tests inside the student's kernel, where code sees the hidden tests and can replace anything that a test
calls. Here, tests run in this process, in a namespace built from the source notebook: its given cells and tests, never
those of the submission. Only values come from the student's process (mugkit.course.answers). A forged score that is
printed, returned or written anywhere is text; nothing reads it as a score. A mistake costs points only once: failed
tests are judged a second time, with the solution replacing earlier answers that were wrong.
"""

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mugkit.course import codec
from mugkit.course.answers import AnswerError, Ran, SandboxedAnswers
from mugkit.course.assignment import Assignment, Kind, grade_id, kind, names


@dataclass(frozen=True)
class Cell:
    """A cell of a submission, reduced to what the judge trusts.

    Attributes:
        kind: the kind in the source notebook; cells that the source lacks are answers.
        source: the student's text of an answer; else the source notebook's.
        solution: the answer in the source notebook, which defines the names that tests look for.
    """

    name: str
    kind: Kind
    source: str
    solution: str = ""


def cells_of(assignment: Assignment, notebook: Any) -> Iterator[Cell]:
    """The code cells of an assembled submission; everything but answers is taken from the source."""
    source = {grade_id(cell): cell for cell in assignment.notebook.cells if grade_id(cell)}
    for position, cell in enumerate(notebook.cells):
        known = source.get(grade_id(cell))
        what = kind(known or cell)
        if cell.cell_type != "code" or what in ("essay", "explore", "text"):
            continue
        if known is None:
            yield Cell(f"cell {position}", "answer", cell.source)
        elif what == "answer":
            yield Cell(grade_id(known), what, cell.source, known.source)
        else:
            yield Cell(grade_id(known), what, known.source)


def judge(cells: Sequence[Cell], answers: SandboxedAnswers) -> dict[str, Ran]:
    """Runs all cells in order: answers in the worker, tests here, given cells in both. Returns results by cell name.

    A test passes if it passes with the student's earlier answers, or with the solution replacing the wrong ones.
    The second round has a process of its own. Only its tests' results are kept; what it prints is discarded.
    """
    outcomes = dict(_round(cells, answers))
    failed = [cell.name for cell in cells if cell.kind == "test" and outcomes[cell.name].error]
    if len(failed) < 2:
        return outcomes
    with contextlib.closing(answers.fresh()) as place:
        mended = dict(_round(cells, place, mend=True))
    return outcomes | {name: Ran() for name in failed if mended[name].error is None}


def _round(cells: Sequence[Cell], answers: SandboxedAnswers, mend: bool = False) -> Iterator[tuple[str, Ran]]:
    """One run of all cells; with `mend`, the solution replaces an answer after one of its tests has failed."""
    own: dict[str, Any] = {"__name__": "__judge__"}
    wanted: dict[str, dict[str, str] | None] = {}
    answer: Cell | None = None
    given: list[Cell] = []
    wrong = False
    for cell in cells:
        if cell.kind == "test":
            outcome = _test(cell, own, wanted, answers)
            wrong |= outcome.error is not None
            yield cell.name, outcome
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
        yield cell.name, ran
        wanted |= dict.fromkeys(names(cell.solution), ran.error)


def _test(cell: Cell, own: dict[str, Any], wanted: dict[str, dict[str, str] | None], answers: SandboxedAnswers) -> Ran:
    """Runs a test with the current values of the student's names; an error costs the test's points.

    Args:
        wanted: the names that answers should define, and the error that ended the answer's cell, if one did.
    """
    try:
        for name in wanted:
            own.pop(name, None)
            with contextlib.suppress(KeyError, AnswerError, codec.NotTransferable):  # if absent, the test reports it
                own[name] = answers.get(name)
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(cell.source, f"<{cell.name}>", "exec"), own)
    except AssertionError as error:
        said = str(error)
    except AnswerError as error:
        said = f"your code failed: {error}"
    except Exception as error:  # the test met a value of an unexpected type, or no value
        said = f"{type(error).__name__}: {error}"
        if isinstance(error, NameError) and (cause := wanted.get(str(error.name))):
            said += f", because its cell failed: {cause['type']}: {cause['message']}"
    else:
        return Ran()
    return Ran(error={"type": "Failed", "message": said, "trace": said})
