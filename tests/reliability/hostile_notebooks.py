"""Hostile notebooks for the course's grader and the batch reproduction, and receipts of executed notebooks.

What is handed in is opened as the grader opens it, up to the file that the sandbox gets: nothing of it may have run by
then, nor anything but the texts of cells be left of it. `tests/course/test_attacks.py` has what such texts try inside.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat

from mugkit.course import handed_in
from mugkit.errors import UserError
from mugkit.reproduction import reproduce

SUBMISSION, NOTEBOOK, RECEIPT = "handed-in.ipynb", "00_notebook.ipynb", "receipt.json"
SCRIPT = "<script>open('canary')</script>"


def sound() -> dict[str, Any]:
    """A small notebook of two cells, as JSON."""
    cells = [nbformat.v4.new_code_cell("x = 1", id="one"), nbformat.v4.new_markdown_cell("words", id="two")]
    cells[0].metadata["nbgrader"] = {"grade_id": "answer", "solution": True, "grade": False}
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    return json.loads(nbformat.writes(notebook))


def grade(folder: Path) -> None:
    """The grader's way to a submission.

    Raises:
        UserError: it refuses.
    """
    path, release = folder / SUBMISSION, nbformat.reads(json.dumps(sound()), as_version=4)
    if (found := handed_in.find(folder, path.stem, {path.stem: release})) is None:
        raise UserError("not handed in")
    assembled = handed_in.assemble(found.cells, release)
    written = nbformat.writes(assembled)
    nbformat.validate(assembled)
    left = json.loads(written)
    assert left["metadata"] == sound()["metadata"]
    shown = [cell for cell in left["cells"] if cell["cell_type"] != "code"]
    assert "<script" not in json.dumps(shown)
    assert "attachments" not in written
    assert all(not cell.get("outputs") for cell in left["cells"])


def reproduced(folder: Path) -> None:
    """The reproduction's way to a notebook.

    Raises:
        UserError: it refuses.
    """
    reproduce._identity(folder / NOTEBOOK, {}, "")


def reused(folder: Path) -> None:
    """The reproduction's way to the receipt of an executed notebook.

    Raises:
        UserError: the notebook would be run again.
    """
    if not reproduce._reusable(folder / RECEIPT, "the same", folder):
        raise UserError("runs again")


def _first(notebook: dict, **fields: Any) -> dict:
    notebook["cells"][0].update(fields)
    return notebook


def _outputs(data: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"output_type": "display_data", "data": data, "metadata": {}}]


CHANGES: list[Callable[[dict, str, int], Any]] = [
    lambda n, path, k: [n] * 3,
    lambda n, path, k: {**n, "cells": path},
    lambda n, path, k: {**n, "cells": [path, k, None]},
    lambda n, path, k: {**n, "cells": {"0": n["cells"][0]}},
    lambda n, path, k: {**n, "cells": [{}] * (k % 10**6 + 5000)},
    lambda n, path, k: {**n, "metadata": {"x": [{}] * (k % 10**6 + 10**6)}},
    lambda n, path, k: {**n, "nbformat": k},
    lambda n, path, k: {**n, "nbformat": path, "nbformat_minor": path},
    lambda n, path, k: {**n, "metadata": path},
    lambda n, path, k: {**n, "metadata": {"kernelspec": {"name": path, "display_name": path}}},
    lambda n, path, k: {**n, "metadata": {"kernelspec": {"name": "/bin/sh -c 'touch canary'", "display_name": "x"}}},
    lambda n, path, k: {**n, "metadata": {"language_info": {"name": path, "file_extension": f"/{path}"}}},
    lambda n, path, k: _first(n, id=path),
    lambda n, path, k: _first(n, metadata={"nbgrader": path, "tags": k, "name": path}),
    lambda n, path, k: _first(n, metadata={"nbgrader": {"grade_id": [path], "points": 10 ** k.bit_length()}}),
    lambda n, path, k: _first(n, metadata=path, cell_type=path),
    lambda n, path, k: _first(n, source=[[path], {"x": k}, None]),
    lambda n, path, k: _first(n, source="\ud800"),
    lambda n, path, k: _first(n, source="x" * (k % 10**7)),
    lambda n, path, k: _first(n, source="import os\nos.system('touch canary')\n!touch canary"),
    lambda n, path, k: _first(n, cell_type="raw", source=SCRIPT),
    lambda n, path, k: _first(n, cell_type="markdown", source=SCRIPT, attachments={path: {"image/png": "eA=="}}),
    lambda n, path, k: _first(n, outputs=_outputs({"text/html": SCRIPT, "application/javascript": SCRIPT})),
    lambda n, path, k: _first(n, outputs=_outputs({"text/plain": "x" * 30 * 2**20})),
    lambda n, path, k: _first(n, outputs=path, execution_count=path),
    lambda n, path, k: {**n, "cells": n["cells"] * 20},
]
TEXTS: list[Callable[[int], bytes]] = [
    lambda k: b"[" * (k % 10**5 + 10**4),
    lambda k: b'{"cells":' * (k % 10**5 + 10**4),
    lambda k: b"\xff\xfe" + b"x" * (k % 1000),
    lambda k: b"",
    lambda k: b'{"cells": []' + b" " * (k % 10**6),
    lambda k: b'{"cells": [], "nbformat": ' + b"9" * (k % 10**5 + 5000) + b"}",
    lambda k: b"NaN",
]


NOTEBOOKS = len(CHANGES) + len(TEXTS) + 2


def notebook(target: Path, form: int, path: str, n: int) -> None:
    """The last two forms are a link to an endless file, and a pipe."""
    if form < len(CHANGES):
        target.write_text(json.dumps(CHANGES[form](sound(), path, n)))
    elif form < len(CHANGES) + len(TEXTS):
        target.write_bytes(TEXTS[form - len(CHANGES)](n))
    elif form < NOTEBOOKS - 1:
        target.symlink_to("/dev/zero")
    else:
        os.mkfifo(target)


def submitted(folder: Path, form: int, path: str, n: int) -> None:
    notebook(folder / SUBMISSION, form, path, n)


def among_others(folder: Path, form: int, path: str, n: int) -> None:
    notebook(folder / NOTEBOOK, form, path, n)


RECEIPTS: list[Callable[[str], Any]] = [
    lambda path: {"identity": "the same", "outputs": {path: "0" * 64}},
    lambda path: {"identity": "the same", "outputs": [[path, path]]},
    lambda path: {"identity": "the same", "outputs": path},
    lambda path: {"identity": [path], "outputs": {}},
    lambda path: [path],
]


def receipt(folder: Path, form: int, path: str, n: int) -> None:
    """The last form nests."""
    text = "[" * 10**5 if form == len(RECEIPTS) else json.dumps(RECEIPTS[form](path))
    (folder / RECEIPT).write_text(text)
