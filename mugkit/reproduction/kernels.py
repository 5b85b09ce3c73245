"""Runs one notebook in its own kernel, with a time limit per cell, and can end it early."""

import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from weakref import WeakSet

import nbformat
import papermill
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellTimeoutError, DeadKernelError

from mugkit.errors import unknown_name
from mugkit.notebook import FINISHED

AT_ONCE = 2  # notebooks; starting a kernel and drawing a figure leave most of a machine idle


class ThroughFiles:
    """Kernel managers whose sockets are files in a private folder.

    A port can be read by other users, and two kernels that start at once may choose the same.
    """

    def __init__(self, **options: Any) -> None:
        if os.name == "posix":  # ZeroMQ has no such sockets on Windows
            self._sockets = TemporaryDirectory(prefix="kernel-")
            options |= {"transport": "ipc", "connection_file": str(Path(self._sockets.name) / "kernel.json")}
        super().__init__(**options)


class Kernel(ThroughFiles, AsyncKernelManager):
    """A kernel that `end_all` can end and that uses its share of the cores.

    If each of the `AT_ONCE` kernels used all cores, its threads would mostly wait for those of the others.
    """

    async def _async_pre_start_kernel(self, **options: Any) -> tuple[list[str], dict[str, Any]]:
        _started.add(self)
        threads = max(1, (os.cpu_count() or 1) // AT_ONCE)
        environment = {"OMP_NUM_THREADS": str(threads), **os.environ, **options.pop("env", {})}
        # Every kernel that is shut down logs the interrupt with which jupyter_client begins.
        options["extra_arguments"] = [*options.get("extra_arguments", ()), "--IPKernelApp.log_level=CRITICAL"]
        command, options = await super()._async_pre_start_kernel(env=environment, **options)
        return command, options

    pre_start_kernel = _async_pre_start_kernel


_started: WeakSet[Kernel] = WeakSet()


def end_all() -> None:
    """Kills every kernel; the notebooks in them stop where they are."""
    for kernel in list(_started):
        if process := getattr(kernel.provisioner, "process", None):
            process.kill()


def execute(path: Path, executed: Path, parameters: Mapping[str, Any], limit: float) -> str:
    """Runs a notebook and saves its executed copy after every cell; returns the error and its cell, or ''.

    Args:
        limit: seconds that one cell may take.

    Raises:
        UserError: if the notebook lacks a parameter.
    """
    known = papermill.inspect_notebook(str(path))
    for name in parameters:  # papermill only logs a parameter that the notebook lacks
        if name not in known:
            raise unknown_name(f"parameter of {path.name}", name, known)
    executed.parent.mkdir(parents=True, exist_ok=True)
    at = 0

    def begins(cell: Any, cell_index: int) -> None:
        nonlocal at
        at = cell_index + 1

    try:
        papermill.execute_notebook(
            str(path), str(executed), dict(parameters), progress_bar=False, log_output=False,
            execution_timeout=limit, on_cell_execute=begins, kernel_manager_class=Kernel,
            # The kernel's folder; papermill's `cwd` would change that of this process, which other threads use, too.
            resources={"metadata": {"path": str(path.parent)}},
        )  # fmt: skip
    except papermill.PapermillExecutionError as error:
        return f"cell {error.exec_count}: {error.ename}: {error.evalue}"
    except CellTimeoutError:
        return f"cell {at}: took longer than {limit:g} seconds (--cell-limit)"
    except DeadKernelError:
        return f"cell {at}: the kernel died (killed, or out of memory)"
    except Exception as error:  # whatever papermill raises, the other notebooks still run
        return f"cell {at}: {type(error).__name__}: {error}"
    return "" if finished(executed) else f"cell {at}: stopped before the last cell (sys.exit in a cell, or killed)"


def finished(executed: Path) -> bool:
    """Whether the last code cell printed the line that only a complete run prints."""
    cells = [c for c in nbformat.read(executed, as_version=4).cells if c.cell_type == "code"]
    printed = "".join(str(o.get("text", "")) for o in cells[-1].outputs) if cells else ""
    return FINISHED in printed
