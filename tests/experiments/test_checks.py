"""Folders and files that cannot be written are refused before any work; the look leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from mugkit.errors import UserError
from mugkit.experiments import checks


def test_folder_that_can_be_made_is_not_made(tmp_path: Path) -> None:
    checks.check_folder(tmp_path, "--out")
    checks.check_folder(tmp_path / "new" / "deep", "--out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["file", "file/below", "gone", "x" * 300])
def test_folder_that_cannot_be_made_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match="nothing can be written") as caught:
        checks.check_folder(tmp_path / name, "--out")
    assert (caught.value.file, caught.value.field) == (tmp_path / name, "--out")


def test_file_is_no_folder_and_lies_in_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    checks.check_file(tmp_path / "file", "--report")
    checks.check_file(tmp_path / "new" / "file", "--report")
    for path in (tmp_path, tmp_path / "file" / "below"):
        with pytest.raises(UserError) as caught:
            checks.check_file(path, "--report")
        assert caught.value.field == "--report"
