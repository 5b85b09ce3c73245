"""Checks the options of a command before any work starts: output folder, device, data set, engine."""

import difflib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mugkit import files
from mugkit.errors import UserError

if TYPE_CHECKING:
    from mugkit.experiments.execution import ExecutionConfig


def check_folder(path: Path, field: str) -> None:
    """Rejects a folder, named by an option, that cannot be created or written to; leaves nothing behind."""
    try:
        nearest = next(place for place in (path, *path.parents) if place.exists() or place.is_symlink())
        with tempfile.TemporaryDirectory(prefix=".", dir=nearest):
            pass
    except OSError as error:
        problem = f"nothing can be written to this folder ({error.strerror})"
        raise UserError(problem, file=path, field=field, fix="name a folder that you may write to") from error


def check_file(path: Path | None, field: str) -> None:
    """Rejects an output file (None is fine) that is a folder, or whose folder `check_folder` rejects."""
    if path is None:
        return
    if path.is_dir():
        fix = f"name a file, such as {path / field.strip('-')}"
        raise UserError("this is a folder, but a file is needed", file=path, field=field, fix=fix)
    check_folder(path.parent, field)


def check_device(name: str) -> None:
    """Rejects a device for which torch would fail with a traceback."""
    import torch

    kinds = ("auto", "cpu", "cuda")
    if name.partition(":")[0] not in kinds:
        raise UserError(f"unknown device '{name}'", field="--device", fix="one of: " + ", ".join(kinds))
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UserError("torch finds no GPU here", field="--device", fix="use --device cpu, or see `mugkit doctor`")


def check_dataset(name: str) -> None:
    """Rejects a name that looks like a misspelt data set, and a home that is not a folder."""
    from mugkit.data.schema import LABEL_SCALE
    from mugkit.data.store import NAME, available

    home = files.home()
    if home.exists() and not home.is_dir():
        fix = "point MUGKIT_HOME to a folder that you may write to"
        raise UserError("data and runs cannot be stored here: not a folder", file=home, field="MUGKIT_HOME", fix=fix)
    known = {*available(), *LABEL_SCALE}
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.75)
    if NAME.fullmatch(name) and name not in known and near:
        raise UserError(f"data set '{name}' is not prepared", fix=f"did you mean '{near[0]}'?")


def column_numbers(text: str, field: str) -> list[int]:
    """Parses a list of numbers such as `0,2,5`."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        fix = f"list column numbers, counted from 0: {field} 0,2,5"
        raise UserError(f"'{text}' is not a list of numbers", field=field, fix=fix) from error


def execution(
    places: Mapping[str, Path | None], engine: str, address: str, cpus: float | None, gpus: float | None, device: str
) -> "ExecutionConfig":
    """Checks options and returns where runs are computed.

    Args:
        places: data set → its output folder, if it is known in advance.

    Raises:
        UserError: if an option is not possible, or belongs to a cluster and there is none.
    """
    from mugkit.experiments.execution import ExecutionConfig

    check_device(device)
    for option, value in {"--address": address, "--cpus-per-run": cpus}.items():
        if engine == "local" and value:
            fix = f"add --engine ray, or leave out {option}"
            raise UserError("runs stay on this machine with --engine local", field=option, fix=fix)
    for dataset, out in places.items():
        check_dataset(dataset)
        if out:
            check_folder(out, "--out")
    return ExecutionConfig(engine, device=device, address=address, cpus=cpus, gpus=gpus)
