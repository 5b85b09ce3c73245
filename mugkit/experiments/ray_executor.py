"""A Ray cluster as an executor (extra `cluster`).

The run store must be on a path that all nodes share; a node computes a task as a worker process does. If a node or
worker is lost, Ray reschedules its task, which resumes from its checkpoint.
"""

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from typing import Any

from mugkit import files
from mugkit.errors import UserError

RETRIES = 3  # of a task whose worker or node was lost; a task that raises is not retried
PATIENCE = 60.0  # seconds for interrupted tasks to remove half-written files; a busy node needs some
log = logging.getLogger(__name__)


def _call(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Runs on a node. Ray takes functions only, but `fn` may be a partial object."""
    # A cluster that a script started in the background ignores SIGINT, and then `ray.cancel` would interrupt nothing.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return fn(*args, **kwargs)


class RayExecutor(Executor):
    """Runs tasks on a Ray cluster.

    Args:
        address: address of a running cluster ('auto': the one this machine belongs to); '' starts one on this machine.
        request: maps what each node has to what a task asks for, both as {'CPU': cores, 'GPU': cards}; with less than
            one card, several tasks share a card.

    Raises:
        UserError: if Ray is not installed, no cluster is at that address, or this machine has too little for a task.
    """

    def __init__(self, address: str, request: Callable[[list[dict[str, float]]], dict[str, float]]) -> None:
        try:
            import ray
        except ModuleNotFoundError as error:
            raise UserError("Ray is not installed", field="engine", fix="make setup, or pip install ray") from error
        self._ray: Any = ray
        self._refs: dict[Future[Any], Any] = {}
        self._connected = not self._ray.is_initialized()  # else the connection is the user's own, and stays open
        if self._connected:
            self._connect(address)
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        asked = request(nodes)
        if not any(all(node.get(kind, 0) >= amount for kind, amount in asked.items()) for node in nodes):
            self._no_node_has(asked, grows=bool(address))
        self._asked = {"num_cpus": asked["CPU"], "num_gpus": asked["GPU"], "max_retries": RETRIES}

    def _connect(self, address: str) -> None:
        variables = {"MUGKIT_HOME": str(files.home()), "MUGKIT_PROGRESS": "0"}
        if path := os.environ.get("PYTHONPATH"):
            variables["PYTHONPATH"] = path
        # 'local': with no address at all Ray would join any cluster that it finds on this machine.
        options = {"address": address} if address else {"address": "local", "include_dashboard": False}
        host, _, port = address.rpartition(":")
        before = signal.getsignal(signal.SIGTERM)  # Ray replaces this process's handler by its own
        try:
            if port.isdigit():  # where nothing listens, Ray itself would try for minutes
                socket.create_connection((host, int(port)), timeout=5).close()
            self._ray.init(runtime_env={"env_vars": variables}, log_to_driver=False, **options)
        except (OSError, RuntimeError, ValueError) as error:
            fix = "start one with `ray start --head`, and give its address"
            raise UserError(f"no Ray cluster at '{address}': {error}", field="address", fix=fix) from error
        finally:
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, before)

    def _no_node_has(self, asked: Mapping[str, float], *, grows: bool) -> None:
        """An error on this machine alone; a cluster may still get such a node."""
        told = f"no node has the {asked['CPU']:g} CPU cores and {asked['GPU']:g} GPUs that a run asks for"
        if grows:
            log.warning("%s; waiting for one", told)
            return
        self._leave()
        raise UserError(told, field="--cpus-per-run, --gpus-per-run", fix="ask for less")

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        reference = self._ray.remote(_call).options(**self._asked).remote(fn, args, kwargs)
        future: Future[Any] = reference.future()
        self._refs[future] = reference
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leaves the cluster as it is; with `cancel_futures`, none of our tasks runs afterwards."""
        if cancel_futures:
            self._cancel([reference for future, reference in self._refs.items() if not future.done()])
            self._leave()
        self._refs.clear()

    def _cancel(self, references: list[Any]) -> None:
        """Interrupts every task like Ctrl-C, so that half-written files are removed; then kills those that remain."""
        for force in (False, True):
            for reference in references:
                self._ray.cancel(reference, force=force)
            if references:
                _, references = self._ray.wait(references, num_returns=len(references), timeout=PATIENCE)

    def _leave(self) -> None:
        """Ends what `_connect` started: the connection, and the cluster if it started one."""
        if self._connected:
            self._ray.shutdown()
