"""What a command was asked for, looked at before any work starts: where it is to write, device, data set, engine."""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mugkit import files
from mugkit.errors import UserError

if TYPE_CHECKING:
    from mugkit.experiments.scheduler import ExecutionConfig


def check_folder(path: Path, field: str) -> None:
    """Refuses a folder, named by an option, that cannot be made or written into; leaves nothing behind."""
    try:
        nearest = next(place for place in (path, *path.parents) if place.exists() or place.is_symlink())
        with tempfile.TemporaryDirectory(prefix=".", dir=nearest):
            pass
    except OSError as error:
        problem = f"nothing can be written into this folder ({error.strerror})"
        raise UserError(problem, file=path, field=field, fix="name a folder that you may write into") from error


def check_file(path: Path | None, field: str) -> None:
    """Refuses a file, if one is asked for, that is a folder or lies in one that `check_folder` refuses."""
    if path is None:
        return
    if path.is_dir():
        fix = f"name a file, such as {path / field.strip('-')}"
        raise UserError("this is a folder, and a file is to be written", file=path, field=field, fix=fix)
    check_folder(path.parent, field)


def check_device(name: str) -> None:
    """Refuses a device that torch would answer with a traceback, before any work starts."""
    import torch

    kinds = ("auto", "cpu", "cuda")
    if name.partition(":")[0] not in kinds:
        raise UserError(f"unknown device '{name}'", field="--device", fix="one of: " + ", ".join(kinds))
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UserError("torch finds no GPU here", field="--device", fix="use --device cpu, or see `mugkit doctor`")


def check_dataset(name: str) -> None:
    """Refuses a name that seems to be another data set's, misspelt, and a home that is no folder: there, every data set
    would seem not to be prepared."""
    from mugkit.data.schema import LABEL_SCALE
    from mugkit.data.store import NAME, available

    home = files.home()
    if home.exists() and not home.is_dir():
        fix = "point MUGKIT_HOME to a folder that you may write to"
        raise UserError("data and runs cannot be kept here: this is no folder", file=home, field="MUGKIT_HOME", fix=fix)
    known = {*available(), *LABEL_SCALE}
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.75)
    if NAME.fullmatch(name) and name not in known and near:
        raise UserError(f"data set '{name}' is not prepared", fix=f"did you mean '{near[0]}'?")


def column_numbers(text: str, field: str) -> list[int]:
    """The numbers of a list such as `0,2,5`; a UserError if it is none."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        fix = f"list column numbers, counted from 0: {field} 0,2,5"
        raise UserError(f"'{text}' is not a list of numbers", field=field, fix=fix) from error


def execution(
    places: Mapping[str, Path | None], engine: str, address: str, cpus: float | None, gpus: float | None, device: str
) -> ExecutionConfig:
    """Where runs are computed.

    Args:
        places: data set → the folder that is to be written into, if it is known before.

    Raises:
        UserError: an unknown device or engine, a cluster's options without one, or a data set or folder as above.
    """
    from mugkit.experiments.resources import Resources
    from mugkit.experiments.scheduler import ExecutionConfig

    check_device(device)
    for option, value in {"--address": address or None, "--cpus-per-run": cpus}.items():
        if engine == "local" and value is not None:
            fix = f"add --engine ray, or leave out {option}"
            raise UserError("runs stay on this machine with --engine local", field=option, fix=fix)
    for dataset, out in places.items():
        check_dataset(dataset)
        if out:
            check_folder(out, "--out")
    return ExecutionConfig(engine, device=device, address=address, resources=Resources(cpus, gpus))
