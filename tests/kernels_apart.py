"""A pytest plugin for nbval in several processes: kernels are talked to through files, not over ports.

    PYTHONPATH=tests pytest -p kernels_apart --numprocesses=2 --dist=loadfile --nbval notebooks/*.ipynb

A kernel's ports are chosen before it takes them. Of two processes that start kernels at once both may choose the same.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager
from nbval import kernel


class ThroughFiles(KernelManager):
    """A kernel whose sockets lie in a folder of its own."""

    def __init__(self, **options: Any) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="kernel-")
        file = Path(self.folder.name) / "kernel.json"
        super().__init__(transport="ipc", connection_file=str(file), **options)


kernel.KernelManager = ThroughFiles
