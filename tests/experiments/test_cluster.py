"""Runs over a Ray cluster on this machine: a node is lost, cards are shared, a signal ends everything cleanly."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import psutil  # type: ignore[import-untyped]
import pytest
from reliability import processes
from small import hashes

from mugkit import files, pools
from mugkit.config import RunSpec
from mugkit.data.schema import Dataset
from mugkit.errors import UserError
from mugkit.experiments import scheduler
from mugkit.experiments.execution import ExecutionConfig
from mugkit.experiments.ray_executor import RayExecutor
from mugkit.experiments.run_store import Store
from mugkit.experiments.scheduler import run_all
from mugkit.training.checkpoint import Checkpoint

ray = pytest.importorskip("ray", reason="the extra `cluster` is not installed")

NAME = "made-up"
# Runs of some seconds: two nodes surely compute at the same time.
EPOCHS = (("max_epochs", 150), ("patience", 150))
# Nobody waits for their end: far longer than any machine needs to send the signal.
LONG = (("batch_size", 4), ("max_epochs", 100_000), ("patience", 100_000))
SPECS = [RunSpec("copy", NAME, seed, "smoke", changes=LONG) for seed in (1, 2)]


@pytest.fixture(autouse=True)
def prepared(monkeypatch: pytest.MonkeyPatch, prepare: Callable[..., Dataset]) -> None:
    prepare(true_labels=False)
    folders = [Path(scheduler.__file__).parents[2], *Path(__file__).parents[:2]]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, folders)))


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A cluster whose head has the cores and cards of the parameter.

    It begins with SIGINT ignored, as what a script starts in the background: its workers inherit that.
    """
    from ray.cluster_utils import Cluster as Nodes

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        made = Nodes(initialize_head=True, head_node_args={"include_dashboard": False, **request.param})
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        yield made
    finally:
        ray.shutdown()
        made.shutdown()


def one_core(_: object) -> dict[str, float]:
    return {"CPU": 1.0, "GPU": 0.0}


class Killer(threading.Thread):
    """Kills a node as soon as both have something in hand: a node that the test itself is not connected to.

    Attributes:
        finished: how many runs were finished by then.
    """

    def __init__(self, cluster: Any, nodes: list[Any], store: Store) -> None:
        super().__init__(daemon=True)
        self.cluster, self.nodes, self.store, self.finished = cluster, nodes, store, -1
        self.start()

    def run(self) -> None:
        while len({path.parent for path in processes.checkpoints(self.store.root)}) < 2:
            time.sleep(0.02)
        self.finished = len(list(self.store.root.glob("train/*/done.json")))
        here = ray.get_runtime_context().get_node_id()  # Ray may choose any; without it the test would wait for ever
        mine = {node["RayletSocketName"] for node in ray.nodes() if node["NodeID"] == here}
        lost = next(node for node in self.nodes if node.raylet_socket_name not in mine)
        self.cluster.remove_node(lost, allow_graceful=False)


@pytest.mark.slow
@pytest.mark.parametrize("cluster", [{"num_cpus": 0}], indirect=True)
def test_run_all_on_ray_with_a_lost_node_gives_the_same_numbers(cluster: Any, tmp_path: Path) -> None:
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    cluster.wait_for_nodes()
    specs = [RunSpec(name, NAME, seed, "smoke", changes=EPOCHS) for name in ("mug", "copy") for seed in (1, 2)]
    failing, store = RunSpec("mug-true-labels", NAME, 1, "smoke"), Store(files.home() / "spread")
    execution = ExecutionConfig("ray", address=cluster.address)
    killer = Killer(cluster, nodes, store)
    with pytest.raises(UserError, match="mug-true-labels on made-up") as caught:
        run_all([*specs, failing], execution, store=store)
    killer.join(timeout=300)
    assert "no true unimodal labels" in str(caught.value)
    assert 0 <= killer.finished < len(specs)  # in the middle
    spread = run_all(specs, execution, store=store)
    assert all(run.reused for run in spread)  # the failed run stopped no other
    alone = run_all(specs, store=Store(tmp_path / "alone"), execution=ExecutionConfig(workers=1))
    assert [hashes(run.folder) for run in spread] == [hashes(run.folder) for run in alone]


@pytest.mark.slow
@pytest.mark.parametrize("cluster", [{"num_cpus": 0}], indirect=True)
def test_cluster_without_an_address_joins_no_other_that_runs_here(cluster: Any) -> None:
    with RayExecutor("", one_core) as own:
        assert ray.get_runtime_context().gcs_address != cluster.address
        assert own.submit(os.getpid).result(timeout=300) != os.getpid()  # by a core that the other does not have


