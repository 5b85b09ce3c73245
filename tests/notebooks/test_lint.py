"""Every notebook keeps to the suite's conventions; each check yields its complaints, so that all are seen at once."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest

from mugkit.evaluation.tables import COLUMNS
from mugkit.notebook import FINISHED

ROOT = Path(__file__).resolve().parents[2]
NUMBERED = sorted((ROOT / "notebooks").glob("*.ipynb"))
LONGEST_CELL, LONGEST_DEFINITION, FEWEST_COMPARED = 18, 6, 3  # lines, lines, cells
IGNORED = "nbval-ignore-output"
DEFAULTS = {"profile": "'quick'", "dataset": "'reviews'", "out": "'../figures'"}

# Places on the machine that made the outputs; a slash after a letter belongs to a longer name or an address.
PRIVATE = re.compile(r"(?<![\w.~])/(?:work|root|tmp|home|Users|mnt|opt|usr)\b|\b0x[0-9a-f]{6,}")
COST = re.compile(r"Takes about \d+ (?:s|min)\b.* and [\d.]+ [MG]B\b", re.DOTALL)

Check = Callable[[Any, Path], Iterator[str]]


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell: Any) -> list[str]:
    return list(cell.metadata.get("tags", []))


def texts(cell: Any) -> Iterator[str]:
    """A cell's printed text and the text forms of what it displays; no pictures."""
    for output in cell.get("outputs", []):
        yield output.get("text", "")
        yield from (str(v) for kind, v in output.get("data", {}).items() if not kind.startswith("image/"))


def parameters(notebook: Any, path: Path) -> Iterator[str]:
    """Typed and commented, so that papermill shows both."""
    found = papermill.inspect_notebook(str(path))
    for name, about in found.items():
        if about["inferred_type_name"] not in ("str", "int", "float", "bool") or len(about["help"].split()) < 3:
            yield f"parameter without a type or a comment: {name}"
    given = {name: found[name]["default"].replace('"', "'") for name in DEFAULTS if name in found}
    if given != DEFAULTS:
        yield f"parameters that differ from {DEFAULTS}: {given}"


def metadata(notebook: Any, path: Path) -> Iterator[str]:
    nbformat.validate(notebook)
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        yield "the kernel is not python3"
    if [i for i, cell in enumerate(notebook.cells) if "parameters" in tags(cell)] != [1]:
        yield "the second cell alone must be tagged 'parameters'"
    for cell in notebook.cells:
        if unknown := set(tags(cell)) - {"parameters", IGNORED}:
            yield f"unknown tags {sorted(unknown)}"
        if "execution" in cell.metadata:
            yield "a cell's metadata holds the times of its execution"


