"""Every notebook keeps to the conventions; and the linter sees each fault in a notebook that has it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import notebook_lint
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

NOTEBOOKS = sorted((notebook_lint.REPOSITORY / "notebooks").glob("*.ipynb"))
PARAMETERS = """\
# Parameters (papermill: -p name value)
profile: str = "quick"  # smoke, quick or paper
dataset: str = "reviews"  # a prepared data set
out: str = "../figures"  # where figures and tables go
"""
START = 'session = notebook.start("01_fine", profile, dataset, out)'
END = "## What to take away\n\n- a\n- b\n- c\n\n## Questions\n\n1. Why?\n2. How?\n3. What if?"


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_keeps_to_the_conventions(path: Path) -> None:
    found = notebook_lint.problems(path)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_numbered_so_that_batch_runs_find_it(path: Path) -> None:
    assert path.stem[:2].isdigit()
    assert path.stem[2] == "_"


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
    return new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})


def lint(notebook: Any, folder: Path) -> list[str]:
    nbformat.write(notebook, folder / "01_fine.ipynb")
    return notebook_lint.problems(folder / "01_fine.ipynb")


def prints(cell: Any, text: str, name: str = "stdout") -> None:
    cell.outputs = [new_output("stream", name=name, text=text)]


def replace(cell: Any, old: str, new: str) -> None:
    assert old in cell.source
    cell.source = cell.source.replace(old, new)


def displays(cell: Any, kind: str) -> None:
    cell.outputs.append(new_output("display_data", data={kind: "x"}))


def tabulates(cell: Any, *columns: int) -> None:
    """Displays a table as pandas does: beside the rows' names so many columns, with a second head over each of the first."""
    heads = pd.MultiIndex.from_product([range(number) for number in columns])
    cell.outputs.append(new_output("display_data", data={"text/html": pd.DataFrame(columns=heads, index=[0]).to_html()}))


FAULTS: dict[str, tuple[Callable[[Any], object], str]] = {
    "another kernel": (lambda n: n.metadata.kernelspec.update(name="mine"), "kernel is not python3"),
    "figure not shown": (
        lambda n: setattr(n.cells[3], "source", "session.figure(figure, 'x', {})"),
        "written but not shown",
    ),
    "name given twice and taken elsewhere": (
        lambda n: [setattr(n.cells[i], "source", text) for i, text in ((3, "a = 1"), (4, "a = 2"), (5, "print(a)"))],
        "2 cells give it",
    ),
    "adding to another cell's": (
        lambda n: [setattr(n.cells[i], "source", text) for i, text in ((3, "a = 1"), (4, "a += 1"))],
        "adds to what another cell made",
    ),
    "gradients that add up": (
        lambda n: setattr(n.cells[3], "source", "loss(x).backward()"),
        "gradients add up",
    ),
    "misspelt tag": (lambda n: n.cells[3].metadata.update(tags=["nbval-ignore"]), "unknown tags"),
    "times": (lambda n: n.cells[3].metadata.update(execution={"iopub": "now"}), "times of its execution"),
    "no parameters": (lambda n: n.cells[1].metadata.clear(), "tagged 'parameters'"),
    "two parameters": (lambda n: n.cells[3].metadata.update(tags=["parameters"]), "tagged 'parameters'"),
    "untyped": (lambda n: replace(n.cells[1], "profile: str =", "profile ="), "without a type"),
    "uncommented": (lambda n: replace(n.cells[1], "  # a prepared data set", ""), "without a comment"),
    "other default": (lambda n: replace(n.cells[1], '"quick"', '"smoke"'), "parameters that differ"),
    "run twice": (lambda n: n.cells[4].update(execution_count=9), "execution counts"),
    "not run": (lambda n: n.cells[4].update(execution_count=None), "execution counts"),
    "stripped": (lambda n: [cell.update(outputs=[]) for cell in n.cells if "outputs" in cell], "not committed"),
    "error": (lambda n: n.cells[3].outputs.append(new_output("error", ename="E", evalue="v")), "error output"),
    "stderr": (lambda n: prints(n.cells[3], "warning", "stderr"), "output on stderr"),
    "widget": (lambda n: displays(n.cells[3], "application/vnd.jupyter.widget-view+json"), "widget"),
    "wide table": (lambda n: tabulates(n.cells[3], 7), "a table of 8 columns"),
    "wide table of two heads": (lambda n: tabulates(n.cells[3], 3, 3), "a table of 10 columns"),
    "path printed": (lambda n: prints(n.cells[3], "in /tmp/x"), "this machine: /tmp"),
    "path in prose": (lambda n: replace(n.cells[0], "Takes", "See /home/me. Takes"), "this machine: /home"),
    "repository": (lambda n: prints(n.cells[3], str(notebook_lint.REPOSITORY)), "this machine"),
    "address": (lambda n: prints(n.cells[3], "<f at 0x7f0011223344>"), "this machine: 0x"),
    "long cell": (lambda n: n.cells[3].update(source="a = 1\n" * 19), "19 lines"),
    "semicolon": (lambda n: n.cells[3].update(source="f();"), "semicolon"),
    "magic": (lambda n: n.cells[3].update(source="%matplotlib inline"), "not plain Python"),
    "library's name": (lambda n: n.cells[3].update(source="def l1(a): return a"), "l1 is the library's"),
    "long function": (lambda n: n.cells[3].update(source="def f(a):\n" + "    a += 1\n" * 6), "f is long"),
    "no title": (lambda n: replace(n.cells[0], "# Title", "Title"), "not a title"),
    "no cost": (lambda n: replace(n.cells[0], "20 s", "TIME s"), "Takes about"),
    "other name": (lambda n: replace(n.cells[2], "01_fine", "01_copied"), "does not start the session"),
    "fixed profile": (lambda n: replace(n.cells[2], "profile", '"quick"'), "does not start the session"),
    "no change": (lambda n: replace(n.cells[6], "Change this", "More"), "Change this"),
    "two points": (lambda n: replace(n.cells[8], "\n- c", ""), "take away"),
    "two questions": (lambda n: replace(n.cells[8], "\n3. What if?", ""), "three questions"),
    "no finish": (lambda n: n.cells[9].update(source="print()"), "not session.finish()"),
    "other finish": (lambda n: prints(n.cells[9], "finished: 02_other"), "did not print"),
    "all ignored": (lambda n: n.cells[3].metadata.update(tags=["nbval-ignore-output"]), "only 2 cells"),
    "only sources": (lambda n: n.cells[3].update(source="notebook.show_source(f)"), "only 2 cells"),
}


def test_lint_fine_notebook_has_no_problem(tmp_path: Path) -> None:
    assert lint(fine(), tmp_path) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_lint_sees(fault: str, tmp_path: Path) -> None:
    notebook = fine()
    spoil, complaint = FAULTS[fault]
    spoil(notebook)
    found = lint(notebook, tmp_path)
    assert any(complaint in problem for problem in found), found


def test_lint_table_of_seven_columns_is_fine(tmp_path: Path) -> None:
    notebook = fine()
    tabulates(notebook.cells[3], 3, 2)
    assert lint(notebook, tmp_path) == []


def test_lint_picture_bytes_are_no_path(tmp_path: Path) -> None:
    notebook = fine()
    notebook.cells[3].outputs.append(new_output("display_data", data={"image/png": "iVBOR+/tmp/x"}))
    assert lint(notebook, tmp_path) == []
