"""The student's process: runs the cells of one submission and answers calls, until its pipe closes.

Each request and each reply is one line of JSON:

    {"id": 1, "do": "start", "limits": {…}, "blocked": [modules], "preload": [modules]}    comes first
    {"id": 2, "do": "run", "source": …}                 → {"id": 2, "output": …, "error": null | {…}}
    {"id": 3, "do": "look", "name": …}                  → {"id": 3, "missing": true, "callable": names, or "value": …}
    {"id": 4, "do": "call", "name": …, "arguments": …}  → {"id": 4, "value": …, "handle": 7, "arguments": after it}
    {"id": 5, "do": "gradient", "handle": 7, "of": …}   → {"id": 5, "value": gradients of the call's tensors}

Nothing here decides on points or sees a test or an expected value: code that overwrites it can only change answers.
"""

import ast
import contextlib
import importlib
import io
import json
import os
import re
import resource
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mugkit.course import codec
from mugkit.course.checks import names_used

if TYPE_CHECKING:
    import torch

LONGEST_OUTPUT = 10_000  # characters of a cell's output that are kept
_MAGIC = re.compile(r"^[ \t]*[%!].*$", re.MULTILINE)


class Printed(io.StringIO):
    """Keeps the beginning of what is printed."""

    def write(self, text: str) -> int:
        super().write(text[: max(0, LONGEST_OUTPUT - self.tell())])
        return len(text)


def parse(source: str, name: str) -> ast.Module:
    """A cell's syntax tree; if the cell does not parse, lines with IPython's magics are left out."""
    with contextlib.suppress(SyntaxError):
        return ast.parse(source, name)
    return ast.parse(_MAGIC.sub("", source), name)


def apply_limits(limits: dict[str, int]) -> None:
    """Sets hard limits, which cannot be raised again. The memory limit comes on top of what is already mapped."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    values = {
        resource.RLIMIT_AS: pages * resource.getpagesize() + limits["memory"],
        resource.RLIMIT_CPU: limits["cpu_seconds"],
        resource.RLIMIT_FSIZE: limits["file_size"],
        resource.RLIMIT_NPROC: limits["processes"],
        resource.RLIMIT_CORE: 0,
    }
    for kind, value in values.items():
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def problem(error: BaseException) -> dict[str, str]:
    """An error as {type, message, trace}; the trace keeps only frames of the student's code."""
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    own = [line for line in lines if 'File "<cell' in line or not line.startswith("  File")]
    return {"type": type(error).__name__, "message": str(error)[:2000], "trace": "".join(own)[:4000]}


class Worker:
    """The student's names, and the calls whose gradients can still be requested."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.calls: list[tuple[list[torch.Tensor], list[torch.Tensor]]] = []
        self.cells = 0

    def start(self, limits: dict[str, int], blocked: list[str], preload: list[str]) -> dict[str, Any]:
        for name in preload:  # memory that it maps does not count as the student's
            importlib.import_module(name)
        for name in blocked:
            sys.modules[name] = None  # type: ignore[assignment]  # importing it fails from here on
        apply_limits(limits)
        return {}

    def run(self, source: str) -> dict[str, Any]:
        self.cells += 1
        name = f"<cell {self.cells}>"
        printed = Printed()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            try:
                exec(compile(parse(source, name), name, "exec"), self.names)
            except BaseException as error:  # sys.exit and Ctrl-C included
                return {"output": printed.getvalue(), "error": problem(error)}
        return {"output": printed.getvalue(), "error": None}

    def look(self, name: str) -> dict[str, Any]:
        if name not in self.names:
            return {"missing": True}
        value = self.names[name]
        return {"callable": sorted(names_used(value))} if callable(value) else {"value": codec.encode(value)}

    def call(self, name: str, arguments: Any) -> dict[str, Any]:
        inputs: list[torch.Tensor] = []
        outputs: list[torch.Tensor] = []

        def receive(values: "torch.Tensor", form: dict[str, Any]) -> "torch.Tensor":
            inputs.append(values.requires_grad_(bool(form["grad"])))
            return inputs[-1]

        positional, named = codec.decode(arguments, receive)
        value = codec.encode(self.names[name](*positional, **named), outputs)
        self.calls.append((inputs, outputs))
        return {"value": value, "handle": len(self.calls) - 1, "arguments": codec.encode((positional, named))}

    def gradient(self, handle: int, of: Any) -> dict[str, Any]:
        import torch

        inputs, outputs = self.calls[handle]
        wanted = [i for i, tensor in enumerate(inputs) if tensor.requires_grad]
        pairs = [(outputs[i], g) for i, g in codec.decode(of) if outputs[i].requires_grad]
        found = torch.autograd.grad(
            [output for output, _ in pairs], [inputs[i] for i in wanted], [g for _, g in pairs],
            retain_graph=True, allow_unused=True,
        )  # fmt: skip
        by_input = dict(zip(wanted, found, strict=True))
        return {"value": codec.encode([by_input.get(i) for i in range(len(inputs))])}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        number, action = request.pop("id"), request.pop("do")
        try:
            return {"id": number} | getattr(self, action)(**request)
        except BaseException as error:
            return {"id": number, "failed": problem(error)}


def main() -> None:
    """Serves requests over the original stdin and stdout; the student's code gets neither of them."""
    requests, replies = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    worker, owner = Worker(), os.getpid()
    for line in requests:
        reply = json.dumps(worker.answer(json.loads(line)))
        if os.getpid() != owner:  # a process that the student's code forked
            os._exit(1)
        replies.write(reply + "\n")
        replies.flush()
        os.dup2(nowhere, 2)  # stderr is only for a failed start


if __name__ == "__main__":
    main()
