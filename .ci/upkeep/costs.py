"""Writes the line at the top of every notebook that states its time and memory: measured, never typed.

`make costs` runs the notebooks one after the other with their runs stored, as after `make reproduce`, saves the
measurements in `notebooks/costs.json` and rewrites the lines. Without `measure`, `python .ci/upkeep/costs.py` only
rewrites them; a test fails if a line differs. With `first` (`make first`) it prints how soon the first notebook shows
its results if nothing is stored, and fails if that is too late.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import resource
import shutil
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
import psutil  # type: ignore[import-untyped]

from mugkit import files
from mugkit.data.store import folder_of
from mugkit.experiments.run_store import versions
from mugkit.progress import progress
from mugkit.reproduction import notebook_files
from mugkit.reproduction.reproduce import notebooks

NAME = "costs.json"
_PARAGRAPH = re.compile(r"^Takes about .*?(?=\n\n|\Z)", re.DOTALL | re.MULTILINE)
_WIDTH, _OFTEN = 118, 0.2  # characters; seconds between two measurements of memory
SOON = 30.0  # seconds in which the first notebook must run to its end if nothing is stored


@contextlib.contextmanager
def _memory_watched() -> Iterator[list[float]]:
    """Yields a list of the total megabytes of all processes started inside the block, measured repeatedly.

    Pages that several processes share count once if the system reports them (Linux).
    """
    seen, over = [0.0], threading.Event()
    others = {child.pid for child in psutil.Process().children(recursive=True)}

    def watch() -> None:
        while not over.wait(_OFTEN):
            children = [child for child in psutil.Process().children(recursive=True) if child.pid not in others]
            seen.append(sum(map(_bytes, children)) / 1e6)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def _bytes(process: psutil.Process) -> int:
    """Bytes that one process holds; 0 if it ended in the meantime."""
    try:
        memory = process.memory_full_info()
        return int(getattr(memory, "pss", memory.rss))
    except psutil.Error:
        return 0


def measure(notebook: Path, home: Path) -> dict[str, float]:
    """Runs a notebook from its kernel's start to its end; `seconds` and `megabytes` of the kernel and its workers.

    Also `processor`, their CPU seconds, and for a notebook with figures `figure`, the seconds to the first figure.

    Args:
        home: $MUGKIT_HOME of the kernel; figures that the notebook writes are deleted afterwards.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell failed.
    """
    from nbclient import NotebookClient

    found = notebook_files.read(notebook)
    client = NotebookClient(found, timeout=None, resources={"metadata": {"path": str(notebook.parent)}})
    figures: list[float] = []

    def note_figure(cell: Any, **_: Any) -> None:
        if any("image/png" in output.get("data", ()) for output in cell.get("outputs", ())):
            figures.append(time.perf_counter() - began)

    client.on_cell_executed = note_figure
    computed, began = _processor(), time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="mugkit-costs-") as out, _memory_watched() as megabytes:
        own = {"MUGKIT_HOME": str(home), "MUGKIT_OUT": out, "MUGKIT_PROGRESS": "0"}
        client.execute(env=os.environ | own)
    found = {"seconds": time.perf_counter() - began, "processor": _processor() - computed}
    found |= {"figure": figures[0]} if figures else {}
    return {**{name: round(value, 1) for name, value in found.items()}, "megabytes": round(max(megabytes))}


def _processor() -> float:
    """CPU seconds of the processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def first(notebook: Path, dataset: str = "reviews") -> str:
    """A sentence that says how soon a notebook shows its first figure and ends, if nothing is stored.

    Raises:
        SystemExit: if it ends later than `SOON`; the message holds the sentence.
    """
    with tempfile.TemporaryDirectory(prefix="mugkit-costs-") as home:
        shutil.copytree(folder_of(dataset), Path(home) / "data" / dataset)
        found = measure(notebook, Path(home))
    figure = f"first figure after {found['figure']:.1f} s, " if "figure" in found else ""
    said = f"{notebook.stem}: {figure}last cell after {found['seconds']:.1f} s, {found['processor']:.1f} s of computing"
    if found["seconds"] > SOON:
        raise SystemExit(f"{said}: later than {SOON:g} s")
    return said


def line(cost: Mapping[str, float]) -> str:
    """What a notebook says about its cost, rounded up."""
    seconds, memory = math.ceil(cost["processor"] / 5) * 5, math.ceil(cost["megabytes"] / 100) * 100
    text = f"Takes about {seconds} s of processor time and {memory} MB once its runs are stored (`make costs`); "
    return textwrap.fill(text + "those that are not are computed first, with a progress bar.", _WIDTH)


def rewrite(paths: Sequence[Path], costs: Mapping[str, Any]) -> None:
    """Puts the measured costs into the paragraph of the notebooks' first cells; nothing else in them changes."""
    for path in paths:
        notebook = notebook_files.read(path)
        first = notebook.cells[0]
        first.source = _PARAGRAPH.sub(line(costs["notebooks"][path.stem]), first.source)
        with files.atomic_path(path) as temporary:
            nbformat.write(notebook, temporary)


def main(arguments: Sequence[str]) -> None:
    """Rewrites the lines; with `measure`, measures first; with `first`, only prints the sentence of `first`."""
    paths = notebooks()
    if "first" in arguments:
        print(first(paths[0]))
        return
    record, costs = paths[0].parent / NAME, {}
    if "measure" in arguments:
        for path in progress(paths, "notebooks"):
            costs[path.stem] = cost = measure(path, files.home())
            print(f"{path.stem:26} {cost['processor']:7.1f} s {cost['megabytes']:6.0f} MB", flush=True)
        files.write_json(record, {"versions": versions(), "notebooks": costs})
    rewrite(paths, files.read_json(record))


if __name__ == "__main__":
    main(sys.argv[1:])
