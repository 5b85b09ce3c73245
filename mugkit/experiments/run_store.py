"""The run store: results are addressed by their inputs, written atomically, and computed once.

A result's identity is a JSON value (hyperparameters, seed, data fingerprint, code fingerprint, the identities of the
results it was made from). The hash of that value names its folder, so that the same request finds it again.

    runs/<kind>/<key>/   artifacts, and done.json: identity, processor seconds, versions, SHA-256 of artifacts
    runs/partial/<key>/  the checkpoint of an interrupted computation
    runs/locks/<key>     held while a process computes; others wait, then reuse
"""

import contextlib
import functools
import logging
import multiprocessing
import platform
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from mugkit import __version__, files
from mugkit.training.checkpoint import Checkpoint

log = logging.getLogger(__name__)
_DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)  # from reading a damaged JSON file
PAUSE = 1.0  # minimum seconds between checkpoints of a computation; in `quick` an epoch takes less

# A change to any of these can change a number; a change elsewhere (tables, figures, command line) cannot.
_NUMERIC_CODE = (
    *("config.py", "overrides.py", "metrics.py", "models/**/*.py", "training/**/*.py"),
    *(f"data/{name}.py" for name in ("batch", "encoders", "loader", "offline_t5", "schema", "text")),
)

Compute = Callable[[Path, Checkpoint], object]  # its result is in the folder


@functools.cache
def code_fingerprint(*more: str) -> str:
    """SHA-256 over the sources that decide numbers; part of every identity, so edited code leads to recomputation.

    Args:
        more: further sources, relative to the package: a baseline's own file.
    """
    root = Path(__file__).parents[1]
    sources = [path for pattern in (*_NUMERIC_CODE, *more) for path in root.glob(pattern)]
    return files.digest({str(path.relative_to(root)): files.sha256(path) for path in sources})


def versions() -> dict[str, str]:
    """What a number may depend on besides our code."""
    rest = {name: metadata.version(name) for name in ("transformers", "numpy")}  # transformers takes long to import
    # torch.__version__ always contains the build (+cpu, +cu132), the package's metadata only sometimes.
    return {"mugkit": __version__, "python": platform.python_version(), "torch": str(torch.__version__), **rest}


@dataclass(frozen=True)
class Store:
    """A folder of results; safe to share between processes."""

    root: Path

    @classmethod
    def default(cls) -> "Store":
        return cls(files.home() / "runs")

    def folder(self, kind: str, identity: Any) -> Path:
        """The folder of the result with that identity, whether or not it exists."""
        return self.root / kind / files.digest(identity)[:20]

    def has(self, kind: str, identity: Any) -> bool:
        return self.intact(self.folder(kind, identity))

    def get(self, kind: str, identity: Any, compute: Compute) -> Path:
        """The result's folder; computes a missing result first, resuming from its checkpoint.

        Args:
            compute: writes artifacts into the folder it is given; may save its state in the checkpoint.
        """
        folder = self.folder(kind, identity)
        if self.intact(folder):
            shutil.rmtree(self.root / "partial" / folder.name, ignore_errors=True)  # left by a killed process
            return folder
        locks = self.root / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with FileLock(locks / folder.name):
            if not self.intact(folder):  # another process may have finished it while we waited
                self._compute(folder, identity, compute)
        return folder

    def _compute(self, folder: Path, identity: Any, compute: Compute) -> None:
        files.remove_stale_temporaries(self.root)
        if not folder.exists():  # a damaged one was reported already
            warn_stale(folder.parent, identity)
        partial = self.root / "partial" / folder.name
        started = time.process_time()  # on a busy machine, wall time would count waiting
        with files.atomic_folder(folder, replace=True) as temporary:
            compute(temporary, Checkpoint(partial / "checkpoint.pt", PAUSE))
            artifacts = {p.name: files.sha256(p) for p in sorted(temporary.iterdir())}
            seconds = round(time.process_time() - started, 3)
            about = {"identity": identity, "seconds": seconds, "versions": versions(), "files": artifacts}
            files.write_json(temporary / "done.json", about)
        shutil.rmtree(partial, ignore_errors=True)

    def intact(self, folder: Path) -> bool:
        """Whether a finished result exists with every artifact unchanged; warns of a damaged one, to be recomputed."""
        if not folder.is_dir():
            return False
        try:
            expected = files.read_json(folder / "done.json")["files"]
            outside = [name for name in expected if Path(name).name != name]  # not ours; reading it may never end
            damaged = outside or [name for name, value in expected.items() if files.sha256(folder / name) != value]
        except _DAMAGE as error:
            damaged = [str(error)]
        if damaged:
            log.warning("%s: damaged (%s); computing it again", folder, ", ".join(damaged))
        return not damaged


_told: set[Path] = set()  # kinds for which the warning was given


def warn_stale(folder: Path, identity: Any) -> None:
    """Warns, once per kind, if a missing result exists from other code.

    Args:
        folder: the folder of the kind, e.g. `runs/train`.
        identity: the identity of what is about to be computed.
    """
    if folder in _told or multiprocessing.parent_process() is not None:  # a worker, whose parent has warned already
        return
    if files.digest(_apart_from_code(identity)) in _stored(folder):
        _told.add(folder)
        log.warning("%s: stored results were made by other code; what is needed is computed again", folder)


@functools.cache
def _stored(folder: Path) -> set[str]:
    """Digests of the identities of a kind's stored results, without their code. Read once per process, and only if
    something must be computed; results computed meanwhile are from the present code, so need no listing."""
    found = set()
    for path in folder.glob("[!.]*/done.json"):
        with contextlib.suppress(*_DAMAGE):  # a damaged result is reported when it is requested
            found.add(files.digest(_apart_from_code(files.read_json(path)["identity"])))
    return found


def _apart_from_code(identity: Any) -> Any:
    if isinstance(identity, dict):
        return {name: _apart_from_code(value) for name, value in identity.items() if name not in ("code", "made_from")}
    return identity


def read_result(folder: Path) -> dict[str, Any]:
    """`result.json` of a finished run."""
    result: dict[str, Any] = files.read_json(folder / "result.json")
    return result
