"""Ctrl-C while a table runs on Ray: nothing of it runs on, nothing is half-written, and the next command resumes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil  # type: ignore[import-untyped]
import pytest
from reliability import processes
from small import bag_of_words, hashes

from mugkit import files
from mugkit.config import RunSpec
from mugkit.data import store as data_store
from mugkit.data import text
from mugkit.data.schema import Dataset
from mugkit.experiments import experiment, scheduler
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
from mugkit import precompute, cli, files
from mugkit.config import RunSpec
files.repository = lambda: Path.cwd()
precompute.trained = lambda *_: {SPECS!r}
precompute.learned = precompute.studied = precompute.readings = precompute.settings = precompute.mapped = lambda *_: []
cli.app()
"""
# A cluster of the command's own has a core for each run, however few this machine or its container has.
OWN = {"HF_HUB_OFFLINE": "1", "RAY_OVERRIDE_RESOURCES": f'{{"CPU": {len(SPECS)}}}'}
ENDED = 30.0  # seconds that Ray's own processes may take to go


@pytest.fixture(autouse=True)
def prepared(monkeypatch: pytest.MonkeyPatch, made_up: Callable[..., Dataset], mugkit_home: Path) -> None:
    """A data set whose text is encoded already: tasks find it in the cache and need no encoder."""
    experiment._dataset.cache_clear()
    dataset = made_up((24, 8, 8))
    data_store.save(dataset, files.data_home() / NAME)
    monkeypatch.setattr(text, "_encode", bag_of_words)
    network = SPECS[0].hyperparameters("mosi").network
    for split in dataset.splits.values():
        text.frozen_features(split.text, network.text_encoder, network.pooling)
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
        assert [one for one in psutil.process_iter() if _name(one).startswith("raylet")]  # it is still there
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


def wait_until(true: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 180.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.02)


def tasks() -> list[int]:
    """Processes that work at a task for this test, or began to: Ray writes the function's name into their titles."""
    found = []
    for one in psutil.process_iter():
        try:
            if any(word.startswith("ray::_call") for word in one.cmdline()) and _is_ours(one):
                found.append(one.pid)
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
    wait_until(lambda: len(checkpoints()) >= len(SPECS), table)
    assert tasks()
    children = psutil.Process(table.pid).children(recursive=True)
    if number == signal.SIGINT:
        os.killpg(table.pid, number)  # as a terminal does it: to the whole group
    else:
        table.send_signal(number)
    said = table.communicate(timeout=120)[1]
    assert (table.returncode, "Traceback" in said) == (128 + number, False), said
    assert f"stopped by {number.name}" in said
    assert "the same command resumes" in said
    assert tasks() == []
    assert psutil.wait_procs(children, timeout=ENDED)[1] == []  # Ray's processes of the command's own
    assert list(files.home().rglob("*.tmp")) == []
    assert not list((files.home() / "runs" / "train").glob("*/done.json"))  # in the middle
    assert checkpoints()
    resumed, alone = (
        run_all(SPECS[:1], store=one, execution=ExecutionConfig(workers=1))[0]
        for one in (Store.default(), Store(tmp_path / "a"))
    )
    assert hashes(resumed.folder) == hashes(alone.folder)
