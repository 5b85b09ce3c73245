"""Hostile files, each opened by the reader it is meant for in a process with little memory and time.

Passed is: no canary, nothing written outside of MUGKIT_HOME, no crash, no memory or time beyond the limits, and either
a UserError (of checkpoints and runs: a warning, and computing again) or harmless data. These are counted apart.
"""

from __future__ import annotations

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

import numpy as np

from mugkit.data import prepare, store
from mugkit.errors import UserError
from mugkit.experiments.store import Store
from mugkit.training.checkpoint import Checkpoint
from reliability import hostile_notebooks, payloads
from reliability.scenario import Outcome, draws, fork, wait

SPARE = 2**31  # bytes that a reader may claim beyond what the process has; pyarrow alone reserves half of it
SECONDS = 30.0


@dataclass(frozen=True)
class Kind:
    """Hostile files for one reader.

    Attributes:
        count: how many are tried.
        forms: how many there are.
        make: writes one into a folder: its form, a path that leads elsewhere, a large number.
        read: opens what lies in the folder; a UserError is a refusal.
    """

    count: int
    forms: int
    make: Callable[[Path, int, str, int], None]
    read: Callable[[Path], object]


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


CALLS = len(payloads.calls(Path())) * len(payloads.WAYS)
KINDS = {
    "pickle that calls": Kind(70, CALLS, payloads.pickle_that_calls, _prepared),
    "pickle that claims": Kind(28, len(payloads.PICKLED_SIZES), payloads.pickle_that_claims, _prepared),
    "table": Kind(20, len(payloads.TABLES), payloads.table, _prepared),
    "csd": Kind(24, len(payloads.CSDS) + 1, payloads.csd, _prepared),
    "safetensors": Kind(24, len(payloads.HEADERS), payloads.safetensors, _loaded),
    "parquet": Kind(24, len(payloads.CLIPS) + 7, payloads.parquet, _loaded),
    "manifest": Kind(20, len(payloads.MANIFESTS) + 1, payloads.manifest, _loaded),
    "checkpoint": Kind(20, 5, payloads.checkpoint, _continued),
    "run": Kind(15, len(payloads.RUNS) + 1, payloads.run, _kept),
    "submission": Kind(35, hostile_notebooks.NOTEBOOKS, hostile_notebooks.submitted, hostile_notebooks.grade),
    "notebook": Kind(35, hostile_notebooks.NOTEBOOKS, hostile_notebooks.among_others, hostile_notebooks.reproduced),
    "receipt": Kind(18, len(hostile_notebooks.RECEIPTS) + 1, hostile_notebooks.receipt, hostile_notebooks.reused),
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
