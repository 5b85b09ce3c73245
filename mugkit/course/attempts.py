"""Runs inside the sandbox: harmlessly attempts what the sandbox must prevent, and prints the results.

python -m mugkit.course.attempts FILE     FILE: a file outside the sandbox that must not be visible
"""

import ctypes
import json
import os
import resource
import socket
import sys
import time
from pathlib import Path

_MOST_PROCESSES, _MOST_BYTES = 16, 256 * 1024**2


def memory() -> tuple[bool, str]:
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    try:
        bytearray(2 * _MOST_BYTES)
    except MemoryError:
        return True, "limits of each process"
    return False, "a limit on memory was not kept"


def files() -> tuple[bool, str]:
    secret = Path(sys.argv[1])
    if secret.exists():
        return False, f"{secret.parent} can be seen"
    for folder in ("/", "/usr", "/dev", str(Path(__file__).parent)):
        try:
            Path(folder, "mugkit-attempt").write_text("x")
        except OSError:
            continue
        return False, f"{folder} can be written to"
    return True, "Python and mugkit to read, an empty folder to write"


def network() -> tuple[bool, str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attempt:
        try:
            attempt.connect(("192.0.2.1", 9))  # a documentation address; UDP sends nothing on connecting
        except OSError as error:
            return True, f"a network namespace of its own ({error.strerror})"
    return False, "there is a route to the network"


def processes() -> tuple[bool, str]:
    seen = [path.name for path in Path("/proc").iterdir() if path.name.isdigit()]
    return len(seen) < 10, f"sees {len(seen)} processes"


def forks() -> tuple[bool, str]:
    resource.setrlimit(resource.RLIMIT_NPROC, (_MOST_PROCESSES, _MOST_PROCESSES))
    started = 0
    try:
        for _ in range(2 * _MOST_PROCESSES):
            if os.fork() == 0:
                time.sleep(1)
                os._exit(0)
            started += 1
    except OSError:
        return True, "a limit of its own, kept by the kernel"
    return False, f"{started} processes started under a limit of {_MOST_PROCESSES}"


def namespaces() -> tuple[bool, str]:
    new_user = 0x10000000  # CLONE_NEWUSER: inside one, anybody may mount and fill file systems
    if ctypes.CDLL(None).unshare(new_user) == 0:
        return False, "a user namespace could be made"
    return True, "making one is refused"


NETWORK, MEMORY = "no network", "memory, processor time, file size"
ATTEMPTS = {
    "files of others hidden, the system read-only": files,
    NETWORK: network,
    "other processes hidden": processes,
    "no further namespaces": namespaces,
    "number of processes": forks,  # this attempt and the next set limits that stay in force, so they come last
    MEMORY: memory,
}

if __name__ == "__main__":
    print(json.dumps({name: attempt() for name, attempt in ATTEMPTS.items()}))
