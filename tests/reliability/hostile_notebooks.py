"""Hostile notebooks for the course's grader and the batch reproduction, and receipts of executed notebooks.

What is handed in is opened as the grader opens it, up to the file that the sandbox gets: nothing of it may have run by
then, nor anything but the texts of cells be left of it. `tests/course/test_attacks.py` has what such texts try inside.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import nbformat

from mugkit.course import handed_in
from mugkit.errors import UserError
from mugkit.reproduction import reproduce
from reliability.payloads import TRAVERSALS, Payload, in_turn

SUBMISSION, RECEIPT = "handed-in.ipynb", "receipt.json"
SCRIPT = "<script>open('canary')</script>"


def sound() -> dict[str, Any]:
    """A small notebook of two cells, as JSON."""
    cells = [nbformat.v4.new_code_cell("x = 1", id="one"), nbformat.v4.new_markdown_cell("words", id="two")]
    cells[0].metadata["nbgrader"] = {"grade_id": "answer", "solution": True, "grade": False}
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    return json.loads(nbformat.writes(notebook))


def release() -> Any:
    """What the students were given."""
    return nbformat.reads(json.dumps(sound()), as_version=4)


def opened(path: Path) -> None:
    """The grader's way to a submission, or the reproduction's to a notebook.

    Raises:
        UserError: it refuses.
    """
    if path.name != SUBMISSION:
        reproduce._identity(path, {}, "")
        return
    if (found := handed_in.find(path.parent, path.stem, {path.stem: release()})) is None:
        raise UserError("not handed in")
    assembled = handed_in.assemble(found.cells, release())
    written = nbformat.writes(assembled)
    nbformat.validate(assembled)
    known, left = release(), json.loads(written)
    assert left["metadata"] == json.loads(nbformat.writes(known))["metadata"]
    shown = [cell for cell in left["cells"] if cell["cell_type"] != "code"]
    assert "<script" not in json.dumps(shown)
    assert "attachments" not in written
    assert all(not cell.get("outputs") for cell in left["cells"])


def receipt(path: Path) -> None:
    """The reproduction's way to the receipt of an executed notebook.

    Raises:
        UserError: the notebook would be run again.
    """
    if not reproduce._reusable(path, "the same", path.parent):
        raise UserError("runs again")


Change = Callable[[dict, str, int], Any]


def _first(notebook: dict, **fields: Any) -> dict:
    notebook["cells"][0].update(fields)
    return notebook


def _outputs(data: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"output_type": "display_data", "data": data, "metadata": {}}]


CHANGES: list[Change] = [
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


def _write(folder: Path, name: str, change: int, path: str, k: int) -> None:
    target = folder / name
    if change < len(CHANGES):
        target.write_text(json.dumps(CHANGES[change](sound(), path, k)))
    elif change < len(CHANGES) + len(TEXTS):
        target.write_bytes(TEXTS[change - len(CHANGES)](k))
    elif change == len(CHANGES) + len(TEXTS):
        target.symlink_to("/dev/zero")
    else:
        os.mkfifo(target)


def notebooks(random: random.Random, count: int) -> list[Payload]:
    """Half handed in, half among the repository's."""
    total, names = len(CHANGES) + len(TEXTS) + 2, (SUBMISSION, "00_notebook.ipynb")
    chosen = random.sample([(change, name) for change in range(total) for name in names], min(count, 2 * total))
    return [
        Payload("submission" if name == SUBMISSION else "notebook", f"{change}: {path}",
                partial(_write, name=name, change=change, path=path, k=random.randrange(2**20, 2**40)))
        for change, name in chosen for path in [random.choice(TRAVERSALS)]
    ]  # fmt: skip


def receipts(random: random.Random, count: int) -> list[Payload]:
    elsewhere = (*TRAVERSALS, "/dev/zero", "/proc/kcore", "../../../../../../proc/kcore")
    forms: list[Callable[[str], Any]] = [
        lambda name: {"identity": "the same", "outputs": {name: "0" * 64}},
        lambda name: {"identity": "the same", "outputs": [[name, name]]},
        lambda name: {"identity": "the same", "outputs": name},
        lambda name: {"identity": [name], "outputs": {}},
        lambda name: [name],
    ]

    def make(folder: Path, form: int, name: str) -> None:
        text = "[" * 10**5 if form == len(forms) else json.dumps(forms[form](name))
        (folder / RECEIPT).write_text(text)

    return in_turn("receipt", len(forms) + 1, make, lambda: {"name": random.choice(elsewhere)}, count)