def test_cluster_at_an_address_where_there_is_none_is_refused() -> None:
    with pytest.raises(UserError, match=r"no Ray cluster at '127\.0\.0\.1:1'"):
        RayExecutor("127.0.0.1:1", one_core)


def _beside_others(folder: Path, number: int, together: int) -> tuple[int, str | None]:
    """How many tasks run at the same time as this task, and the card that it sees."""
    (folder / str(number)).touch()
    until = time.monotonic() + 300
    while len(list(folder.iterdir())) < together and time.monotonic() < until:
        time.sleep(0.05)
    return len(list(folder.iterdir())), os.environ.get("CUDA_VISIBLE_DEVICES")


@pytest.mark.slow
@pytest.mark.parametrize("cluster", [{"num_cpus": 4, "num_gpus": 2}], indirect=True)
def test_several_tasks_share_a_card(cluster: Any, tmp_path: Path) -> None:
    """Ray gives out cards that a node says it has; whether they are there only a task would notice."""
    request = partial(ExecutionConfig(gpus=0.5).on_cluster, [RunSpec("copy", NAME, 1, "smoke")])
    pool = RayExecutor(cluster.address, request)
    seen = [pool.submit(_beside_others, tmp_path, number, 4) for number in range(4)]
    assert sorted(task.result() for task in seen) == [(4, "0"), (4, "0"), (4, "1"), (4, "1")]
    # The cluster may get such a node: the task waits, and is given up with the rest.
    waiting = RayExecutor(cluster.address, lambda _: {"CPU": 64.0, "GPU": 0.0})
    future = waiting.submit(os.getpid)
    pools.shutdown_now(waiting)
    assert isinstance(future.exception(timeout=300), ray.exceptions.TaskCancelledError)


@pytest.mark.slow
def test_cluster_of_this_machine_refuses_what_it_has_not_and_is_not_left_running() -> None:
    with pytest.raises(UserError, match="no node has the 4096 CPU cores and 0 GPUs that a run asks for"):
        RayExecutor("", lambda _: {"CPU": 4096.0, "GPU": 0.0})
    assert not ray.is_initialized()


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


@pytest.fixture
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """`mugkit reproduce --engine ray` in a session of its own, as a terminal would start it."""
    (tmp_path / "notebooks").mkdir()
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "notebooks" / "00_empty.ipynb")
    command = ["reproduce", "--profile", "smoke", "--dataset", NAME, "--out", str(tmp_path / "figures")]
    command += ["--engine", "ray"]
    if "cluster" in request.fixturenames:
        command += ["--address", request.getfixturevalue("cluster").address]
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
    for process in psutil.process_iter(["cmdline", "environ"]):  # None for a process that ended, or is somebody else's
        words, variables = process.info["cmdline"] or (), process.info["environ"] or {}
        if any(word.startswith("ray::_call") for word in words) and variables.get("MUGKIT_HOME") == str(files.home()):
            found.append(process.pid)
    return found


def stopped_leaves_nothing_behind(table: subprocess.Popen[str], number: signal.Signals) -> None:
    processes.wait_until(lambda: len(checkpoints()) >= len(SPECS), table)
    assert tasks()
    children = psutil.Process(table.pid).children(recursive=True)
    processes.stop(table, number, group=number == signal.SIGINT)
    assert tasks() == []
    assert psutil.wait_procs(children, timeout=ENDED)[1] == []  # Ray's processes of the command's own
    assert not list((files.home() / "runs" / "train").glob("*/done.json"))  # in the middle
    # Whole, so that the next command goes on from there; that it ends in the same bits, tests/reliability shows.
    saved = [Checkpoint(path).load() for path in checkpoints()]
    assert len(saved) == len(SPECS)
    assert all(state and state["history"] for state in saved)


@pytest.mark.slow
def test_table_on_its_own_cluster_interrupted(table: subprocess.Popen[str]) -> None:
    stopped_leaves_nothing_behind(table, signal.SIGINT)


@pytest.mark.slow
@pytest.mark.parametrize("cluster", [{"num_cpus": 2}], indirect=True)
def test_table_on_another_cluster_terminated(cluster: Any, table: subprocess.Popen[str]) -> None:
    stopped_leaves_nothing_behind(table, signal.SIGTERM)
    names = [process.info["name"] or "" for process in psutil.process_iter(["name"])]
    assert any(name.startswith("raylet") for name in names)  # it was not the command's to end
