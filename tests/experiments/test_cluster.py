"""Runs over a Ray cluster of two nodes on this machine, one of them lost in the middle, against runs without Ray."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
import pytest
from reliability import processes
from small import hashes

from mugkit import files, pools
from mugkit.config import RunSpec
from mugkit.data.schema import Dataset
from mugkit.errors import UserError
from mugkit.experiments import scheduler
from mugkit.experiments.ray_executor import RayExecutor
from mugkit.experiments.resources import Resources, on_cluster
from mugkit.experiments.scheduler import ExecutionConfig, run_all
from mugkit.experiments.store import Store

ray = pytest.importorskip("ray", reason="the extra `cluster` is not installed")

NAME = "made-up"
# Runs of some seconds: two nodes surely compute at the same time.
EPOCHS = (("max_epochs", 150), ("patience", 150))


@pytest.fixture(autouse=True)
def prepared(monkeypatch: pytest.MonkeyPatch, prepare: Callable[..., Dataset]) -> None:
    prepare(true_labels=False)
    monkeypatch.setenv("PYTHONPATH", str(Path(scheduler.__file__).parents[2]))


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head without cores and two nodes of one core each."""
    from ray.cluster_utils import Cluster as Nodes

    made = Nodes(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    made.nodes = [made.add_node(num_cpus=1) for _ in range(2)]
    made.wait_for_nodes()
    try:
        yield made
    finally:
        ray.shutdown()
        made.shutdown()


class Killer(threading.Thread):
    """Kills a node as soon as both have something in hand: a node that the test itself is not connected to.

    Attributes:
        finished: how many runs were finished by then.
    """

    def __init__(self, cluster: Any, store: Store) -> None:
        super().__init__(daemon=True)
        self.cluster, self.store, self.finished = cluster, store, -1
        self.start()

    def run(self) -> None:
        while len({path.parent for path in processes.checkpoints(self.store.root)}) < 2:
            time.sleep(0.02)
        self.finished = len(list(self.store.root.glob("train/*/done.json")))
        here = ray.get_runtime_context().get_node_id()  # Ray may choose any; without it the test would wait for ever
        mine = {node["RayletSocketName"] for node in ray.nodes() if node["NodeID"] == here}
        lost = next(node for node in self.cluster.nodes if node.raylet_socket_name not in mine)
        self.cluster.remove_node(lost, allow_graceful=False)


@pytest.mark.slow
def test_run_all_on_ray_with_a_lost_node_gives_the_same_numbers(cluster: Any, tmp_path: Path) -> None:
    specs = [RunSpec(name, NAME, seed, "smoke", changes=EPOCHS) for name in ("mug", "copy") for seed in (1, 2)]
    failing, store = RunSpec("mug-true-labels", NAME, 1, "smoke"), Store(files.home() / "spread")
    execution = ExecutionConfig("ray", address=cluster.address)
    killer = Killer(cluster, store)
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
def test_cluster_without_an_address_joins_no_other_that_runs_here() -> None:
    from ray.cluster_utils import Cluster as Nodes

    made = Nodes(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        with RayExecutor() as own:
            assert ray.get_runtime_context().gcs_address != made.address
            assert own.submit(os.getpid).result(timeout=300) != os.getpid()  # by a core that the other does not have
    finally:
        ray.shutdown()
        made.shutdown()


def _beside_others(folder: Path, number: int, together: int) -> tuple[int, str | None]:
    """How many tasks run at the same time as this task, and the card that it sees."""
    (folder / str(number)).touch()
    until = time.monotonic() + 300
    while len(list(folder.iterdir())) < together and time.monotonic() < until:
        time.sleep(0.05)
    return len(list(folder.iterdir())), os.environ.get("CUDA_VISIBLE_DEVICES")


@pytest.mark.slow
def test_several_tasks_share_a_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray gives out cards that a node says it has; whether they are there only a task would notice."""
    from ray.cluster_utils import Cluster as Nodes

    folders = [Path(scheduler.__file__).parents[2], *Path(__file__).parents[:2]]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, folders)))
    made = Nodes(initialize_head=True, head_node_args={"num_cpus": 4, "num_gpus": 2, "include_dashboard": False})
    try:
        pool = RayExecutor(
            made.address, partial(on_cluster, Resources(gpus=0.5), [RunSpec("copy", NAME, 1, "smoke")], "auto")
        )
        seen = [pool.submit(_beside_others, tmp_path, number, 4) for number in range(4)]
        assert sorted(task.result() for task in seen) == [(4, "0"), (4, "0"), (4, "1"), (4, "1")]
        # The cluster may get such a node: the task waits, and is given up with the rest.
        waiting = RayExecutor(made.address, lambda _: {"CPU": 64.0, "GPU": 0.0})
        future = waiting.submit(os.getpid)
        pools.shutdown_now(waiting)
        assert isinstance(future.exception(timeout=300), ray.exceptions.TaskCancelledError)
    finally:
        ray.shutdown()
        made.shutdown()


BAR = """
import tqdm.auto
class Told(tqdm.auto.tqdm):
    def close(self):
        if self.desc == "runs":
            print(f"{self.n} of {self.total}, {'hidden' if self.disable else 'shown'}")
        super().close()
tqdm.auto.tqdm = Told
from mugkit.config import RunSpec
from mugkit.experiments.scheduler import ExecutionConfig, run_all
runs = run_all([RunSpec("copy", "made-up", seed, "smoke") for seed in (1, 2)], ExecutionConfig("ray"))
"""
ASKED_TOO_MUCH = """
import ray
ray.shutdown()
from mugkit.experiments.scheduler import Resources
from mugkit.errors import UserError
try:
    run_all([RunSpec("copy", "made-up", 3, "smoke")], ExecutionConfig("ray", resources=Resources(cpus=4096)))
except UserError as error:
    print(error, ray.is_initialized())
"""


@pytest.mark.slow
def test_notebook_shows_progress_on_ray_and_what_this_machine_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    from nbclient import NotebookClient

    monkeypatch.delenv("MUGKIT_PROGRESS", raising=False)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in (BAR, ASKED_TOO_MUCH)])
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    printed = ["".join(output.get("text", "") for output in cell.outputs) for cell in notebook.cells]
    assert "2 of 2, shown" in printed[0]
    assert "no node has the 4096 CPU cores and 0 GPUs that a run asks for" in printed[1]
    assert printed[1].rstrip().endswith("False")  # Ray is not left running


def test_cluster_at_an_address_where_there_is_none_is_refused() -> None:
    with pytest.raises(UserError, match=r"no Ray cluster at '127\.0\.0\.1:1'"):
        RayExecutor("127.0.0.1:1")
