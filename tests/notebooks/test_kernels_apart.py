"""Kernels of nbval's processes cannot meet: each has sockets that are files, in a folder of its own."""

from __future__ import annotations

from pathlib import Path

from kernels_apart import ThroughFiles
from nbval.kernel import start_new_kernel


def test_kernels_answer_through_sockets_in_folders_of_their_own() -> None:
    started = [start_new_kernel(kernel_name="python3") for _ in range(2)]
    try:
        folders = [Path(manager.connection_file).parent for manager, _ in started]
        assert folders[0] != folders[1]
        for (manager, client), folder in zip(started, folders, strict=True):
            assert isinstance(manager, ThroughFiles)
            assert client.execute_interactive("1 + 1", timeout=60)["content"]["status"] == "ok"
            assert sum(file.is_socket() for file in folder.iterdir()) == 5  # shell, iopub, stdin, control, heartbeat
    finally:
        for manager, client in started:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
