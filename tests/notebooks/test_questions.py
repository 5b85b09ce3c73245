"""Whatever code a question prints can be run as it is printed, in a session of its notebook."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import nbformat
import notebook_lint
import pytest
from made_up import make_dataset

from mugkit import files, notebook
from mugkit.data import store
from mugkit.errors import UserError

NOTEBOOKS = sorted((notebook_lint.REPOSITORY / "notebooks").glob("[0-9]*.ipynb"))
INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")


def calls(prose: str) -> list[str]:
    """Inline code below the heading 'Questions' that is an expression and calls something."""
    found = []
    for code in INLINE.findall(prose.partition("## Questions")[2]):
        try:
            tree = ast.parse(code, mode="eval")
        except SyntaxError:
            continue
        if any(isinstance(node, ast.Call) for node in ast.walk(tree)):
            found.append(code)
    return found


def questions(path: Path) -> str:
    cells = nbformat.read(path, as_version=4).cells
    (prose,) = [cell.source for cell in cells if cell.cell_type == "markdown" and "## Questions" in cell.source]
    return str(prose)


def execute(prose: str, stem: str, folder: Path) -> None:
    """Runs what the questions print against one session."""
    store.save(make_dataset(), files.data_home() / "made-up")
    session = notebook.start(stem, "smoke", "made-up", str(folder))
    for code in calls(prose):
        assert eval(code, {"session": session}) is not None, code


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_code_that_a_question_prints_runs(path: Path, tmp_path: Path) -> None:
    execute(questions(path), path.stem, tmp_path)


def test_questions_print_code_and_a_misspelt_field_in_it_is_seen(tmp_path: Path) -> None:
    assert sum(bool(calls(questions(path))) for path in NOTEBOOKS) >= 3
    with pytest.raises(UserError, match="alpha"):
        execute("## Questions\n\n1. What if (`session.learned(alfa=0.1)`)?", "05_stage2_meta_learning", tmp_path)