def execution(notebook: Any, path: Path) -> Iterator[str]:
    counts = [cell.execution_count for cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"not run once from top to bottom: execution counts {counts}"
    for cell in code_cells(notebook):
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"error output: {output.ename}: {output.evalue}"
            if output.get("name") == "stderr":
                yield f"output on stderr: {output.text[:80]}"
            if any("widget" in kind for kind in output.get("data", {})):
                yield "a widget's output, such as a progress bar, cannot be compared"


def tables(notebook: Any, path: Path) -> Iterator[str]:
    """A table with more columns than a page has room for is cut off, on a phone to the names of its rows."""
    for cell in code_cells(notebook):
        for output in cell.outputs:
            for row in "".join(output.get("data", {}).get("text/html", "")).split("<tr")[1:]:
                spans = [re.search(r'colspan="(\d+)"', head) for head in re.findall(r"<t[hd]\b[^>]*>", row)]
                if (width := sum(int(span[1]) if span else 1 for span in spans)) > COLUMNS:
                    yield f"a table of {width} columns: {cell.source.strip().splitlines()[-1]}"


def pictures(notebook: Any, path: Path) -> Iterator[str]:
    for cell in code_cells(notebook):
        shown = any("image/png" in output.get("data", {}) for output in cell.outputs)
        if "session.figure(" in cell.source and not shown:
            yield f"a figure is written but not shown: {cell.source.splitlines()[0]}"


def privacy(notebook: Any, path: Path) -> Iterator[str]:
    for cell in notebook.cells:
        for text in (cell.source, *texts(cell)):
            if (found := PRIVATE.search(text)) or str(ROOT) in text or str(Path.home()) in text:
                yield f"a path or address of this machine: {found[0] if found else text[:80]}"


def code(notebook: Any, path: Path) -> Iterator[str]:
    """Short cells of plain Python. Notebooks show the library's functions: what is defined in place is short, too."""
    for cell in code_cells(notebook):
        source = cell.source.rstrip()
        first = source.partition("\n")[0]
        lines = [line for line in source.splitlines() if not line.startswith(("import ", "from "))]
        if len(lines) > LONGEST_CELL:
            yield f"{len(lines)} lines in one cell: {first}"
        if source.endswith(";"):
            yield f"a trailing semicolon, which nbval cannot compare: {first}"
        if ".backward(" in source and not re.search(r"zero_grad\(|\.grad = None", source):
            yield f"gradients add up when the cell is run again: {first}"
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.end_lineno - node.lineno >= LONGEST_DEFINITION:
                yield f"{node.name} is long: it belongs into the library"


def names(notebook: Any, path: Path) -> Iterator[str]:
    """A name that a cell takes from another is given in one cell only, so that cells can be run out of order."""
    given, taken = [], set()
    for cell in code_cells(notebook):
        tree = ast.parse(cell.source)
        targets = [
            part for node in tree.body for part in getattr(node, "targets", [getattr(node, "target", None)]) if part
        ]
        given.append({name.id for part in targets for name in ast.walk(part) if isinstance(name, ast.Name)})
        used = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
        taken |= {n.id for n in used if isinstance(n.ctx, ast.Load)} - {
            n.id for n in used if isinstance(n.ctx, ast.Store)
        }
    for name in sorted(taken):
        if (count := sum(name in own for own in given)) > 1:
            yield f"'{name}' is taken from another cell, and {count} cells give it"


def first_cells(notebook: Any, path: Path) -> Iterator[str]:
    first = notebook.cells[0]
    if first.cell_type != "markdown" or not first.source.startswith("# "):
        yield "the first cell is not a title"
    if not COST.search(first.source):
        yield "the first cell does not say 'Takes about … s and … MB'"
    if f'notebook.start("{path.stem}", profile, dataset, out' not in notebook.cells[2].source:
        yield "the third cell does not start the session under the notebook's name with its parameters"


def change(notebook: Any, path: Path) -> Iterator[str]:
    """In a numbered notebook one worked cell shows how to change something: before beside after."""
    headed = [i for i, cell in enumerate(notebook.cells) if "## Change this\n" in cell.source]
    worked = [i for i in headed if notebook.cells[i + 1].cell_type == "code"]
    if path in NUMBERED and len(worked) != 1:
        yield "'## Change this' is not there once, with its code below"


def last_cells(notebook: Any, path: Path) -> Iterator[str]:
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    if not 3 <= len(_items(prose, "## What to take away", r"- ")) <= 5:
        yield "'## What to take away' does not have three to five points"
    if len(_items(prose, "## Questions", r"\d+\. ")) != 3:
        yield "'## Questions' does not have three questions"
    last = code_cells(notebook)[-1]
    if last.source.strip() != "session.finish()":
        yield "the last code cell is not session.finish()"
    if f"{FINISHED} {path.stem}" not in "".join(texts(last)):
        yield "the last code cell did not print that the notebook finished"


def _items(prose: str, heading: str, mark: str) -> list[str]:
    """The items of the list below a heading, up to the next heading."""
    _, _, below = f"\n{prose}".partition(f"\n{heading}\n")
    return re.findall(rf"^{mark}\S", re.split(r"^#", below, maxsplit=1, flags=re.MULTILINE)[0], re.MULTILINE)


def compared(notebook: Any, path: Path) -> Iterator[str]:
    """nbval must have something to compare besides sources shown in place and the last line."""
    cells = [cell for cell in code_cells(notebook)[:-1] if IGNORED not in tags(cell)]
    cells = [cell for cell in cells if "show_source(" not in cell.source]
    with_text = [cell for cell in cells if any(text.strip() and not text.startswith("<") for text in texts(cell))]
    if len(with_text) < FEWEST_COMPARED:
        yield f"only {len(with_text)} cells have text output that nbval compares"


CHECKS: tuple[Check, ...] = (
    parameters, metadata, execution, tables, pictures, privacy, code, names, first_cells, change, last_cells, compared,
)  # fmt: skip


@pytest.mark.parametrize(
    "path", [*NUMBERED, ROOT / "data_prep" / "from_media_to_frames.ipynb"], ids=lambda path: path.stem
)
def test_notebook_keeps_to_the_conventions(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    found = [complaint for check in CHECKS for complaint in check(notebook, path)]
    assert not found, "\n".join(found)


def test_notebooks_are_numbered_so_that_batch_runs_find_them() -> None:
    assert [int(path.stem.partition("_")[0]) for path in NUMBERED] == list(range(len(NUMBERED)))


