"""Where a command is to write, looked at before the work whose results go there."""

from __future__ import annotations

import tempfile
from pathlib import Path

from mugkit import files
from mugkit.errors import UserError


def check_folder(path: Path, field: str) -> None:
    """Refuses a folder that cannot be made or written into, and leaves nothing behind.

    Args:
        path: a folder that is there, or can be made.
        field: the option that names it.

    Raises:
        UserError: it is a file, or what is there of its path cannot be written into.
    """
    try:
        nearest = next(one for one in (path, *path.parents) if one.exists() or one.is_symlink())
        with tempfile.TemporaryDirectory(prefix=".", dir=nearest):
            pass
    except OSError as error:
        problem = f"nothing can be written into this folder ({error.strerror})"
        raise UserError(problem, file=path, field=field, fix="name a folder that you may write into") from error


def check_file(path: Path, field: str) -> None:
    """Refuses a file that cannot be written; arguments as `check_folder`'s.

    Raises:
        UserError: it is a folder, or its folder can neither be made nor written into.
    """
    if path.is_dir():
        fix = f"name a file, such as {path / field.strip('-')}"
        raise UserError("this is a folder, and a file is to be written", file=path, field=field, fix=fix)
    check_folder(path.parent, field)


def check_home() -> None:
    """Refuses a home that is no folder, in which every data set would seem not to be prepared.

    Raises:
        UserError: it is a file.
    """
    home = files.home()
    if home.exists() and not home.is_dir():
        fix = "point MUGKIT_HOME to a folder that you may write to"
        raise UserError("data and runs cannot be kept here: this is no folder", file=home, field="MUGKIT_HOME", fix=fix)
