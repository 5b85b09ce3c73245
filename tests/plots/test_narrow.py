"""Code as pages show it: as wide as allowed, and still the same program."""

from __future__ import annotations

import ast
import importlib
import inspect
import textwrap
from pathlib import Path
from typing import Any

import nbformat
import pytest

from mugkit.plots.narrow import WIDTH, narrow

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted([*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "data_prep").glob("*.ipynb")])


def program(source: str) -> str:
    """What Python reads; how docstrings are filled does not count."""
    tree = ast.parse(textwrap.dedent(source))
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            node.value.value = " ".join(node.value.value.split())
    return ast.dump(tree)


def shown(path: Path) -> list[Any]:
    """What the cells of a notebook hand to `show_source`, by the imports of all its cells."""
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    names: dict[str, Any] = {}
    for node in (node for cell in cells for node in ast.walk(ast.parse(cell))):
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] in ("mugkit", "example", "features"):
            for one in node.names:
                owner = importlib.import_module(str(node.module))
                found = getattr(owner, one.name, None) or importlib.import_module(f"{node.module}.{one.name}")
                names[one.asname or one.name] = found
        if isinstance(node, ast.Import):
            names |= {one.asname or one.name: importlib.import_module(one.name) for one in node.names}
    calls = [n for cell in cells for n in ast.walk(ast.parse(cell)) if isinstance(n, ast.Call)]
    sources = [call.args for call in calls if ast.unparse(call.func).endswith("show_source")]
    return [eval(ast.unparse(argument), names) for arguments in sources for argument in arguments]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_code_shown_in_a_notebook_fits_and_is_the_librarys(path: Path) -> None:
    for item in shown(path):
        source = inspect.getsource(item)
        found = narrow(source)
        assert [line for line in found.splitlines() if len(line) > WIDTH] == []
        assert program(found) == program(source)


def test_notebooks_show_code() -> None:
    assert sum(bool(shown(path)) for path in NOTEBOOKS) > len(NOTEBOOKS) / 2


BROKEN = {
    "f(one, two, three, 4)\n": "f(one, two, three,\n    4)",
    "def f(one, two) -> int:\n    return one\n": "def f(one,\n        two) -> int:\n    return one",
    "x = first + second + third\n": "x = first \\\n    + second + third",
    "x = [a for a in of(12)]\n": "x = [a\n    for a in of(12)]",
    "x = f(1)[2]  # what it is\n": "# what it is\nx = f(1)[2]",
    "x = things(1)  # type: ignore[x]\n": "x = things(1)",
    'def f():\n    """One two three four.\n    Five."""\n': 'def f():\n    """One two three\n    four. Five."""',
    "short = 1\n": "short = 1",
}


@pytest.mark.parametrize("source", BROKEN)
def test_wide_lines_are_broken_where_a_reader_would(source: str) -> None:
    assert narrow(source, 20) == BROKEN[source]
