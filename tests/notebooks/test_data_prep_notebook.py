"""The notebook of data_prep/ keeps to the conventions of the numbered ones."""

from __future__ import annotations

import notebook_lint


def test_data_prep_notebook_keeps_to_the_conventions() -> None:
    found = notebook_lint.problems(notebook_lint.REPOSITORY / "data_prep" / "from_media_to_frames.ipynb")
    assert not found, "\n".join(found)
