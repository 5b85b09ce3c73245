"""What every notebook of the suite must keep to; each check yields its complaints, so that all are seen at once."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import papermill

from mugkit.evaluation.tables import COLUMNS
from mugkit.notebook import FINISHED

REPOSITORY = Path(__file__).resolve().parents[2]
LONGEST_CELL, LONGEST_DEFINITION, FEWEST_COMPARED = 18, 6, 3  # lines, lines, cells
IGNORED = "nbval-ignore-output"
DEFAULTS = {"profile": "'quick'", "dataset": "'reviews'", "out": "'../figures'"}

# Places on the machine that made the outputs; a slash after a letter belongs to a longer name or an address.
PRIVATE = re.compile(r"(?<![\w.~])/(?:work|root|tmp|home|Users|mnt|opt|usr)\b|\b0x[0-9a-f]{6,}")
COST = re.compile(r"Takes about \d+ (?:s|min)\b.* and [\d.]+ [MG]B\b", re.DOTALL)

Check = Callable[[Any, str], Iterator[str]]


def problems(path: Path) -> list[str]:
    """Everything that is wrong with a notebook; empty if nothing is."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return [*_parameters(path), *(complaint for check in CHECKS for complaint in check(notebook, path.stem))]


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def parsed(notebook: Any) -> Iterator[tuple[str, ast.Module]]:
    """Source and syntax tree of every cell of plain Python; `_code` complains of the others."""
    for cell in code_cells(notebook):
        try:
            yield cell.source, ast.parse(cell.source)
        except SyntaxError:
            continue


def tags(cell: Any) -> list[str]:
    return list(cell.metadata.get("tags", []))


def texts(cell: Any) -> Iterator[str]:
    """A cell's printed text and the text forms of what it displays; no pictures."""
    for output in cell.get("outputs", []):
        yield output.get("text", "")
        yield from (str(v) for kind, v in output.get("data", {}).items() if not kind.startswith("image/"))


def _parameters(path: Path) -> Iterator[str]:
    """Typed and commented, so that papermill shows both."""
    found = papermill.inspect_notebook(str(path))
    for name, about in found.items():
        if about["inferred_type_name"] not in ("str", "int", "float", "bool") or len(about["help"].split()) < 3:
            yield f"parameter without a type or a comment: {name}"
    given = {name: found[name]["default"].replace('"', "'") for name in DEFAULTS if name in found}
    if given != DEFAULTS:
        yield f"parameters that differ from {DEFAULTS}: {given}"


def _metadata(notebook: Any, _: str) -> Iterator[str]:
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        yield "the kernel is not python3"
    if [i for i, cell in enumerate(notebook.cells) if "parameters" in tags(cell)] != [1]:
        yield "the second cell alone must be tagged 'parameters'"
    for cell in notebook.cells:
        if unknown := set(tags(cell)) - {"parameters", IGNORED}:
            yield f"unknown tags {sorted(unknown)}"
        if "execution" in cell.metadata:
            yield "a cell's metadata holds the times of its execution"


