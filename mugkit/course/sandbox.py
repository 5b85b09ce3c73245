"""Restricts what a student's process can do, and verifies the restrictions.

Layers, from the outside in; `protection()` tests each one on this machine and reports which work:

1. points are decided in another process (mugkit.course.judge), whatever happens in this one;
2. a wall clock: a process that does not answer in time is killed, with all its descendants;
3. resource limits: memory, processor time, file size, number of processes;
4. bubblewrap: separate namespaces (no network, no other processes), and a file system with Python, torch and mugkit
   read-only and two empty folders to write to. It lacks submissions, sources, hidden tests, and mugkit's modules that
   hold an assignment's answers.
"""

import contextlib
import json
import os
import random
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil  # type: ignore[import-untyped]

import mugkit
from mugkit.course import attempts
from mugkit.errors import UserError

MIB = 1024**2
LONGEST_REPLY = 64 * MIB
_OWN = 1024 * MIB  # bytes that torch itself holds
_BLOCK = 1 << 16
_LIBRARY = str(Path(mugkit.__file__).parent.parent)  # so that the worker imports the same mugkit as the grader
SCRATCH = "/scratch"  # the working folder inside the sandbox; besides it, only /dev/shm can be written to
_SYSTEM = (
    "/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin",
    "/etc/ld.so.cache", "/etc/alternatives", "/sys/devices/system/cpu",
)  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """What one submission may use.

    Attributes:
        cell_seconds: wall-clock time of one cell, or of one call from a test.
        total_seconds: wall-clock time of the whole submission.
        cpu_seconds: processor time of each of its processes.
        memory: bytes of each process beyond torch's own, and of all its processes together.
        file_size: bytes of one file; also the size of its scratch folder.
        processes: processes and threads.
    """

    cell_seconds: float = 60.0
    total_seconds: float = 600.0
    cpu_seconds: int = 300
    memory: int = 3 * 1024 * MIB
    file_size: int = 64 * MIB
    processes: int = 32


def command(program: Sequence[str], scratch_size: int = 64 * MIB, hidden: Sequence[str] = ()) -> list[str]:
    """The command line that runs `program` in bubblewrap without the `hidden` modules."""
    values = {"HOME": SCRATCH, "TMPDIR": SCRATCH, "PATH": "/usr/bin:/bin", "PYTHONPATH": _LIBRARY}
    values |= {"LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"}
    environment = ["--clearenv", *(part for name, value in values.items() for part in ("--setenv", name, value))]
    inside = [*_become_nobody(), *program]
    return ["bwrap", *_namespaces(), *_files(scratch_size, hidden), *environment, "--", *inside]


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-P", "-B", "-m", module, *arguments]


