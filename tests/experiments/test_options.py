"""Folders and files that cannot be written are refused before any work; the look leaves nothing behind."""

from pathlib import Path

import pytest

from mugkit.errors import UserError
from mugkit.experiments import options


def test_what_can_be_written_is_not_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    options.check_folder(tmp_path / "new" / "deep", "--out")
    options.check_file(tmp_path / "new" / "file", "--report")
    options.check_file(tmp_path / "file", "--report")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.mark.parametrize("name", ["file", "file/below", "gone", "x" * 300])
def test_folder_that_cannot_be_made_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match="nothing can be written") as caught:
        options.check_folder(tmp_path / name, "--out")
    assert (caught.value.file, caught.value.field) == (tmp_path / name, "--out")
