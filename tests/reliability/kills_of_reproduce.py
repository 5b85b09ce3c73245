"""`kill -9` during `mugkit reproduce`: of a notebook's kernel, and of the whole command, its workers among it.

The notebooks are small, but do what the repository's do: a session, runs from the store, a figure with its numbers, the
manifest. A killed kernel must be told with the cell, must not stop the other notebook, and must make the command exit
with 1. After either kill the same command must end with 0, with the runs and figures of an undisturbed reproduction.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat

from mugkit import cli, files
from mugkit.claims import ledger
from mugkit.experiments import scheduler
from mugkit.reproduction import kernels, precompute, report
from reliability import processes
from reliability.kills import SPECS, SYSTEMS, lost
from reliability.scenario import Outcome, draws, fork, wait

KERNEL = "ipykernel_launcher"
LIMIT = 300.0  # seconds for one start of the command
PRELOADED = (kernels, ledger, report)  # once here, not seconds in every start: the command is a fork
PARAMETERS = 'profile: str = "smoke"  # a profile\ndataset: str = "x"  # a data set\nout: str = "x"  # a folder'
COMPUTES = (
    PARAMETERS,
    'from mugkit import notebook\nsession = notebook.start("00_computes", profile, dataset, out)',
    "from mugkit.experiments import experiment",
    f"numbers = [experiment.run(session.spec(name)).metrics for name in {SYSTEMS}]",
    "from matplotlib.figure import Figure\nfigure = Figure(figsize=(1, 1))",
    'figure.gca().plot([n["MAE"] for n in numbers])\nsession.figure(figure, "curve", numbers)',
    "session.finish()",
)
# Alive, and idle, while the other notebook computes; it costs little, for it does without torch.
WRITES = (
    PARAMETERS,
    "import pathlib, time\nfrom filelock import FileLock\nfrom mugkit import files\ntime.sleep(5)",
    'folder = pathlib.Path(out)\nfiles.write_json(folder / "words.json", [profile, dataset])',
    'entry = {"notebook": "01_writes", "sha256": files.sha256(folder / "words.json")}',
    """(files.home() / "runs").mkdir(parents=True, exist_ok=True)
with FileLock(files.home() / "runs" / "manifest.lock"):
    path = folder / "manifest.json"
    files.write_json(path, (files.read_json(path) if path.exists() else {}) | {"words.json": entry})""",
    'print("finished: 01_writes")',
)
OUTPUTS = ("curve", "words")
NOTEBOOKS = {"00_computes": COMPUTES, "01_writes": WRITES}


def _repository(folder: Path) -> None:
    """A repository with the two notebooks, and the prepared data set in a home of its own."""
    (folder / "notebooks").mkdir(parents=True)
    for name, sources in NOTEBOOKS.items():
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
        notebook.cells[0].metadata["tags"] = ["parameters"]
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, folder / "notebooks" / f"{name}.ipynb")
    shutil.copytree(files.home(), folder / "home")


def _reproduce(folder: Path, batch: bool) -> None:
    """In the child: the console script, in a process group of its own and in the trial's repository.

    Args:
        batch: the few runs are computed before, by workers; without it kernels have to compute them.
    """
    os.setsid()
    said = os.open(folder / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")  # pytest has others
    os.chdir(folder)
    processes.of_trial(folder)
    os.environ["MUGKIT_HOME"], os.environ["MUGKIT_PROGRESS"] = str(folder / "home"), "0"
    files.repository = lambda: folder
    precompute.compute = lambda profile, dataset, execution, *_: (
        scheduler.run_all(SPECS if batch else [], execution) and []
    )
    arguments = ["--profile", "smoke", "--dataset", "made-up", "--out", str(folder / "figures")]
    sys.argv = ["mugkit", "reproduce", *arguments]
    try:
        cli.app()
    except SystemExit as stop:
        sys.stdout.flush()
        os._exit(int(stop.code or 0))


@dataclass
class Command:
    """One start of `mugkit reproduce`."""

    folder: Path
    batch: bool

    def __post_init__(self) -> None:
        self.process = fork(lambda: _reproduce(self.folder, self.batch))

    def computes(self) -> None:
        """Waits for the first checkpoint."""
        processes.computes(self.folder / "home" / "runs")

    def end(self) -> tuple[int, str]:
        """Exit code and what was printed."""
        return wait(self.process, LIMIT), (self.folder / "said").read_text()

    def kill(self) -> int:
        """Kills the group: the command and its workers (kernels have groups of their own); its exit code."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process, signal.SIGKILL)
        return wait(self.process)


