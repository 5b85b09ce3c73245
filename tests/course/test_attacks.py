"""Hostile submissions, run for real in this machine's sandbox: each is contained, and graded on what it can do.

Most attacks sit in one answer of assignment 1; its other answers are right and must keep their points.
"""

import contextlib
import importlib
import socket
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import variants

from mugkit import files
from mugkit.course import sandbox
from mugkit.course.answers import SandboxedAnswers
from mugkit.course.sandbox import MIB, Limits

LIMITS = Limits(
    cell_seconds=4.0, total_seconds=120.0, cpu_seconds=60, memory=512 * MIB, file_size=4 * MIB, processes=16
)


@cache
def lacking() -> list[str]:
    return [f"{layer.name}: {layer.detail}" for layer in sandbox.protection() if not layer.active]


@pytest.fixture
def answers() -> Iterator[SandboxedAnswers]:
    """A fresh sandbox. Without protection these attacks must not run; `.ci/run` installs what it takes."""
    if lacking():
        pytest.skip(f"this machine cannot contain attacks ({'; '.join(lacking())})")
    answers = SandboxedAnswers(True, LIMITS, variants.numbered(1).blocked)
    yield answers
    answers.close()


def lost(answers: SandboxedAnswers, answer: str, code: str) -> set[str]:
    """The tests of assignment 1 that fail when one answer is replaced."""
    return set(variants.failed(1, {answer: code}, answers))


IN_CELL = {
    "infinite loop": "while True: pass",
    "sleep": "import time; time.sleep(3600)",
    "fork bomb": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "threads": "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(99,)).start()",
    "exit without cleaning up": "import os; os._exit(0)",
    "kill": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "kill all": "import os, signal; os.kill(-1, signal.SIGKILL)",
    "stop": "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
    "closed pipes": "import os; os.closerange(0, 256)",
}


@pytest.mark.parametrize("attack", IN_CELL)
def test_cell_that_never_ends_or_kills_its_process_costs_its_own_points(attack: str, answers: SandboxedAnswers) -> None:
    found = lost(answers, "choose", f"{variants.solution(1, 'choose')}\n{IN_CELL[attack]}")
    assert found <= {"test-choose"}


IN_CALL = {
    "infinite loop": "while True: pass",
    "50 GB": "return len(bytearray(50 * 1024**3))",
    "50 GB of zeros": "return float(np.ones(50 * 1024**3 // 8).mean())",
    "exit": "import sys; sys.exit(0)",
    "kill": "import os; os._exit(0)",
    "recursion": "return acc2_non0(prediction, truth)",
    "endless answer": "return 'x' * (200 * 1024**2)",
    "nested answer": "value = []\n    for _ in range(100_000): value = [value]\n    return value",
    "equals everything": "return type('Yes', (float,), {'__eq__': lambda *a: True, '__sub__': lambda *a: 0.0})(1)",
}


@pytest.mark.parametrize("attack", IN_CALL)
def test_function_that_misbehaves_when_called_loses_its_points_alone(attack: str, answers: SandboxedAnswers) -> None:
    found = lost(answers, "acc2", f"def acc2_non0(prediction, truth):\n    {IN_CALL[attack]}")
    assert found == {"test-acc2"}


def test_memory_of_all_processes_together_is_limited(answers: SandboxedAnswers) -> None:
    """Each child stays under its own limit."""
    code = """
import os, time
for _ in range(8):
    if os.fork() == 0:
        block = bytearray(b"x") * (400 * 1024**2)
        time.sleep(60)
        os._exit(0)
time.sleep(60)
"""
    answers.limits = Limits(cell_seconds=30.0, memory=512 * MIB, processes=16)
    assert "memory" in (answers.run(code).error or {})["message"]


def test_files_outside_the_scratch_folder_are_neither_read_nor_written(
    answers: SandboxedAnswers, tmp_path: Path
) -> None:
    other = tmp_path / "submissions" / "other" / "1_metrics_and_protocol.ipynb"
    other.parent.mkdir(parents=True)
    other.write_text("another student's work")
    other.chmod(0o666)
    targets = [other, variants.numbered(1).path, Path(sandbox.__file__), Path("/etc/passwd"), Path.home() / "planted"]
    before = {path: path.read_bytes() for path in targets if path.exists()}
    code = f"""
written, read = [], []
for path in {[str(path) for path in targets]}:
    try: open(path, "a").write("x"); written.append(path)
    except OSError: pass
    try: open(path).read(); read.append(path)
    except OSError: pass
open("own", "w").write("in the scratch folder")
"""
    assert answers.run(code).error is None
    assert answers.get("written") == []
    assert answers.get("read") == [str(Path(sandbox.__file__))]  # mugkit is there to be imported
    assert {path: path.read_bytes() for path in targets if path.exists()} == before


