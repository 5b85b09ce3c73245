"""Gives tests access to a submission's names, which live in a sandboxed worker process.

A test calls `contrastive_loss(a, b, 0.1)` and may call `.backward()` on the result. `SandboxedAnswers` gives tests a
`Remote` under that name: it sends the call to the worker and returns the value, and gradients when autograd asks for
them. The same test cell therefore runs in a student's notebook and here.
"""

import contextlib
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from mugkit.course import codec
from mugkit.course.sandbox import Died, Ended, Limits, Sandbox
from mugkit.course.worker import LONGEST_OUTPUT

_MOST_PARTS = 500_000  # lists, objects and items in a reply; each costs hundreds of bytes and a microsecond
_LONGEST_ERROR = 4000
_START_SECONDS = 120.0  # a busy machine takes a while to import torch
_REST = 0.5  # seconds; enough for a signal to arrive, even on a busy machine


class AnswerError(Exception):
    """The student's code failed, took too long, or sent an invalid answer."""


@dataclass(frozen=True)
class Ran:
    """The result of running a cell: its printed text and, if it failed, {type, message, trace}."""

    output: str = ""
    error: dict[str, str] | None = None


@dataclass
class SandboxedAnswers:
    """One submission's names in a worker process.

    If a worker dies (killed for time or memory, or by its own code), a new worker replays the cells that ran to their
    end, without the cell that killed it. A cell can reply and still be deadly: a signal to the process that holds the
    worker arrives a moment later. So if a worker ends during a request, the request is sent again to a new worker that
    pauses after every replayed cell. A call that was stopped twice is not tried again.

    Attributes:
        blocked: modules of mugkit that hold answers. The sandbox lacks them; without a sandbox, importing them fails.
        preload: modules that are imported before the limits apply.
        ran: the sources of the cells that a new worker replays.
        deadly: how often a call of each function was stopped.
    """

    protected: bool
    limits: Limits = field(default_factory=Limits)
    blocked: Sequence[str] = ()
    preload: Sequence[str] = ()
    ran: list[str] = field(default_factory=list)
    deadly: Counter[str] = field(default_factory=Counter)
    sandbox: Sandbox | None = None
    serial: int = 0

    def __post_init__(self) -> None:
        self.ends = time.monotonic() + self.limits.total_seconds

    def run(self, source: str) -> Ran:
        """Runs a cell."""
        try:
            reply = self._ask("run", source=source)
        except (Died, AnswerError) as death:
            return Ran(error={"type": "Stopped", "message": str(death), "trace": str(death)})
        self.ran.append(source)
        return Ran(str(reply.get("output", ""))[:LONGEST_OUTPUT], _error(reply.get("error")))

    def get(self, name: str) -> Any:
        """The value of a name, or a `Remote` if it is callable; KeyError if the submission does not define it."""
        reply = self._ask("look", name=name)
        if reply.get("missing"):
            raise KeyError(name)
        if "callable" in reply:
            mentioned = reply["callable"] if isinstance(reply["callable"], list) else []
            return Remote(self, name, list(map(str, mentioned)))
        return codec.decode(reply["value"])

    def call(self, name: str, arguments: Any) -> dict[str, Any]:
        """The worker's reply to a call: value, handle and arguments; AnswerError if the call did not return."""
        if self.deadly[name] >= 2:
            raise AnswerError(f"{name} was stopped before and is not called again")
        try:
            return self._ask("call", name=name, arguments=arguments)
        except Died as death:
            self.deadly[name] += 1
            raise AnswerError(f"{name} was stopped: {death}") from None

    def gradient(self, handle: int, of: Any) -> Any:
        """The gradients of a call's tensors; `of` holds pairs of an output's number and its gradient."""
        try:
            return codec.decode(self._ask("gradient", handle=handle, of=codec.encode(of))["value"])
        except Died as death:
            raise AnswerError(f"the gradient was not computed: {death}") from None

    def fresh(self) -> "SandboxedAnswers":
        """A new instance with the same settings and no names."""
        return SandboxedAnswers(self.protected, self.limits, self.blocked, self.preload)

    def close(self) -> None:
        """Ends the worker process."""
        if self.sandbox:
            self.sandbox.kill()
        self.sandbox = None

    def _ask(self, action: str, **details: Any) -> dict[str, Any]:
        try:
            reply = self._ask_once(action, details, rest=0.0)
        except Ended:
            reply = self._ask_once(action, details, rest=_REST)
        if failed := _error(reply.get("failed")):
            raise AnswerError(": ".join(filter(None, (failed["type"], failed["message"]))))
        return reply

    def _ask_once(self, action: str, details: dict[str, Any], rest: float) -> dict[str, Any]:
        while self.sandbox is None:
            self._start()
            self._replay(rest)
        try:
            return self._exchange(action, details)
        except Died:
            self.close()
            raise

    def _start(self) -> None:
        if time.monotonic() > self.ends:
            raise Died("the submission took too long")
        self.sandbox = Sandbox("mugkit.course.worker", self.protected, self.limits, self.blocked)
        modules = {"blocked": list(self.blocked), "preload": list(self.preload)}
        try:
            self._exchange("start", {"limits": asdict(self.limits), **modules}, _START_SECONDS)
        except Died as death:
            said = self.sandbox.complaint()
            self.close()
            raise RuntimeError(f"the worker did not start: {death}\n{said}") from None

    def _replay(self, rest: float) -> None:
        """Reruns all earlier cells in a new worker. If a cell kills it, drops the cell and closes the worker."""
        for position, source in enumerate(self.ran):
            try:
                self._exchange("run", {"source": source})
                if rest:
                    time.sleep(rest)
                    self._exchange("look", {"name": "still there"})
            except Died:
                self.close()
                del self.ran[position]
                return

    def _exchange(self, action: str, details: dict[str, Any], seconds: float | None = None) -> dict[str, Any]:
        """The worker's reply to one request; raises Died after a cell's time, or after `seconds`."""
        assert self.sandbox is not None
        self.serial += 1
        request = json.dumps({"id": self.serial, "do": action, **details}) + "\n"
        deadline = min(time.monotonic() + (seconds or self.limits.cell_seconds), self.ends)
        self.sandbox.send(request.encode(), deadline)
        return _reply(self.sandbox.line(deadline), self.serial)


