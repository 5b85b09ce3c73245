"""Every notebook keeps to the conventions; and the linter sees faults in a notebook that has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import notebook_lint
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

NUMBERED = sorted((notebook_lint.REPOSITORY / "notebooks").glob("*.ipynb"))
MEDIA = notebook_lint.REPOSITORY / "data_prep" / "from_media_to_frames.ipynb"
PARAMETERS = """\
# Parameters (papermill: -p name value)
profile: str = "quick"  # smoke, quick or paper
dataset: str = "reviews"  # a prepared data set
out: str = "../figures"  # where figures and tables go
"""
START = 'session = notebook.start("01_fine", profile, dataset, out)'
END = "## What to take away\n\n- a\n- b\n- c\n\n## Questions\n\n1. Why?\n2. How?\n3. What if?"


@pytest.mark.parametrize("path", [*NUMBERED, MEDIA], ids=lambda path: path.stem)
def test_notebook_keeps_to_the_conventions(path: Path) -> None:
    found = notebook_lint.problems(path)
    assert not found, "\n".join(found)


def test_notebooks_are_numbered_so_that_batch_runs_find_them() -> None:
    assert [int(path.stem.partition("_")[0]) for path in NUMBERED] == list(range(len(NUMBERED)))


def fine() -> Any:
    """A short notebook without a fault."""
    cells = [
        new_markdown_cell("# Title\n\nTakes about 20 s and 900 MB on a laptop."),
        new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}),
        new_code_cell(START),
        *(new_code_cell(f"print({i})", outputs=[new_output("stream", text=f"{i}\n")]) for i in range(3)),
        new_markdown_cell("## Change this\n\nAnother number."),
        new_code_cell("print(4)"),
        new_markdown_cell(END),
        new_code_cell("session.finish()", outputs=[new_output("stream", text="finished: 01_fine \n  a.png\n")]),
    ]
    for count, cell in enumerate((cell for cell in cells if cell.cell_type == "code"), start=1):
        cell.execution_count = count
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def lint(notebook: Any, folder: Path) -> list[str]:
    nbformat.write(notebook, folder / "01_fine.ipynb")
    return notebook_lint.problems(folder / "01_fine.ipynb")


def replace(cell: Any, old: str, new: str) -> None:
    assert old in cell.source
    cell.source = cell.source.replace(old, new)


def displays(cell: Any, kind: str, content: str = "x") -> None:
    cell.outputs.append(new_output("display_data", data={kind: content}))


def tabulates(cell: Any, *columns: int) -> None:
    """Displays a table as pandas does: beside the rows' names so many columns, with a second head over each of the first."""
    heads = pd.MultiIndex.from_product([range(number) for number in columns])
    displays(cell, "text/html", pd.DataFrame(columns=heads, index=[0]).to_html())


def sources(notebook: Any, *texts: str) -> None:
    for cell, text in zip(notebook.cells[3:], texts, strict=False):
        cell.source = text


FAULTS: dict[str, tuple[Callable[[Any], object], str]] = {
    "figure not shown": (lambda n: sources(n, "session.figure(figure, 'x', {})"), "written but not shown"),
    "name given twice and taken elsewhere": (lambda n: sources(n, "a = 1", "a = 2", "print(a)"), "2 cells give it"),
    "gradients that add up": (lambda n: sources(n, "loss(x).backward()"), "gradients add up"),
    "uncommented": (lambda n: replace(n.cells[1], "  # a prepared data set", ""), "without a type or a comment"),
    "other default": (lambda n: replace(n.cells[1], '"quick"', '"smoke"'), "parameters that differ"),
    "run twice": (lambda n: n.cells[4].update(execution_count=9), "execution counts"),
    "error": (lambda n: n.cells[3].outputs.append(new_output("error", ename="E", evalue="v")), "error output"),
    "stderr": (lambda n: n.cells[3].outputs.append(new_output("stream", name="stderr", text="w")), "on stderr"),
    "wide table of two heads": (lambda n: tabulates(n.cells[3], 3, 3), "a table of 10 columns"),
    "path printed": (lambda n: displays(n.cells[3], "text/plain", "in /tmp/x"), "this machine: /tmp"),
    "semicolon": (lambda n: sources(n, "f();"), "semicolon"),
    "long function": (lambda n: sources(n, "def f(a):\n" + "    a += 1\n" * 6), "f is long"),
    "fixed profile": (lambda n: replace(n.cells[2], "profile", '"quick"'), "does not start the session"),
    "two questions": (lambda n: replace(n.cells[8], "\n3. What if?", ""), "three questions"),
    "no finish": (lambda n: n.cells[9].update(source="print()"), "not session.finish()"),
    "only sources": (lambda n: sources(n, "notebook.show_source(f)"), "only 2 cells"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_lint_sees(fault: str, tmp_path: Path) -> None:
    notebook = fine()
    spoil, complaint = FAULTS[fault]
    spoil(notebook)
    found = lint(notebook, tmp_path)
    assert any(complaint in problem for problem in found), found


def test_lint_finds_nothing_in_a_notebook_without_a_fault(tmp_path: Path) -> None:
    notebook = fine()
    tabulates(notebook.cells[3], 3, 2)  # as wide as a table may be
    displays(notebook.cells[3], "image/png", "iVBOR+/tmp/x")  # bytes, no path
    assert lint(notebook, tmp_path) == []