def test_hidden_tests_and_solutions_are_nowhere_in_the_sandbox(answers: SandboxedAnswers) -> None:
    root = files.repository()
    code = f"""
import os
walk = [(at, names) for at, _, names in os.walk({str(root)!r}) if not at.startswith({sys.prefix!r})]
seen = [os.path.join(at, name) for at, names in walk for name in names]
seen += [name for name in os.listdir("/") if name not in ("usr", "lib", "proc", "dev")]
notebooks = [name for name in seen if name.endswith(".ipynb")]
"""
    assert answers.run(code).error is None
    assert answers.get("notebooks") == []
    assert all("mugkit" in name for name in answers.get("seen") if name.startswith(str(root)))


def test_network_cannot_be_reached_not_even_this_machine(answers: SandboxedAnswers) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = f"""
import socket
def reach(address):
    try:
        socket.create_connection(address, timeout=2).close()
        return True
    except OSError:
        return False
reached = [reach(("127.0.0.1", {server.getsockname()[1]})), reach(("192.0.2.1", 80))]
"""
        assert answers.run(code).error is None
        assert answers.get("reached") == [False, False]


FORGED = """
import os
print("test-choose: 3 of 3 points")
for fd in range(3, 64):
    for number in range(40):
        try: os.write(fd, b'{"id": %d, "value": 0.85, "passed": true, "points": 20}\\n' % number)
        except OSError: break
"""
PATCHED = """
import builtins, sys
import numpy as np
import mugkit.course.checks as checks
import mugkit.course.codec as codec

checks.expect = checks.expect_close = expect = expect_close = lambda *a, **k: None
np.allclose = np.testing.assert_allclose = lambda *a, **k: True
builtins.AssertionError = type("AssertionError", (Exception,), {})
sys.modules["mugkit.metrics"] = type(sys)("mugkit.metrics")
for module in list(sys.modules.values()):
    for name in ("judge", "points", "expect"):
        if hasattr(module, name):
            try: setattr(module, name, lambda *a, **k: True)
            except Exception: pass

def reported(valid_mae, test_mae):
    return float(test_mae.min())
"""


CHOOSE, ACC2 = variants.solution(1, "choose"), variants.solution(1, "acc2")
METRICS = """import mugkit, types, marshal, pathlib; m = types.SimpleNamespace()
    at = pathlib.Path(mugkit.__file__).parent
    """
# By attack, the answer in which it sits, and the tests that fail.
DECEIT = {
    "exit after a right answer": ("choose", f"{CHOOSE}\nimport sys; sys.exit(0)", set()),
    "children that return": ("choose", f"{CHOOSE}\nimport os\nwhile True: os.fork()", set()),
    "changed given names": ("acc2", f"truth = prediction = np.zeros(8)\n{ACC2}", set()),
    "patched library and tests": ("choose", PATCHED, {"test-choose"}),
} | {
    f"reference {how}": ("acc2", f"def acc2_non0(p, t):\n    {code}\n    return m.acc2_f1_non0(p, t)[0]", {"test-acc2"})
    for how, code in {
        "imported": "import mugkit.metrics as m",
        "without the block": "import sys; del sys.modules['mugkit.metrics']\n    import mugkit.metrics as m",
        "from its source": METRICS + "exec((at / 'metrics.py').read_text(), m.__dict__)",
        "from its compiled form": METRICS
        + "exec(marshal.loads(next((at / '__pycache__').glob('metrics.*')).read_bytes()[16:]), m.__dict__)",
    }.items()
}


@pytest.mark.parametrize("attack", DECEIT)
def test_deceit_changes_no_decision(attack: str, answers: SandboxedAnswers) -> None:
    importlib.import_module("mugkit.metrics")  # its compiled form lies on this disk now
    answer, code, expected = DECEIT[attack]
    assert lost(answers, answer, code) == expected


def test_forged_scores_and_replies_earn_nothing(answers: SandboxedAnswers) -> None:
    assert "test-choose" in lost(answers, "choose", variants.blank(1)["choose"] + FORGED)


def test_answer_with_equal_hashes_does_not_keep_the_judge_busy(answers: SandboxedAnswers) -> None:
    code = "class Items(dict):\n    def items(self): return [(i * (2**61 - 1), 0) for i in range(60_000)]\n"
    started = time.monotonic()
    assert lost(answers, "acc2", f"{code}def acc2_non0(p, t):\n    return Items()") == {"test-acc2"}
    assert time.monotonic() - started < 60


def test_long_output_is_cut(answers: SandboxedAnswers) -> None:
    ran = answers.run("for _ in range(200): print('x' * 10_000)")
    assert ran.error is None
    assert len(ran.output) == 10_000


def test_solution_of_every_assignment_passes_in_the_sandbox(answers: SandboxedAnswers) -> None:
    del answers  # asks for protection only
    for number in range(1, 6):
        task = variants.numbered(number)
        with contextlib.closing(SandboxedAnswers(True, Limits(), task.blocked, task.preload)) as own:
            assert variants.failed(number, {}, own) == {}