def figures(folder: Path) -> dict[str, str]:
    """SHA-256 of what the notebooks wrote, as it is and as the manifest has it."""
    written = {path.name: files.sha256(path) for path in (folder / "figures").iterdir() if path.stem in OUTPUTS}
    manifest = files.read_json(folder / "figures" / "manifest.json")
    entered = {f"entry of {name}": entry["sha256"] for name, entry in manifest.items() if name in written}
    return dict(sorted({**written, **entered}.items()))


def _wrong(folder: Path, runs: dict[str, dict[str, str]], expected: dict[str, str]) -> str:
    """What the same command does not put right; '' if nothing."""
    code, printed = Command(folder, batch=True).end()
    if code:
        return f"resuming ended with {code}: {printed[-1500:]}"
    if loss := lost(folder / "home" / "runs", runs):
        return loss
    if left := [path.name for path in folder.rglob(".*.tmp")]:
        return f"left over: {left}"
    receipts = sorted(path.stem for path in (folder / "home" / "executed").rglob("*.json"))
    if receipts != list(NOTEBOOKS):
        return f"receipts of {receipts}"
    return "" if figures(folder) == expected else f"figures {figures(folder)} instead of {expected}"


def _kill_kernel(command: Command, choose: random.Random) -> str:
    """Kills one kernel; what is wrong with what the command says of it."""
    if alive := processes.of(command.folder, KERNEL):
        processes.kill([choose.choice(alive)])
    code, printed = command.end()
    failed = [line for line in printed.splitlines() if line.startswith("failed")]
    if not alive or (code, failed) == (0, []):
        raise TooLate
    if code != 1 or len(failed) != 1 or not re.search(r": cell \d+: the kernel died", failed[0]):
        return f"ended with {code}: {printed[-1500:]}"
    others = [name for name in NOTEBOOKS if name not in failed[0]]
    return "" if all(f"ran     {name}" in printed for name in others) else f"stopped {others}: {printed[-1500:]}"


def _kill_whole(command: Command, choose: random.Random) -> str:
    """Kills the command and its workers; the kernels must end by themselves."""
    if command.kill() != -signal.SIGKILL:
        raise TooLate
    return ""


class TooLate(Exception):
    """All was over before the kill."""


KERNELS, WHOLE = "notebook kernels", "a whole reproduction"
WAYS = {KERNELS: _kill_kernel, WHOLE: _kill_whole}
SPANS = {KERNELS: 0.95, WHOLE: 3.0}  # of what `_undisturbed` takes; a whole one starts kernels after its workers' work


def _try(folder: Path, kind: str, seconds: float, draw: random.Random) -> str:
    """What is wrong after a kill so long after the first checkpoint; sooner, where all was over by then."""
    while True:
        _repository(folder)
        command = Command(folder, batch=kind == WHOLE)
        command.computes()
        time.sleep(seconds)
        try:
            return WAYS[kind](command, draw)
        except TooLate:
            shutil.rmtree(folder)
            seconds /= 2


def _undisturbed(folder: Path, runs: dict[str, dict[str, str]]) -> tuple[float, str]:
    """Seconds from the first checkpoint until the notebook that computes has its receipt; what was wrong."""
    _repository(folder)
    command = Command(folder, batch=False)
    command.computes()
    began = time.time()
    code, printed = command.end()
    if code or (loss := lost(folder / "home" / "runs", runs)):
        return 0.0, printed if code else loss
    (receipt,) = (folder / "home" / "executed").rglob("00_computes.json")
    return receipt.stat().st_mtime - began, ""


def run(folder: Path, trials: int, runs: dict[str, dict[str, str]]) -> dict[str, Outcome]:
    """Kills and resumes so many times in each of WAYS.

    Args:
        runs: what `kills.content` finds after an uninterrupted run in one process.
    """
    outcomes, whole = {kind: Outcome() for kind in WAYS}, folder / "undisturbed"
    duration, wrong = _undisturbed(whole, runs)
    for kind, outcome in outcomes.items():
        draw = draws(kind)
        for trial in range(trials if not wrong else 0):
            trial_folder = folder / f"{kind} {trial}"
            moment = draw.uniform(0.0, SPANS[kind]) * duration
            loss = _try(trial_folder, kind, moment, draw) or _wrong(trial_folder, runs, figures(whole))
            left = processes.orphans(trial_folder)
            loss = loss or (f"still running: {left}" if left else "")
            outcome.count(kind, loss and f"trial {trial}: {loss}")
        if wrong:
            outcome.count("undisturbed", wrong)
    return outcomes
