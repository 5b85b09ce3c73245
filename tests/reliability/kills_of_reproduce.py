"""`kill -9` during `mugkit reproduce`: of a notebook's kernel, and of the whole command, its workers among it.

The notebooks are small, but do what the repository's do: a session, runs from the store, a figure with its numbers, the
manifest. A killed kernel must be told with the cell, must not stop the other notebook, and must make the command exit
with 1. After either kill the same command must end with 0, with the runs and figures of an undisturbed reproduction.
"""

import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

import nbformat

from mugkit import cli, files
from mugkit.claims import ledger
from mugkit.experiments import scheduler
from mugkit.reproduction import kernels, precompute, report
from reliability import processes
from reliability.kills import SPAN, SPECS, SYSTEMS, Runs, lost
from reliability.scenario import Outcome, TooLate, fork, kill_and_resume, wait

KERNEL = "ipykernel_launcher"
LIMIT = 300.0  # seconds for one start of the command
PRELOADED = (kernels, ledger, report)  # once here, not seconds in every start: the command is a fork
PARAMETERS = 'profile: str = "smoke"  # a profile\ndataset: str = "x"  # a data set\nout: str = "x"  # a folder'
# The second notebook is alive, and idle, while the first computes.
NUMBERS = {
    "00_computes": "from mugkit.experiments import experiment\n"
    f"numbers = [experiment.run(session.spec(name)).metrics for name in {SYSTEMS}]",
    "01_waits": 'import time\ntime.sleep(5)\nnumbers = [{"MAE": 1.0}]',
}


def cells(name: str) -> tuple[str, ...]:
    """A session, numbers, and a figure of them."""
    return (
        PARAMETERS,
        f'from mugkit import notebook\nsession = notebook.start("{name}", profile, dataset, out)',
        NUMBERS[name],
        "from matplotlib.figure import Figure\nfigure = Figure(figsize=(1, 1))",
        f'figure.gca().plot([n["MAE"] for n in numbers])\nsession.figure(figure, "of_{name}", numbers)',
        "session.finish()",
    )


def write_notebook(path: Path, sources: Sequence[str]) -> None:
    """A notebook of these cells, the first of which holds its parameters."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    notebook.cells[0].metadata["tags"] = ["parameters"]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def _reproduce(folder: Path, batch: bool) -> None:
    """In the child: the console script, in a process group of its own and in the trial's repository."""
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


def _start(folder: Path, batch: bool) -> int:
    """The process of one `mugkit reproduce`, in a repository with both notebooks and a home with the data.

    Args:
        batch: the few runs are computed before, by workers; without it kernels have to compute them.
    """
    if not folder.exists():
        for name in NUMBERS:
            write_notebook(folder / "notebooks" / f"{name}.ipynb", cells(name))
        shutil.copytree(files.home(), folder / "home")
    return fork(lambda: _reproduce(folder, batch))


def _end(process: int, folder: Path) -> tuple[int, str]:
    """Exit code and what was printed."""
    return wait(process, LIMIT), (folder / "said").read_text()


def _start_and_wait(folder: Path, batch: bool, seconds: float = 0.0) -> int:
    """The command's process, so long after the first checkpoint."""
    process = _start(folder, batch)
    processes.computes(folder / "home" / "runs")
    time.sleep(seconds)
    return process


def _figures(folder: Path) -> dict[str, str]:
    """SHA-256 of what the notebooks wrote, as it is and as the manifest has it."""
    written = {path.name: files.sha256(path) for path in folder.glob("figures/of_*")}
    manifest = files.read_json(folder / "figures" / "manifest.json")
    return written | {f"entry of {name}": entry["sha256"] for name, entry in manifest.items() if name in written}


def _lost(folder: Path, runs: Runs, expected: dict[str, str]) -> str:
    """What the same command does not put right; '' if nothing."""
    code, printed = _end(_start(folder, batch=True), folder)
    if code:
        return f"resuming ended with {code}: {printed[-1500:]}"
    if loss := lost(folder / "home" / "runs", runs):
        return loss
    if left := [path.name for path in folder.rglob(".*.tmp")]:
        return f"left over: {left}"
    receipts = sorted(path.stem for path in (folder / "home" / "executed").rglob("*.json"))
    if receipts != list(NUMBERS):
        return f"receipts of {receipts}"
    return "" if _figures(folder) == expected else f"figures {_figures(folder)} instead of {expected}"


def _kill_kernel(folder: Path, seconds: float, draw: Random) -> str:
    """Kills one kernel; what is wrong with what the command says of it."""
    process = _start_and_wait(folder, False, seconds)
    alive = processes.of(folder, KERNEL)
    processes.kill([draw.choice(alive)] if alive else [])
    code, printed = _end(process, folder)
    failed = [line for line in printed.splitlines() if line.startswith("failed")]
    if not alive or (code, failed) == (0, []):
        raise TooLate
    if code != 1 or len(failed) != 1 or not re.search(r": cell \d+: the kernel died", failed[0]):
        return f"ended with {code}: {printed[-1500:]}"
    others = [name for name in NUMBERS if name not in failed[0]]
    return "" if all(f"ran     {name}" in printed for name in others) else f"stopped {others}: {printed[-1500:]}"


def _kill_whole(folder: Path, seconds: float, draw: Random) -> str:
    """Kills the command's group, its workers among it; kernels have groups of their own and must end by themselves."""
    process = _start_and_wait(folder, True, seconds)
    os.killpg(process, signal.SIGKILL)
    if wait(process) != -signal.SIGKILL:
        raise TooLate
    return ""


# How they are killed, and until when, as a share of an undisturbed run; a whole one starts kernels after its workers.
WAYS = {"notebook kernels": (_kill_kernel, SPAN), "a whole reproduction": (_kill_whole, 3.0)}


def run(folder: Path, trials: int, runs: Runs) -> dict[str, Outcome]:
    """Kills and resumes so many times in each of WAYS; `runs` are those that `kills.stages` found."""
    outcomes, whole = {kind: Outcome() for kind in WAYS}, folder / "undisturbed"
    process, began = _start_and_wait(whole, False), time.time()
    code, printed = _end(process, whole)
    if wrong := printed if code else lost(whole / "home" / "runs", runs):
        outcomes[next(iter(WAYS))].count("undisturbed", wrong)
        return outcomes
    (receipt,) = (whole / "home" / "executed").rglob("00_computes.json")
    duration, figures = receipt.stat().st_mtime - began, _figures(whole)
    for kind, (attempt, share) in WAYS.items():
        way = {kind: (attempt, share * duration)}
        kill_and_resume(outcomes[kind], folder, trials, way, lambda root: _lost(root, runs, figures))
    return outcomes
