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
from pathlib import Path
from typing import Any

import numpy as np

from mugkit.data import prepare, store
from mugkit.errors import UserError
from mugkit.experiments.store import Store
from mugkit.training.checkpoint import Checkpoint
from reliability import hostile_notebooks
from reliability.payloads import Payload, payloads
from reliability.scenario import Outcome, draws, fork, wait

SPARE = 2**31  # bytes that a reader may claim beyond what the process has; pyarrow alone reserves half of it
SECONDS = 30.0


def opened(payload: Payload, folder: Path) -> Any:
    """What the reader returns.

    Raises:
        UserError: it refuses.
    """
    if payload.kind in ("safetensors", "parquet", "manifest"):
        dataset = store.load(folder / "stored")
        return [part[np.arange(len(part.offsets) - 1)[-1]] for part in dataset.train.sequences.values()]
    if payload.kind == "checkpoint":
        if (state := Checkpoint(folder / "checkpoint.pt").load()) is None:
            raise UserError("begins again")
        return state
    if payload.kind in ("submission", "notebook"):
        return hostile_notebooks.opened(next(folder.glob("*.ipynb")))
    if payload.kind == "receipt":
        return hostile_notebooks.receipt(folder / hostile_notebooks.RECEIPT)
    if payload.kind == "run":
        if not Store(folder).intact(folder / "run"):
            raise UserError("is computed again")
        return None
    sources = [path for path in sorted(folder.iterdir()) if path.suffix in (".pkl", ".csd", ".csv", ".tsv", ".json")]
    return prepare.prepare("mosi", sources, store_as="x")


def _open(payload: Payload, folder: Path, said: Path) -> None:
    """In the child: opens the file within the limits, and notes how that ended."""
    os.environ["MUGKIT_HOME"] = str(folder / "home")
    os.chdir(folder)
    logging.disable()
    warnings.simplefilter("ignore")
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + SPARE, size + SPARE))
    try:
        opened(payload, folder)
        said.write_text("harmless")
    except UserError:
        said.write_text("refused")
    except BaseException:
        said.write_text(traceback.format_exc())


def _snapshot(folder: Path) -> dict[str, int]:
    """Everything that is not below MUGKIT_HOME, and when it changed."""
    return {
        str(path): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if not path.is_relative_to(folder / "x" / "home") and path.is_file()
    }


def everything(share: float = 1.0) -> list[Payload]:
    """All hostile files, or a share of each kind."""
    counts = {hostile_notebooks.notebooks: 70, hostile_notebooks.receipts: 18}
    of_notebooks = [
        payload for make, count in counts.items() for payload in make(draws("notebooks"), round(count * share))
    ]
    return payloads(draws("hostile"), share) + of_notebooks


def run(folder: Path, share: float = 1.0) -> Outcome:
    """Opens all payloads, or a share of each kind."""
    outcome = Outcome()
    for number, payload in enumerate(everything(share)):
        outer, said = folder / str(number), folder / f"{number}.said"
        (outer / "x").mkdir(parents=True)
        payload.make(outer / "x")
        before = _snapshot(outer)
        status = wait(fork(lambda p=payload, f=outer / "x", s=said: _open(p, f, s)), SECONDS)
        ended = said.read_text() if said.is_file() else f"ended with {status}"
        loss = "" if ended in ("refused", "harmless") else f"{payload.name}: {ended}"
        if list(folder.rglob("*canary*")) or _snapshot(outer) != before:
            loss = f"{payload.name}: wrote outside of its folder, or ran"
        outcome.count(f"{payload.kind}, {'harmless' if ended == 'harmless' else 'refused'}", loss)
        shutil.rmtree(outer)
    return outcome
