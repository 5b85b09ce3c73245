"""Whatever code a question prints can be run as it is printed, in a session of its notebook."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
from made_up import make_dataset

from mugkit import files, notebook
from mugkit.data import store

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("[0-9]*.ipynb"))
INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")


def imports(path: Path) -> str:
    """The import statements of a notebook."""
    code = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")
    return "\n".join(ast.unparse(line) for line in ast.parse(code).body if isinstance(line, ast.Import | ast.ImportFrom))


def calls(path: Path) -> list[str]:
    """Inline code below the heading 'Questions' that is an expression and calls something."""
    cells = nbformat.read(path, as_version=4).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    found = []
    for code in INLINE.findall(prose.partition("## Questions")[2]):
        try:
            tree = ast.parse(code, mode="eval")
        except SyntaxError:
            continue
        if any(isinstance(node, ast.Call) for node in ast.walk(tree)):
            found.append(code)
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_code_that_a_question_prints_runs(path: Path, tmp_path: Path) -> None:
    store.save(make_dataset(), files.data_home() / "made-up")
    session = notebook.start(path.stem, "smoke", "made-up", str(tmp_path))
    names = {"session": session}
    exec(imports(path), names)
    for code in calls(path):
        assert eval(code, names) is not None, code


def test_questions_print_code() -> None:
    assert sum(bool(calls(path)) for path in NOTEBOOKS) >= 3
