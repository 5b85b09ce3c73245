"""A Ray cluster as an executor (extra `cluster`).

The run store has to be on a path that all nodes share; a node computes a task as a worker process does. What a lost
node or worker was computing is handed out again by Ray and resumes from its checkpoint.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from mugkit import files
from mugkit.errors import UserError

RETRIES = 3  # of a task whose worker or node was lost; a task that raises is not tried again


def _ray() -> Any:
    try:
        import ray
    except ModuleNotFoundError as error:
        raise UserError("Ray is not installed", field="engine", fix="make setup, or pip install ray") from error
    return ray


def _call(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """On a node. Ray takes functions only, and what is called may be a partial one."""
    return fn(*args, **kwargs)


def _reach(address: str) -> None:
    """Refuses an address at which nothing listens; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        fix = "start one with `ray start --head`, and give its address"
        raise UserError(f"no Ray cluster at '{address}': {error}", field="address", fix=fix) from error


class Cluster(Executor):
    """Tasks on a Ray cluster.

    Args:
        address: of a running cluster ('auto': the one this machine belongs to); '' starts one on this machine.
        cpus: CPU cores that a task asks for.
        gpus: GPUs that a task asks for; less than one lets several share a card.

    Raises:
        UserError: Ray is not installed, or there is no cluster at that address.
    """

    def __init__(self, address: str = "", cpus: float = 1, gpus: float = 0) -> None:
        self._ray, self._asked = _ray(), {"num_cpus": cpus, "num_gpus": gpus, "max_retries": RETRIES}
        self._refs: dict[Future[Any], Any] = {}
        if not self._ray.is_initialized():
            self._connect(address)

    def _connect(self, address: str) -> None:
        _reach(address)
        variables = {"MUGKIT_HOME": str(files.home()), "MUGKIT_PROGRESS": "0"}
        if path := os.environ.get("PYTHONPATH"):
            variables["PYTHONPATH"] = path
        options: dict[str, Any] = {"address": address} if address else {"include_dashboard": False}
        try:
            self._ray.init(runtime_env={"env_vars": variables}, log_to_driver=False, **options)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise UserError(
                f"no Ray cluster at '{address}': {error}", field="address", fix="ray start --head"
            ) from error

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        reference = self._ray.remote(_call).options(**self._asked).remote(fn, args, kwargs)
        future: Future[Any] = reference.future()
        self._refs[future] = reference
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leaves the cluster running; tasks that are not wanted any more are ended."""
        for future, reference in self._refs.items():
            if cancel_futures and not future.done():
                self._ray.cancel(reference, force=True)
        self._refs.clear()
