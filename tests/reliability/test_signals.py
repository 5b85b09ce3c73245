"""SIGINT and SIGTERM to a running `mugkit`: a line on how to resume, nothing half-written; started again, it ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from made_up import make_dataset
from small import bag_of_words

from mugkit import files
from mugkit.config import RunSpec
from mugkit.data import store, text
from reliability import processes
from reliability.kills_of_reproduce import PARAMETERS, write_notebook
from reliability.processes import ends, is_alive, stop, wait_until

TESTS = Path(__file__).resolve().parents[1]
# The console script, with a text encoder that costs nothing and a repository of the test's own.
MUGKIT = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(TESTS)!r})
from small import bag_of_words
from mugkit import cli, files
from mugkit.config import RunSpec
from mugkit.data import text
from mugkit.experiments import scheduler
from mugkit.reproduction import precompute
text._encode = bag_of_words
files.repository = lambda: Path.cwd()
precompute.compute = lambda *_: scheduler.run_all({{SPECS}}, scheduler.ExecutionConfig(workers=2)) and []
cli.app()
"""
# Nobody waits for their end.
SPECS = [
    RunSpec("copy", "made-up", seed, "smoke", changes=(("batch_size", 4), ("max_epochs", 600), ("patience", 600)))
    for seed in (1, 2)
]
# Long enough to be met in the middle on any machine: stage 1 alone takes some seconds.
LONG = ("--profile", "smoke", "--set", "pretrain_epochs=60", "--set", "batch_size=4")

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path, mugkit_home: Path) -> Iterator[Start]:
    """Starts `mugkit ARGUMENTS`; what still runs at the test's end is killed."""
    dataset, started = make_dataset(), []
    store.save(dataset, files.data_home() / dataset.name)

    def begin(*arguments: str, specs: Sequence[RunSpec] = ()) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", MUGKIT.replace("{SPECS}", repr([*specs])), *arguments]
        surroundings = os.environ | {"MUGKIT_PROGRESS": "0", "HF_HUB_OFFLINE": "1"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, cwd=tmp_path, env=surroundings, text=True, start_new_session=True, **pipes)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_stopped_by_a_signal_ends_cleanly_and_resumes(number: signal.Signals, start: Start) -> None:
    command = ("run", "--dataset", "made-up", *LONG)
    process = start(*command)
    partial = files.home() / "runs" / "partial"
    wait_until(lambda: processes.checkpoints(partial.parent), process)
    stop(process, number)
    assert len(processes.checkpoints(partial.parent)) == 1  # what is finished of stage 1
    again = start(*command)
    printed, said = again.communicate(timeout=120)
    assert (again.returncode, "stored: " in printed) == (0, True), said
    assert list(partial.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(("number", "group"), [(signal.SIGINT, True), (signal.SIGTERM, False)])
def test_workers_stopped_by_a_signal_leave_nothing_half_written(
    number: signal.Signals, group: bool, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "_encode", bag_of_words)
    network = SPECS[0].hyperparameters("mosi").network
    for split in store.load("made-up").splits.values():  # workers find the encoded text and need no encoder
        text.frozen_features(split.text, network.text_encoder, network.pooling)
    process = start("reproduce", "--profile", "smoke", "--dataset", "made-up", "--only-runs", specs=SPECS)
    wait_until(lambda: len(processes.checkpoints(files.home() / "runs")) >= len(SPECS), process)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= len(SPECS)
    stop(process, number, group)
    assert psutil.wait_procs(children, timeout=60)[1] == []
    assert len(processes.checkpoints(files.home() / "runs")) == len(SPECS)
    assert not list((files.home() / "runs" / "train").glob("*/done.json"))


# The notebook waits until the test says that it need not; it cannot end by itself.
CELLS = (
    PARAMETERS,
    "import os, pathlib\npathlib.Path('pid').write_text(str(os.getpid()))",
    "import time\nwhile not pathlib.Path('go on').exists():\n    time.sleep(0.05)",
    "pathlib.Path(out).mkdir(parents=True, exist_ok=True)\n(pathlib.Path(out) / 'manifest.json').write_text('{}')",
    "print('finished: 00_waits')",
)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_reproduce_stopped_by_a_signal_ends_its_kernels(number: signal.Signals, start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "notebooks"
    write_notebook(folder / "00_waits.ipynb", CELLS)
    command = ("reproduce", "--profile", "smoke", "--dataset", "made-up", "--out", str(tmp_path / "figures"))
    process = start(*command)
    wait_until(lambda: (folder / "pid").exists() and (folder / "pid").read_text(), process)
    kernel = int((folder / "pid").read_text())
    assert is_alive(kernel)
    stop(process, number)
    assert ends(kernel)
    assert list((files.home() / "executed").rglob("*.json")) == []  # no receipt: it did not run to its end
    (folder / "go on").touch()
    again = start(*command)
    assert "ran     00_waits" in again.communicate(timeout=120)[0]
