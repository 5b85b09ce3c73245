"""Hostile files, each opened by the reader it is meant for in a process with little memory and time.

Passed is: no canary, nothing written outside of MUGKIT_HOME, no crash, no memory or time beyond the limits, and either
a UserError (of checkpoints and runs: a warning, and computing again) or harmless data. These are counted apart.
"""

import json
import logging
import os
import resource
import shutil
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import nbformat
import numpy as np

from mugkit.course import handed_in
from mugkit.data import prepare, store
from mugkit.errors import UserError
from mugkit.experiments.run_store import Store
from mugkit.reproduction import reproduce
from mugkit.training.checkpoint import Checkpoint
from reliability import payloads
from reliability.scenario import Outcome, draws, fork, wait

SPARE = 2**31  # bytes that a reader may claim beyond what the process has; pyarrow alone reserves half of it
SECONDS = 30.0


@dataclass(frozen=True)
class Kind:
    """Hostile files for one reader."""

    count: int  # how many are tried
    make: Callable[[Path, int, str, int], None]  # writes one into a folder; see `payloads`
    read: Callable[[Path], object]  # opens what lies in the folder; a UserError is a refusal
    forms: int = 1  # tried in turn


def _prepared(folder: Path) -> object:
    sources = [path for path in sorted(folder.iterdir()) if path.suffix in (".pkl", ".csd", ".csv", ".tsv", ".json")]
    return prepare.prepare("mosi", sources, store_as="x")


def _loaded(folder: Path) -> object:
    dataset = store.load(folder / "stored")
    return [part[np.arange(len(part.offsets) - 1)[-1]] for part in dataset.train.sequences.values()]


def _continued(folder: Path) -> None:
    if Checkpoint(folder / "checkpoint.pt").load() is None:
        raise UserError("begins again")


def _kept(folder: Path) -> None:
    if not Store(folder).intact(folder / "run"):
        raise UserError("is computed again")


def _graded(folder: Path) -> None:
    """The grader's way to a submission, up to the file that the sandbox gets: nothing may be left but texts of cells.

    `tests/course/test_attacks.py` has what such texts try inside.
    """
    release = nbformat.reads(json.dumps(payloads.released()), as_version=4)
    name = payloads.SUBMISSION.removesuffix(".ipynb")
    if (found := handed_in.find(folder, name, {name: release})) is None:
        raise UserError("not handed in")
    assembled = handed_in.assemble(found.cells, release)
    nbformat.validate(assembled)
    left = json.loads(nbformat.writes(assembled))
    assert left["metadata"] == payloads.released()["metadata"]
    assert "<script" not in json.dumps([cell for cell in left["cells"] if cell["cell_type"] != "code"])
    assert not [cell for cell in left["cells"] if cell.get("outputs") or cell.get("attachments")]


def _reused(folder: Path) -> None:
    if not reproduce._reusable(folder / payloads.RECEIPT, "the same", folder):
        raise UserError("runs again")


CALLS = len(payloads.calls(Path())) * len(payloads.WAYS)
KINDS = {
    "pickle that calls": Kind(70, payloads.pickle_that_calls, _prepared, CALLS),
    "pickle that claims": Kind(28, payloads.pickle_that_claims, _prepared, len(payloads.PICKLED_SIZES)),
    "table": Kind(20, payloads.table, _prepared, len(payloads.TABLES)),
    "csd": Kind(24, payloads.csd, _prepared, len(payloads.CSDS) + 1),
    "safetensors": Kind(24, payloads.safetensors, _loaded),
    "parquet": Kind(24, payloads.parquet, _loaded, len(payloads.CLIPS) + 7),
    "manifest": Kind(20, payloads.manifest, _loaded),
    "checkpoint": Kind(20, payloads.checkpoint, _continued, 5),
    "run": Kind(15, payloads.run, _kept),
    "submission": Kind(35, payloads.submission, _graded, 18),
    "notebook": Kind(35, payloads.notebook, lambda at: reproduce._identity(at / payloads.NOTEBOOK, {}, ""), 18),
    "receipt": Kind(18, payloads.receipt, _reused),
}


def drawn(share: float) -> Iterator[tuple[str, tuple[int, str, int]]]:
    """A share of each kind (at least two): its name, and what `make` is told."""
    random = draws("hostile")
    for name, kind in KINDS.items():
        forms = random.sample(range(kind.forms), kind.forms)
        for number in range(max(2, round(kind.count * share))):
            yield name, (forms[number % kind.forms], random.choice(payloads.PATHS), random.randrange(2**32, 2**44))


def _open(read: Callable[[Path], object], folder: Path, said: Path) -> None:
    """In the child: opens the file within the limits, and notes how that ended."""
    os.environ["MUGKIT_HOME"] = str(folder / "home")
    os.chdir(folder)
    logging.disable()
    warnings.simplefilter("ignore")
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + SPARE, size + SPARE))
    try:
        read(folder)
        said.write_text("harmless")
    except UserError:
        said.write_text("refused")
    except BaseException:
        said.write_text(traceback.format_exc())


def _snapshot(folder: Path) -> dict[str, int]:
    """Everything that is not below MUGKIT_HOME, and when it changed."""
    home = folder / "x" / "home"
    paths = [path for path in folder.rglob("*") if path.is_file() and not path.is_relative_to(home)]
    return {str(path): path.stat().st_mtime_ns for path in paths}


def run(folder: Path, share: float = 1.0) -> Outcome:
    """Opens all hostile files, or a share of each kind."""
    outcome = Outcome()
    for number, (name, given) in enumerate(drawn(share)):
        outer, said = folder / str(number), folder / f"{number}.said"
        inner = outer / "x"
        inner.mkdir(parents=True)
        KINDS[name].make(inner, *given)
        before = _snapshot(outer)
        status = wait(fork(partial(_open, KINDS[name].read, inner, said)), SECONDS)
        ended = said.read_text() if said.is_file() else f"ended with {status}"
        loss = "" if ended in ("refused", "harmless") else ended
        if list(folder.rglob("*canary*")) or _snapshot(outer) != before:
            loss = "wrote outside of its folder, or ran"
        outcome.count(f"{name}, {'harmless' if ended == 'harmless' else 'refused'}", loss and f"{given}: {loss}")
        shutil.rmtree(outer)
    return outcome
