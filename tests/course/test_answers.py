"""Calls across the pipe: values, gradients, errors, and a worker that is started anew. The code here is harmless, so
no bubblewrap is needed."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from variants import LocalAnswers

from mugkit.course import answers as module
from mugkit.course.answers import AnswerError, SandboxedAnswers
from mugkit.course.checks import names_used
from mugkit.course.sandbox import Died, Limits


@pytest.fixture
def answers() -> Iterator[SandboxedAnswers]:
    answers = SandboxedAnswers(False, Limits(cell_seconds=120.0, total_seconds=1200.0), preload=["torch"])
    yield answers
    answers.close()


def test_remote_function_gives_values_and_gradients_as_the_local_one(answers: SandboxedAnswers) -> None:
    code = "def f(a, *, b):\n    return {'loss': (a.exp() * b.detach()).sum(), 'n': (len(a), 'clips')}, a.detach()"
    found = []
    for place in (LocalAnswers(), answers):
        assert place.run(code).error is None
        a, b = torch.tensor([0.5, 1.0], requires_grad=True), torch.tensor([2.0, 3.0], requires_grad=True)
        result, constant = place.get("f")(a, b=b)
        assert not constant.requires_grad
        (3 * result["loss"]).backward()
        assert (result["n"], b.grad) == ((2, "clips"), None)
        found.append((result["loss"].item(), a.grad))
    (loss, gradient), (remote_loss, remote_gradient) = found
    assert remote_loss == loss
    torch.testing.assert_close(remote_gradient, gradient, rtol=0, atol=0)


def test_remote_call_changes_its_arguments_as_a_local_one_does(answers: SandboxedAnswers) -> None:
    for place in (LocalAnswers(), answers):
        assert place.run("def f(a, *, b, c):\n    a.data.mul_(2)\n    b[:] = 0\n    c['k'][0] = 5").error is None
        a, b, c = torch.tensor([0.5], requires_grad=True), np.ones(2), {"k": [1, 2]}
        place.get("f")(a, b=b, c=c)
        assert (a.item(), b.tolist(), c) == (1.0, [0, 0], {"k": [5, 2]})


def test_remote_function_tells_the_names_it_uses(answers: SandboxedAnswers) -> None:
    for place in (LocalAnswers(), answers):
        place.run("def g(a):\n    return a.adapt()\ndef f(a):\n    return g(a)")
        assert "adapt" in names_used(place.get("f"))
        assert "absent" not in names_used(place.get("f"))


def test_magics_do_no_harm_and_errors_have_their_type_and_the_students_line(answers: SandboxedAnswers) -> None:
    ran = answers.run("%matplotlib inline\n!ls\nprint('seen')\ndef f():\n    raise KeyError('no such clip')")
    assert (ran.error, ran.output) == (None, "seen\n")
    error = answers.run("x = 1\ny = x / 0").error or {}
    assert error["type"] == "ZeroDivisionError"
    assert 'File "<cell 2>", line 2' in error["trace"]
    error = answers.run("x = 1\ny = (").error or {}
    assert 'File "<cell 3>", line 2' in error["trace"]
    assert error["trace"].count("SyntaxError") == 1
    with pytest.raises(AnswerError, match=r"KeyError.*no such clip"):
        answers.get("f")()


def test_worker_that_died_is_replaced_and_keeps_earlier_cells(answers: SandboxedAnswers) -> None:
    answers.run("kept = 5")
    assert "ended" in (answers.run("import os\nlost = 6\nos._exit(0)").error or {})["message"]
    assert answers.get("kept") == 5
    with pytest.raises(KeyError):
        answers.get("lost")


LATE = """
import os, threading, time
def end():
    while not os.path.exists({answered!r}):
        time.sleep(0.01)
    time.sleep(0.1)
    os._exit(0)
threading.Thread(target=end).start()
late = 7
"""


def test_cell_that_kills_its_process_after_it_answered_is_left_out_and_later_ones_are_kept(
    answers: SandboxedAnswers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_REST", 2.0)  # the second time it dies a tenth of a second after it began
    answers.run("kept = 5")
    assert answers.run(LATE.format(answered=str(tmp_path / "answered"))).error is None
    (tmp_path / "answered").touch()
    assert answers.sandbox is not None
    assert answers.sandbox.process.wait(timeout=60) == 0
    assert answers.run("later = kept + 1").error is None
    assert answers.get("later") == 6
    with pytest.raises(KeyError):
        answers.get("late")


def test_submission_that_took_too_long_is_told_so_and_starts_no_more_workers() -> None:
    answers = SandboxedAnswers(False, Limits(cell_seconds=20.0, total_seconds=0.0))
    assert "took too long" in (answers.run("a = 1").error or {})["message"]
    assert answers.sandbox is None


@pytest.mark.parametrize("line", [
    b'{"id": 1, "value": [' + b"[]," * 600_000 + b"1]}", b'{"id": 2}', b"[]", b"no JSON", b"[" * 100_000,
])  # fmt: skip
def test_reply_that_is_large_or_none_is_refused(line: bytes) -> None:
    assert module._reply(b'{"id": 1}', 1) == {"id": 1}
    with pytest.raises(Died):
        module._reply(line, 1)
