"""Replaces nbgrader's execution step with the judge."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.preprocessors import NbGraderPreprocessor  # type: ignore[import-untyped]
from traitlets import Bool, Unicode

from mugkit.course import assignment, sandbox
from mugkit.course.answers import Ran, SandboxedAnswers
from mugkit.course.judge import cells_of, judge
from mugkit.course.sandbox import Limits

_NOT_RUN = Ran(error={"type": "NotRun", "message": "this test was not run", "trace": ""})


class JudgeExecute(NbGraderPreprocessor):
    """Fills a submission's outputs from the judge's results; nbgrader's own step would run a kernel instead.

    nbgrader then derives points from the outputs of test cells: full points without an error output, else none.
    """

    protected = Bool(None, allow_none=True, help="run in bubblewrap; None: only if every layer holds").tag(config=True)
    sources = Unicode("", help="the course's folder of source notebooks").tag(config=True)

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        if self.protected is None:  # nbgrader was started directly: nobody asked for less protection
            sandbox.require(sandbox.protection())
        name = resources["nbgrader"]["notebook"]
        source = assignment.read(Path(self.sources) / name / f"{name}.ipynb")
        answers = SandboxedAnswers(self.protected is not False, Limits(), source.blocked, source.preload)
        with contextlib.closing(answers):
            outcomes = judge(list(cells_of(source, nb)), answers)
        for position, cell in enumerate(nb.cells):
            if cell.cell_type == "code":  # a test that did not run (this never happens) earns nothing
                absent = _NOT_RUN if assignment.kind(cell) == "test" else Ran()
                ran = outcomes.get(assignment.grade_id(cell) or f"cell {position}", absent)
                cell.outputs = list(_outputs(ran))
        return nb, resources


def _outputs(ran: Ran) -> Iterator[NotebookNode]:
    if ran.output:
        yield new_output("stream", name="stdout", text=ran.output)
    if ran.error:
        trace = ran.error["trace"].splitlines() or [ran.error["message"]]
        yield new_output("error", ename=ran.error["type"], evalue=ran.error["message"], traceback=trace)
