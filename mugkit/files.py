"""Files on disk: where mugkit keeps its own, and atomic writes, which happen completely or not at all."""

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from mugkit.errors import UserError


def home() -> Path:
    """The folder of prepared data, runs and caches: `$MUGKIT_HOME`, else `.mugkit` in the repository,
    else (an installed package without its repository) `~/.cache/mugkit`."""
    try:
        if chosen := os.environ.get("MUGKIT_HOME"):
            return Path(chosen).expanduser().absolute()
        root = repository()
        return root / ".mugkit" if root else Path.home() / ".cache" / "mugkit"
    except RuntimeError as error:  # from pathlib
        fix = "set MUGKIT_HOME to a folder that you may write to"
        raise UserError("there is no home directory to keep data and runs in", field="MUGKIT_HOME", fix=fix) from error


def repository() -> Path | None:
    """The repository this package is installed from in editable mode; None for a plain installation."""
    root = Path(__file__).resolve().parents[1]
    return root if is_repository(root) else None


def is_repository(folder: Path) -> bool:
    """Whether a folder is a copy of this repository: it holds notebooks, package and pyproject.toml."""
    return (folder / "pyproject.toml").is_file() and all((folder / name).is_dir() for name in ("notebooks", "mugkit"))


def checkout_module(folder: str, name: str) -> ModuleType:
    """Imports a module of the repository that is not part of the package, and makes its folder importable.

    Raises:
        UserError: if the package is installed without its repository.
    """
    root = repository()
    if root is None or not (root / folder).is_dir():
        fix = "clone the repository, run `make setup` there, and call the command there"
        raise UserError("this needs a checkout of the repository, which is not beside the package", fix=fix)
    sys.path.insert(0, str(root / folder))
    return import_module(name)


def data_home() -> Path:
    return home() / "data"


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest(value: Any) -> str:
    """Hexadecimal SHA-256 of a JSON-able value; key order does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _temporary(target: Path) -> Path:
    """A new hidden path beside `target`, whose name contains the machine and process that write to it.

    Its name is known before it exists, so that a Ctrl-C at any line can remove it (with `tempfile.mkstemp` not).
    """
    return target.with_name(f".{target.name}.{_host()}-{os.getpid()}-{secrets.token_hex(4)}.tmp")


def _host() -> str:
    return "".join(letter for letter in socket.gethostname() if letter.isalnum())[:32]


def remove_stale_temporaries(folder: Path) -> list[Path]:
    """Removes what killed processes left half-written below a folder; returns the removed paths.

    Temporary names contain their process. Files of running processes and of other machines stay.
    """
    # os.walk skips folders that other processes move in the meantime; Path.rglob fails on them.
    dead = [Path(at, name) for at, inner, names in os.walk(folder) for name in inner + names if _is_left_over(name)]
    for path in dead:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return dead


def _is_left_over(name: str) -> bool:
    found = re.search(r"^\..*\.(\w*)-(\d+)-\w+\.tmp$", name)
    return found is not None and found[1] == _host() and not _is_alive(int(found[2]))


def _is_alive(process: int) -> bool:
    """Whether a process runs. On Linux one that was killed and waits for its parent to notice does not."""
    try:
        os.kill(process, 0)
        stat = Path(f"/proc/{process}/stat").read_text(errors="replace")  # a name may be cut inside a character
        return stat.rpartition(")")[2].split()[0] not in ("Z", "X")
    except ProcessLookupError:
        return False
    except (OSError, IndexError):  # it belongs to another user, or there is no /proc
        return True


@contextlib.contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yields a temporary path beside `target` and moves it into place if the block ends without an error.

    Raises:
        UserError: if the disk becomes full.
    """
    with told_if_full(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(target)
        try:
            temporary.touch(mode=0o600, exist_ok=False)
            yield temporary
            temporary.chmod(0o644)  # private until it is complete; results are meant to be read
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def temporary_folder(beside: Path) -> Iterator[Path]:
    """An empty folder that exists during the block; `remove_stale_temporaries` finds it after a kill."""
    beside.parent.mkdir(parents=True, exist_ok=True)
    folder = _temporary(beside)
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def atomic_folder(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """Like `atomic_path`, for a folder. An existing target is kept unless `replace`."""
    with told_if_full(target), temporary_folder(target) as temporary:
        yield temporary
        temporary.chmod(0o755)
        if replace and target.exists():
            # Moved aside, not deleted file by file: a kill in between must not leave half of the old folder.
            aside = temporary.with_name(f"{temporary.name.removesuffix('.tmp')}_old.tmp")
            target.rename(aside)
            temporary.rename(target)
            shutil.rmtree(aside, ignore_errors=True)
        else:
            temporary.rename(target)


@contextlib.contextmanager
def told_if_full(target: Path) -> Iterator[None]:
    """Raises a UserError if the disk becomes full inside the block."""
    try:
        yield
    except Exception as error:  # safetensors and parquet have errors of their own for it
        number = error.errno if isinstance(error, OSError) else None
        full = number in (errno.ENOSPC, errno.EDQUOT) or os.strerror(errno.ENOSPC) in str(error)
        if isinstance(error, UserError) or not full:
            raise
        fix = "delete what you no longer need, or set MUGKIT_HOME to a folder on a larger disk; then start again"
        raise UserError("the disk is too full to write this", file=target, fix=fix) from error


def replaceable(target: Path, mark: str) -> Path:
    """The resolved path of a folder, after checking that it may be replaced as a whole.

    Args:
        mark: a file that every earlier version of this folder holds.

    Raises:
        UserError: if it is not a folder, or is not empty and lacks the mark: then it is not ours to delete.
    """
    target = target.resolve()
    if target.exists() and not (target.is_dir() and ((target / mark).is_file() or not any(target.iterdir()))):
        problem = f"would be replaced as a whole, but holds no {mark}"
        raise UserError(problem, file=target, fix="name a folder that is new or empty")
    return target


def write_json(path: Path, value: Any) -> None:
    """Writes `value` as indented JSON, atomically; refuses NaN, which JSON does not have."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
