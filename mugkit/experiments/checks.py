"""What a command was asked for, looked at before any work starts: where it is to write, device, data set, engine."""

from __future__ import annotations

import difflib
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
        nearest = next(place for place in (path, *path.parents) if place.exists() or place.is_symlink())
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


def check_device(name: str) -> None:
    """Refuses a device that torch would answer with a traceback, before any work starts."""
    import torch

    kinds = ("auto", "cpu", "cuda")
    if name.partition(":")[0] not in kinds:
        raise UserError(f"unknown device '{name}'", field="--device", fix="one of: " + ", ".join(kinds))
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UserError("torch finds no GPU here", field="--device", fix="use --device cpu, or see `mugkit doctor`")


def check_dataset(name: str) -> None:
    """Refuses a home that is none, and a name that seems to be another data set's, misspelt."""
    from mugkit.data.schema import LABEL_SCALE
    from mugkit.data.store import NAME, available

    check_home()
    known = {*available(), *LABEL_SCALE}
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.75)
    if NAME.fullmatch(name) and name not in known and near:
        raise UserError(f"data set '{name}' is not prepared", fix=f"did you mean '{near[0]}'?")


def check_engine(name: str, address: str, cpus_per_run: float | None) -> None:
    """Refuses options of a cluster where there is none: they would do nothing."""
    given = {"--address": address or None, "--cpus-per-run": cpus_per_run}
    for option, value in given.items():
        if name == "local" and value is not None:
            fix = f"add --engine ray, or leave out {option}"
            raise UserError("runs stay on this machine with --engine local", field=option, fix=fix)
