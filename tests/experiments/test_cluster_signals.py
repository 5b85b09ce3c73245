"""Ctrl-C while a table runs on Ray: nothing of it runs on, nothing is half-written, and the next command resumes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil  # type: ignore[import-untyped]
import pytest
from reliability import processes
from small import hashes

from mugkit import files
from mugkit.config import RunSpec
from mugkit.data.schema import Dataset
from mugkit.experiments import scheduler
from mugkit.experiments.scheduler import ExecutionConfig, run_all
from mugkit.experiments.store import Store

ray = pytest.importorskip("ray", reason="the extra `cluster` is not installed")

NAME = "made-up"
# Nobody waits for their end before the signal comes: far longer than any machine needs to send it.
LONG = (("batch_size", 4), ("max_epochs", 600), ("patience", 600))
SPECS = [RunSpec("copy", NAME, seed, "smoke", changes=LONG) for seed in (1, 2)]
# The console script with runs of the test's own as what its notebooks need, and a repository of the test's own.
MUGKIT = f"""
from pathlib import Path
from mugkit import cli, files
from mugkit.config import RunSpec
from mugkit.experiments import scheduler
from mugkit.reproduction import precompute
files.repository = lambda: Path.cwd()
precompute.compute = lambda profile, dataset, execution, *_: scheduler.run_all({SPECS!r}, execution) and []
cli.app()
"""
# A cluster of the command's own has a core for each run, however few this machine or its container has.
OWN = {"HF_HUB_OFFLINE": "1", "RAY_OVERRIDE_RESOURCES": f'{{"CPU": {len(SPECS)}}}'}
ENDED = 30.0  # seconds that Ray's own processes may take to go


@pytest.fixture(autouse=True)
def prepared(monkeypatch: pytest.MonkeyPatch, prepare: Callable[..., Dataset]) -> None:
    prepare()
    monkeypatch.setenv("PYTHONPATH", str(Path(scheduler.__file__).parents[2]))


@pytest.fixture
def address(own: bool) -> Iterator[str]:
    """Where the table runs: '' for a cluster that the command starts itself."""
    if own:
        yield ""
        return
    from ray.cluster_utils import Cluster as Nodes

    made: Any = Nodes(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    try:
        yield made.address
        assert [process for process in psutil.process_iter() if _name(process).startswith("raylet")]  # still there
    finally:
        ray.shutdown()
        made.shutdown()


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return ""


@pytest.fixture
def table(address: str, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """`mugkit reproduce --engine ray` in a session of its own, as a terminal would start it."""
    (tmp_path / "notebooks").mkdir()
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "notebooks" / "00_empty.ipynb")
    command = ["reproduce", "--profile", "smoke", "--dataset", NAME, "--out", str(tmp_path / "figures")]
    command += ["--engine", "ray", *(["--address", address] if address else [])]
    process = subprocess.Popen(
        [sys.executable, "-c", MUGKIT, *command],
        cwd=tmp_path, env=os.environ | OWN, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    yield process
    process.kill()
    process.communicate()


def checkpoints() -> list[Path]:
    return processes.checkpoints(files.home() / "runs")


def tasks() -> list[int]:
    """Processes that work at a task for this test, or began to: Ray writes the function's name into their titles."""
    found = []
    for process in psutil.process_iter():
        try:
            if any(word.startswith("ray::_call") for word in process.cmdline()) and _is_ours(process):
                found.append(process.pid)
        except psutil.Error:  # ended, or somebody else's
            continue
    return found


def _is_ours(process: psutil.Process) -> bool:
    return process.environ().get("MUGKIT_HOME") == str(files.home())


@pytest.mark.slow
@pytest.mark.parametrize(("own", "number"), [(True, signal.SIGINT), (False, signal.SIGTERM)])
def test_table_on_ray_stopped_by_a_signal_leaves_nothing_behind(
    number: signal.Signals, address: str, table: subprocess.Popen[str], tmp_path: Path
) -> None:
    processes.wait_until(lambda: len(checkpoints()) >= len(SPECS), table)
    assert tasks()
    children = psutil.Process(table.pid).children(recursive=True)
    processes.stop(table, number, group=number == signal.SIGINT)
    assert tasks() == []
    assert psutil.wait_procs(children, timeout=ENDED)[1] == []  # Ray's processes of the command's own
    assert not list((files.home() / "runs" / "train").glob("*/done.json"))  # in the middle
    assert checkpoints()
    resumed, alone = (
        run_all(SPECS[:1], store=store, execution=ExecutionConfig(workers=1))[0]
        for store in (Store.default(), Store(tmp_path / "a"))
    )
    assert hashes(resumed.folder) == hashes(alone.folder)