def _namespaces() -> list[str]:
    shared = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--new-session"]
    if os.geteuid() == 0:
        return [*shared, "--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    return [*shared, "--unshare-user", "--disable-userns", "--uid", "65534", "--gid", "65534"]


def _become_nobody() -> list[str]:
    """For root, a command prefix that gives the process a user id of its own, outside the range of people and services.

    The kernel exempts root from the limit on processes. (Other users get a user namespace, whose processes are counted
    separately.) The user namespace inside only forbids further ones, in which file systems could be mounted and filled.
    """
    if os.geteuid() != 0:
        return []
    user = str(random.SystemRandom().randrange(2_000_000, 2_000_000_000))
    drop = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--bounding-set=-all", "--no-new-privs"]
    return [*drop, "bwrap", "--unshare-user", "--disable-userns", "--die-with-parent", "--dev-bind", "/", "/", "--"]


def _files(scratch_size: int, hidden: Sequence[str]) -> list[str]:
    """Mounts the system's libraries, Python, its packages and mugkit read-only. Everything else does not exist."""
    names = dict.fromkeys((*_SYSTEM, sys.base_prefix, sys.prefix, str(Path(mugkit.__file__).parent)))
    paths = [path for path in names if Path(path).exists()]
    # Parent folders, which bubblewrap would otherwise create with access for root only.
    above = sorted({str(parent) for path in paths for parent in Path(path).parents[:-1]} - set(paths))
    size = str(scratch_size)
    return [
        *(part for path in above for part in ("--perms", "0755", "--dir", path)),
        *(part for path in paths for part in ("--ro-bind", path, path)),
        *(part for module in hidden for part in _hide(module)),
        "--dir", "/tmp", "--proc", "/proc", "--dev", "/dev",
        "--perms", "1777", "--size", size, "--tmpfs", "/dev/shm",
        "--perms", "1777", "--size", size, "--tmpfs", SCRATCH,
        "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", SCRATCH,
    ]  # fmt: skip


def _hide(module: str) -> list[str]:
    """Mounts an empty file or folder over a module of mugkit, and an empty folder over that of its compiled form."""
    path = Path(_LIBRARY, *module.split("."))
    if path.is_dir():
        return ["--tmpfs", str(path), "--remount-ro", str(path)]
    compiled = path.parent / "__pycache__"
    with contextlib.suppress(OSError):  # in a folder without write permission, nothing is compiled either
        compiled.mkdir(exist_ok=True)
    over = ["--tmpfs", str(compiled), "--remount-ro", str(compiled)] if compiled.is_dir() else []
    return [*over, "--ro-bind", "/dev/null", str(path.with_suffix(".py"))]


class Died(Exception):
    """The process ended or must be killed; the message says why."""


class Ended(Died):
    """The process ended by itself, because of this request or of something that an earlier request started."""


class Sandbox:
    """A process tree with a pipe in each direction. `kill` ends the whole tree."""

    def __init__(self, module: str, protected: bool, limits: Limits, hidden: Sequence[str] = ()) -> None:
        self.limits = limits
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  # read when the start fails
        self.folder = tempfile.TemporaryDirectory(prefix="mugkit-course-")
        program = _python(module)
        environment = {"HOME": self.folder.name, "OMP_NUM_THREADS": "1", "PYTHONPATH": _LIBRARY}
        self.process = subprocess.Popen(
            command(program, limits.file_size, hidden) if protected else program,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
            cwd=self.folder.name, env={"PATH": os.environ.get("PATH", ""), **environment}, start_new_session=True,
        )  # fmt: skip
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.requests, self.replies = self.process.stdin, self.process.stdout

    def send(self, request: bytes, deadline: float) -> None:
        """Writes a request; raises Died at the deadline if the process does not read it."""
        data = memoryview(request)
        os.set_blocking(self.requests.fileno(), False)
        while data:
            try:
                data = data[os.write(self.requests.fileno(), data) :]
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Died("it took too long") from None
                time.sleep(0.01)
            except OSError:
                raise Ended("its process ended") from None

    def line(self, deadline: float) -> bytes:
        """The next line that the process writes; enforces the limits on time, memory and length while waiting."""
        received = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(self.replies, selectors.EVENT_READ)
            while not received.endswith(b"\n"):
                if time.monotonic() > deadline:
                    raise Died("it took too long")
                if self._memory() > self.limits.memory + _OWN:
                    raise Died("its processes used too much memory")
                if selector.select(timeout=0.1):
                    block = os.read(self.replies.fileno(), _BLOCK)
                    received += block
                    if not block:
                        raise Ended("its process ended")
                    if len(received) > LONGEST_REPLY:
                        raise Died("its answer is too long")
        return bytes(received)

    def _memory(self) -> int:
        """Bytes that all its processes hold together; in large totals, a page that forks share counts once."""
        total = self._held(lambda process: process.memory_info().rss)
        # proportional shares are slow to compute, so only for large totals
        return total if total < 1024 * MIB else self._held(lambda process: process.memory_full_info().pss)

    def _held(self, measure: Callable[[psutil.Process], int]) -> int:
        total = 0
        for process in self._tree():
            with contextlib.suppress(psutil.Error):  # gone in the meantime
                total += measure(process)
        return total

    def _tree(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            own = psutil.Process(self.process.pid)
            return [own, *own.children(recursive=True)]
        return []

    def kill(self) -> None:
        """Ends every process of the tree; inside bubblewrap, those that left the tree as well."""
        for process in reversed(self._tree()):
            with contextlib.suppress(psutil.Error):
                process.kill()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.requests, self.replies):
            with contextlib.suppress(OSError):  # a reader that is gone
                pipe.close()
        self.errors.close()
        self.folder.cleanup()

    def complaint(self) -> str:
        """What the process wrote to stderr before it started to serve."""
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace").strip()[-2000:]


class Layer(NamedTuple):
    """One layer of protection: its name, whether it works, and the evidence."""

    name: str
    active: bool
    detail: str


def protection() -> list[Layer]:
    """Harmlessly attempts what this machine's sandbox must prevent, and reports which attempts were stopped."""
    found = _attempts()
    if isinstance(found, str):
        own = {attempts.MEMORY: (True, "limits of each process")}  # which need no bubblewrap
        found = dict.fromkeys(attempts.ATTEMPTS, (False, found)) | own
    return [
        Layer("points decided outside the student's process", True, "tests and expected values never enter it"),
        Layer("wall clock", True, "the process tree is killed when an answer takes too long"),
        *(Layer(name, ok, detail) for name, (ok, detail) in found.items()),
    ]


def _attempts() -> dict[str, tuple[bool, str]] | str:
    """For each layer, whether it works and the evidence; or the reason why nothing could be attempted."""
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed (Debian, Ubuntu: apt-get install bubblewrap)"
    with tempfile.NamedTemporaryFile(prefix="mugkit-course-") as secret:
        Path(secret.name).chmod(0o644)
        program = command(_python("mugkit.course.attempts", secret.name))
        try:
            done = subprocess.run(program, capture_output=True, timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"bubblewrap does not work here: {error}"
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-300:]
        return f"bubblewrap does not work here: {said or done.returncode}"
    return json.loads(done.stdout)


def contains(layers: Sequence[Layer]) -> bool:
    """Whether bubblewrap runs here at all; --unprotected still uses it, even if other layers are missing."""
    return any(layer.active for layer in layers if layer.name == attempts.NETWORK)


def require(layers: Sequence[Layer]) -> None:
    """Raises a UserError that names each missing layer, if there are any."""
    if lacking := "; ".join(f"{layer.name} ({layer.detail})" for layer in layers if not layer.active):
        fix = "fix that, or grade with --unprotected on a machine that you can afford to lose"
        raise UserError(f"students' code cannot be contained here: {lacking}", fix=fix)