def _reply(line: bytes, serial: int) -> dict[str, Any]:
    """The reply to request number `serial`; raises Died if the line is something else that the student's code wrote."""
    if sum(line.count(mark) for mark in (b"[", b"{", b",")) > _MOST_PARTS:
        raise Died("its answer has too many parts")
    with contextlib.suppress(ValueError, RecursionError):
        reply = json.loads(line)
        if isinstance(reply, dict) and reply.get("id") == serial:
            return reply
    raise Died("its process wrote over its answers")


def _error(value: Any) -> dict[str, str] | None:
    """An error from the worker as {type, message, trace}, converted to text; None if there is no error."""
    if not value:
        return None
    parts = value if isinstance(value, dict) else {"message": value}
    return {key: str(parts.get(key, ""))[:_LONGEST_ERROR] for key in ("type", "message", "trace")}


class Remote:
    """A function of the student; calling it runs it in the worker."""

    def __init__(self, answers: SandboxedAnswers, name: str, names_used: Sequence[str] = ()) -> None:
        self.answers, self.__name__, self.names_used = answers, name, names_used

    def __call__(self, *positional: Any, **named: Any) -> Any:
        tensors: list[torch.Tensor] = []
        arguments = codec.encode((positional, named), tensors)
        received: dict[str, Any] = {}
        outputs = _Call.apply(self, arguments, received, *tensors)
        codec.copy_into((positional, named), received["arguments"])
        place = iter(outputs)
        return codec.decode(received["form"], lambda values, form: next(place))


class _Call(torch.autograd.Function):
    """A call as one node of this process's autograd graph; the graph inside the call stays in the worker."""

    @staticmethod
    def forward(ctx: Any, remote: Remote, arguments: Any, received: dict[str, Any], *tensors: torch.Tensor) -> Any:
        reply = remote.answers.call(remote.__name__, arguments)
        values: list[tuple[torch.Tensor, bool]] = []
        codec.decode(reply.get("value"), lambda value, form: values.append((value, bool(form["grad"]))))
        received |= {"form": reply.get("value"), "arguments": codec.decode(reply.get("arguments"))}
        ctx.remote, ctx.handle = remote, reply.get("handle")
        ctx.mark_non_differentiable(*(value for value, has_graph in values if not has_graph))
        return tuple(value for value, _ in values)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor | None) -> Any:
        of = [(i, gradient) for i, gradient in enumerate(gradients) if gradient is not None]
        found = ctx.remote.answers.gradient(ctx.handle, of)
        return (None, None, None, *found)