def _execution(notebook: Any, _: str) -> Iterator[str]:
    counts = [cell.execution_count for cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"not run once from top to bottom: execution counts {counts}"
    if not any(cell.outputs for cell in code_cells(notebook)):
        yield "the outputs are not committed"
    for cell in code_cells(notebook):
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"error output: {output.ename}: {output.evalue}"
            if output.get("name") == "stderr":
                yield f"output on stderr: {output.text[:80]}"
            if any("widget" in kind for kind in output.get("data", {})):
                yield "a widget's output, such as a progress bar, cannot be compared"


def _tables(notebook: Any, _: str) -> Iterator[str]:
    """A table with more columns than a page has room for is cut off, on a phone to the names of its rows."""
    for cell in code_cells(notebook):
        for output in cell.outputs:
            rows = "".join(output.get("data", {}).get("text/html", "")).split("<tr")[1:]
            widest = max((sum(map(_width, re.findall(r"<t[hd]\b[^>]*>", row))) for row in rows), default=0)
            if widest > COLUMNS:
                yield f"a table of {widest} columns: {cell.source.strip().splitlines()[-1]}"


def _width(cell: str) -> int:
    spanned = re.search(r'colspan="(\d+)"', cell)
    return int(spanned[1]) if spanned else 1


def _pictures(notebook: Any, _: str) -> Iterator[str]:
    for cell in code_cells(notebook):
        shown = any("image/png" in output.get("data", {}) for output in cell.outputs)
        if "session.figure(" in cell.source and not shown:
            yield f"a figure is written but not shown: {cell.source.splitlines()[0]}"


def _privacy(notebook: Any, _: str) -> Iterator[str]:
    for cell in notebook.cells:
        for text in (cell.source, *texts(cell)):
            if (found := PRIVATE.search(text)) or str(REPOSITORY) in text or str(Path.home()) in text:
                yield f"a path or address of this machine: {found[0] if found else text[:80]}"


def _code(notebook: Any, _: str) -> Iterator[str]:
    for cell in code_cells(notebook):
        source = cell.source.rstrip()
        first = source.partition("\n")[0]
        lines = [line for line in source.splitlines() if not line.startswith(("import ", "from "))]
        if len(lines) > LONGEST_CELL:
            yield f"{len(lines)} lines in one cell: {first}"
        if source.endswith(";"):
            yield f"a trailing semicolon, which nbval cannot compare: {first}"
        try:
            tree = ast.parse(source)
        except SyntaxError:
            yield f"not plain Python (a magic?): {first}"
            continue
        for node in ast.walk(tree):  # notebooks show the library's functions; what is defined in place is short
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.end_lineno - node.lineno >= LONGEST_DEFINITION:
                yield f"{node.name} is long: it belongs into the library"


def _names(notebook: Any, _: str) -> Iterator[str]:
    """A name that a cell takes from another is given in one cell only: else cells run out of order take the wrong thing."""
    given, taken = [], set()
    for _, tree in parsed(notebook):
        targets = [part for node in tree.body for part in getattr(node, "targets", [getattr(node, "target", None)]) if part]
        own = {name.id for part in targets for name in ast.walk(part) if isinstance(name, ast.Name)}
        names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
        given.append(own)
        taken |= {n.id for n in names if isinstance(n.ctx, ast.Load)} - {n.id for n in names if isinstance(n.ctx, ast.Store)}
    for name in sorted(taken):
        if (count := sum(name in own for own in given)) > 1:
            yield f"'{name}' is taken from another cell, and {count} cells give it"


def _again(notebook: Any, _: str) -> Iterator[str]:
    """A cell run twice does the same twice: gradients do not add up."""
    for cell in code_cells(notebook):
        if ".backward(" in cell.source and not re.search(r"zero_grad\(|\.grad = None", cell.source):
            yield f"gradients add up when the cell is run again: {cell.source.splitlines()[0]}"


def _first_cells(notebook: Any, stem: str) -> Iterator[str]:
    first = notebook.cells[0]
    if first.cell_type != "markdown" or not first.source.startswith("# "):
        yield "the first cell is not a title"
    if not COST.search(first.source):
        yield "the first cell does not say 'Takes about … s and … MB'"
    if f'notebook.start("{stem}", profile, dataset, out)' not in notebook.cells[2].source:
        yield "the third cell does not start the session under the notebook's name with its parameters"


def _change(notebook: Any, stem: str) -> Iterator[str]:
    """In a numbered notebook one worked cell shows how to change something: before beside after."""
    headed = [i for i, cell in enumerate(notebook.cells) if "## Change this\n" in cell.source]
    worked = [i for i in headed if notebook.cells[i + 1].cell_type == "code"]
    if stem[:2].isdigit() and len(worked) != 1:
        yield "'## Change this' is not there once, with its code below"


def _last_cells(notebook: Any, stem: str) -> Iterator[str]:
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    if not 3 <= len(_items(prose, "## What to take away", r"- ")) <= 5:
        yield "'## What to take away' does not have three to five points"
    if len(_items(prose, "## Questions", r"\d+\. ")) != 3:
        yield "'## Questions' does not have three questions"
    last = code_cells(notebook)[-1]
    if last.source.strip() != "session.finish()":
        yield "the last code cell is not session.finish()"
    if f"{FINISHED} {stem}" not in "".join(texts(last)):
        yield "the last code cell did not print that the notebook finished"


def _items(prose: str, heading: str, mark: str) -> list[str]:
    """The items of the list below a heading, up to the next heading."""
    _, _, below = f"\n{prose}".partition(f"\n{heading}\n")
    return re.findall(rf"^{mark}\S", re.split(r"^#", below, maxsplit=1, flags=re.MULTILINE)[0], re.MULTILINE)


def _compared(notebook: Any, _: str) -> Iterator[str]:
    """nbval must have something to compare besides sources shown in place and the last line."""
    compared = [
        cell
        for cell in code_cells(notebook)[:-1]
        if IGNORED not in tags(cell) and "show_source(" not in cell.source
        if any(text.strip() and not text.startswith("<") for text in texts(cell))
    ]
    if len(compared) < FEWEST_COMPARED:
        yield f"only {len(compared)} cells have text output that nbval compares"


CHECKS: tuple[Check, ...] = (
    _metadata, _execution, _tables, _pictures, _privacy, _code, _names, _again, _first_cells, _change, _last_cells,
    _compared,
)  # fmt: skip
