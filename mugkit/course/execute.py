"""nbgrader's execution step, replaced by the judge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.preprocessors import NbGraderPreprocessor  # type: ignore[import-untyped]
from traitlets import Bool, Dict, Unicode

from mugkit.course import assignment, sandbox
from mugkit.course.answers import SandboxedAnswers
from mugkit.course.judge import Outcome, cells_of, judge
from mugkit.course.sandbox import Limits


class JudgeExecute(NbGraderPreprocessor):
    """Fills a submission's outputs from the judge's outcomes, where nbgrader's own step would run its kernel.

    nbgrader then reads points off the outputs of test cells: all of them without an error output, else none.
    """

    protected = Bool(None, allow_none=True, help="run in bubblewrap; None: only if every layer holds").tag(config=True)
    limits = Dict({}, help="fields of mugkit.course.sandbox.Limits").tag(config=True)
    sources = Unicode("", help="the course's folder of source notebooks").tag(config=True)

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        if self.protected is None:  # nbgrader was started by itself: nobody asked for less
            sandbox.require(sandbox.protection())
        name = resources["nbgrader"]["notebook"]
        source = assignment.read(Path(self.sources) / name / f"{name}.ipynb")
        answers = SandboxedAnswers(self.protected is not False, Limits(**self.limits), source.blocked, source.preload)
        try:
            outcomes = judge(list(cells_of(source, nb)), answers)
        finally:
            answers.close()
        _fill(nb, {outcome.name: outcome for outcome in outcomes})
        return nb, resources


def _fill(nb: Any, outcomes: dict[str, Outcome]) -> None:
    for position, cell in enumerate(nb.cells):
        if cell.cell_type != "code":
            continue
        outcome = outcomes.get(assignment.grade_id(cell) or f"cell {position}")
        cell.outputs = list(_outputs(outcome)) if outcome else []
        if outcome is None and assignment.kind(cell) == "test":  # never: a test that nobody ran earns nothing
            cell.outputs = [_failure("NotRun", "this test was not run", "")]


def _outputs(outcome: Outcome) -> list[NotebookNode]:
    printed = [new_output("stream", name="stdout", text=outcome.ran.output)] if outcome.ran.output else []
    if outcome.passed:
        return printed
    error = outcome.ran.error or {"type": "Failed", "message": outcome.message, "trace": outcome.message}
    return [*printed, _failure(error["type"], error["message"], error["trace"])]


def _failure(name: str, message: str, trace: str) -> NotebookNode:
    return new_output("error", ename=name, evalue=message, traceback=trace.splitlines() or [message])
