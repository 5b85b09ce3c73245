"""Notebook files: those of this repository are read, and what is none, or too much, is refused with the reason."""

import json
import os
from pathlib import Path

import nbformat
import pytest

from mugkit import files
from mugkit.errors import UserError
from mugkit.reproduction import notebook_files

NOTEBOOK = {
    "nbformat": 4, "nbformat_minor": 5,
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    "cells": [{"cell_type": "code", "id": "a", "source": ["x = 1\n", "x"], "metadata": {}, "outputs": [],
               "execution_count": None}],
}  # fmt: skip


def test_read_takes_every_notebook_of_the_repository() -> None:
    root = files.repository()
    assert root
    paths = [*(root / "notebooks").rglob("*.ipynb"), *(root / "data_prep").glob("*.ipynb")]
    assert len(paths) > 10
    for path in paths:
        assert notebook_files.read(path) == nbformat.read(path, as_version=4)


def cell(**fields: object) -> dict:
    return {**NOTEBOOK, "cells": [{**NOTEBOOK["cells"][0], **fields}]}


@pytest.mark.parametrize(("content", "problem"), [
    ("<<<<<<< HEAD", "is not JSON"), ("[" * 10**5, "nested too deeply"),
    ({**NOTEBOOK, "cells": {}}, "it has no list of cells"), ({**NOTEBOOK, "cells": [None]}, "is not a valid notebook"),
    ({**NOTEBOOK, "cells": [{}] * 2001}, "has 2,001 cells"),
    ({**NOTEBOOK, "metadata": {"x": [[]] * 500_000}}, "holds more than 500,000 objects and lists"),
    ({**NOTEBOOK, "nbformat": 9}, "is not a valid notebook"), (cell(outputs="x"), "is not a valid notebook"),
    (cell(source="\ud800"), "is not a valid notebook"),
    ({**NOTEBOOK, "metadata": {"kernelspec": {"name": "../sh", "display_name": "x"}}}, "not the name of a kernel"),
])  # fmt: skip
def test_read_refuses_what_is_no_notebook(content: object, problem: str, tmp_path: Path) -> None:
    (tmp_path / "x.ipynb").write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(UserError, match=problem) as caught:
        notebook_files.read(tmp_path / "x.ipynb")
    assert str(caught.value).startswith("x.ipynb: ")
    assert caught.value.fix


def test_read_opens_neither_what_is_too_large_nor_a_pipe(tmp_path: Path) -> None:
    large, pipe = tmp_path / "large.ipynb", tmp_path / "pipe.ipynb"
    with large.open("wb") as stream:
        stream.truncate(2**40)  # a hole: it takes no room on the disk, and would take a terabyte of memory
    os.mkfifo(pipe)
    for path, problem in ((large, "larger than 20 MB"), (pipe, "is not a file")):
        with pytest.raises(UserError, match=problem):
            notebook_files.read(path)
