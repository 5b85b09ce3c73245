"""Batch runs of small notebooks made on the spot: what ran, what is reused, and every way to fail."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from made_up import make_dataset
from reliability.kills_of_reproduce import PARAMETERS, write_notebook

from mugkit import cli, files
from mugkit.data import store
from mugkit.errors import UserError
from mugkit.reproduction import kernels, reproduce
from mugkit.reproduction.reproduce import Report

# What a notebook does at its end, without the seconds that importing torch takes in a kernel of its own.
WRITE = """\
import pathlib
from mugkit import files
from filelock import FileLock
folder = pathlib.Path(out)
files.write_json(folder / "{name}.json", [profile, dataset])
(files.home() / "runs").mkdir(parents=True, exist_ok=True)
with FileLock(files.home() / "runs" / "manifest.lock"):  # another notebook runs at the same time
    entries = files.read_json(folder / "manifest.json") if (folder / "manifest.json").exists() else {{}}
    entry = {{"notebook": "{name}", "sha256": files.sha256(folder / "{name}.json")}}
    files.write_json(folder / "manifest.json", entries | {{"{name}.json": entry}})"""

Write = Callable[..., Path]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """A repository of its own; the fixture's value adds a notebook of the given cells, which writes and finishes."""
    folder = tmp_path / "repository" / "notebooks"
    folder.mkdir(parents=True)
    (folder.parent / "pyproject.toml").touch()
    monkeypatch.setattr(files, "repository", lambda: folder.parent)
    monkeypatch.setattr(reproduce.precompute, "compute", lambda *_: [])
    dataset = make_dataset()
    store.save(dataset, files.data_home() / dataset.name)

    def add(name: str, *cells: str, parameters: str = PARAMETERS) -> Path:
        sources = [parameters, *cells, WRITE.format(name=name), f'print("finished: {name}")']
        write_notebook(path := folder / f"{name}.ipynb", sources)
        return path

    return add


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "figures"


def run(out: Path) -> dict[str, Report]:
    return {report.notebook: report for report in reproduce.reproduce("smoke", ["made-up"], out)}


def outcomes(out: Path) -> dict[str, str]:
    return {name: report.outcome for name, report in run(out).items()}


def parameters(out: Path) -> dict[str, str]:
    return {"profile": "smoke", "dataset": "made-up", "out": str(out)}


def test_notebooks_are_the_numbered_ones_in_order(repository: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [repository(name) for name in ("10_last", "02_second", "00_first")]
    (paths[0].parent / "scratch.ipynb").touch()
    (paths[0].parent / "1_draft.ipynb").touch()
    assert [path.stem for path in reproduce.notebooks()] == ["00_first", "02_second", "10_last"]
    monkeypatch.setattr(files, "repository", lambda: None)
    with pytest.raises(UserError, match="clone the repository"):
        reproduce.notebooks()


def test_reproduce_reuses_until_something_changes(
    repository: Write, out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    repository("01_first", "a = 1")
    repository("02_second")
    assert outcomes(out) == {"01_first": "ran", "02_second": "ran"}
    assert "mugkit prepare reviews" in caplog.text  # said before hours of work, not by notebooks after it
    assert json.loads((out / "01_first.json").read_text()) == ["smoke", "made-up"]
    assert outcomes(out) == {"01_first": "reused", "02_second": "reused"}

    repository("01_first", "a = 2")  # another cell
    assert outcomes(out) == {"01_first": "ran", "02_second": "reused"}

    (out / "02_second.json").unlink()  # an output is gone
    assert outcomes(out) == {"01_first": "reused", "02_second": "ran"}
    assert (out / "02_second.json").is_file()

    (out / "01_first.json").write_text("[]")  # an output was changed
    assert outcomes(out) == {"01_first": "ran", "02_second": "reused"}

    (receipt,) = (files.home() / "executed").rglob("02_second.json")  # cut off, it is as good as none
    receipt.write_text(receipt.read_text()[:20])
    assert outcomes(out) == {"01_first": "reused", "02_second": "ran"}
    assert f"{receipt}: damaged" in caplog.text

    repository("01_first", "1 / 0")  # now it fails, and its earlier success is forgotten
    broken = repository("02_second")
    broken.write_text(broken.read_text().replace('"cells"', "<<<<<<< HEAD", 1))  # a conflict left in it
    found = run(out)
    assert {report.outcome for report in found.values()} == {"failed"}
    assert found["02_second"].reason.startswith("02_second.ipynb is not JSON")
    assert not list((files.home() / "executed").rglob("*.json"))


@pytest.mark.parametrize(("set_by_user", "expected"), [(None, "3"), ("5", "5")])
def test_notebook_runs_in_its_folder_on_its_share_of_the_cores_unless_the_user_says_otherwise(
    repository: Write, out: Path, monkeypatch: pytest.MonkeyPatch, set_by_user: str | None, expected: str
) -> None:
    # Threads that changed this process's folder in turn could leave it changed: `--out figures` would be another one.
    changes: list[str] = []
    monkeypatch.setattr(os, "chdir", changes.append)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if set_by_user:
        monkeypatch.setenv("OMP_NUM_THREADS", set_by_user)
    monkeypatch.setattr(kernels.os, "cpu_count", lambda: 3 * kernels.AT_ONCE)
    folder = repository("01_first", 'import os; profile = [os.getcwd(), os.environ["OMP_NUM_THREADS"]]').parent
    assert outcomes(out) == {"01_first": "ran"}
    assert json.loads((out / "01_first.json").read_text()) == [[str(folder), expected], "made-up"]
    assert {Path(to) for to in changes} <= {Path.cwd()}


def test_identity_depends_on_all_but_the_outputs(repository: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    def identity(profile: str = "smoke", data: str = "data") -> str:
        return reproduce._identity(path, {"profile": profile}, data)

    path = repository("01_first", "a = 1")
    first = identity()
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="seen")]
    nbformat.write(notebook, path)
    assert identity() == first
    found = {first, identity("quick"), identity(data="other data")}
    repository("01_first", "a = 2")
    found.add(identity())
    monkeypatch.setattr(reproduce, "versions", lambda: {"torch": "0"})
    assert len(found | {identity()}) == 5


def test_reproduce_failures_of_all_kinds_name_their_cell_and_do_not_stop_the_others(
    repository: Write, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    repository("01_raises", 'print("so far")', 'raise ValueError("no such thing")')
    repository("02_exits", "import sys; sys.exit(0)")
    repository("03_killed", "a = 1", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    repository("04_hangs", "import time", "time.sleep(600)")
    repository("05_fine")
    arguments = ["mugkit", "reproduce", "--profile", "smoke", "--dataset", "made-up", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", [*arguments, "--cell-limit", "15"])
    with pytest.raises(SystemExit) as caught:
        cli.app()
    assert caught.value.code == 1
    printed = capsys.readouterr().out
    found = [line for line in printed.splitlines() if line[:1].strip()]
    names = ("01_raises", "02_exits", "03_killed", "04_hangs")
    assert [line.partition(": ")[0].split() for line in found] == [*(["failed", n] for n in names), ["ran", "05_fine"]]
    # The failed cell of the first is its third (parameters, print, raise); papermill puts a cell of its own before it.
    reasons = "cell 4: ValueError", "cell 3: ", "cell 4: the kernel died", "cell 4: took longer than 15 seconds"
    assert [reason in line for reason, line in zip(reasons, found, strict=False)] == [True] * 4
    assert "tables and figures" not in printed
    partial = files.home() / "executed" / "smoke-made-up" / "01_raises.ipynb"
    assert str(partial) in printed
    cells = [cell for cell in nbformat.read(partial, as_version=4).cells if cell.cell_type == "code"]
    assert any("so far" in output.get("text", "") for cell in cells for output in cell.outputs)

    # The claims and the report are written all the same; the report names what failed.
    page = (out / "report.html").read_text()
    assert "not complete" in page
    assert [f"<code>{name}</code>" in page for name in ("01_raises", "04_hangs", "05_fine")] == [True, True, False]
    assert len(json.loads((out / "claims.json").read_text())) > 50

    # What failed is run again next time; what was mended then runs to its end.
    repository("01_raises", 'print("mended")')
    assert reproduce.run_notebook(reproduce.notebooks()[0], parameters(out), "x").outcome == "ran"
    manifest = json.loads((out / "manifest.json").read_text())
    assert {entry["notebook"] for entry in manifest.values()} == {"01_raises", "05_fine", "mugkit report"}


def test_run_notebook_parameter_it_does_not_have_is_refused(repository: Write, out: Path) -> None:
    path = repository("01_first", parameters=PARAMETERS.replace("out:", "output:"))
    with pytest.raises(UserError, match=r"unknown parameter of 01_first\.ipynb 'out'") as caught:
        reproduce.run_notebook(path, parameters(out), "x")
    assert "did you mean 'output'?" in str(caught.value)
    assert not out.exists()


def test_reproduce_data_sets_have_a_folder_each(repository: Write, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository("01_first")
    other = make_dataset(name="other", seed=1)
    store.save(other, files.data_home() / "other")
    seen = []
    monkeypatch.setattr(reproduce, "run_notebook", lambda *job: seen.append(job) or Report("x", "ran", out))
    for names in (["made-up", "other"], ["other"]):
        reproduce.reproduce("smoke", names, out)
    assert [job[1]["out"] for job in seen] == [str(out / "made-up"), str(out / "other"), str(out)]
    assert seen[1][2] == other.fingerprint


def test_conclude_writes_a_report_for_every_data_set_that_has_outputs(out: Path) -> None:
    for name in ("one", "two"):
        files.write_json(out / name / "manifest.json", {"x.json": {"notebook": "01_first", "sha256": "0"}})
    reports = [Report("01_first", "failed", out, "no"), Report("01_first", "ran", out), Report("01_first", "ran", out)]
    pages = reproduce.conclude(reports, ["one", "two", "three"], out)  # nothing was written for three
    assert pages == [out.absolute() / name / "report.html" for name in ("one", "two")]
    assert ["not complete" in page.read_text() for page in pages] == [True, False]


WITHOUT_JUPYTER = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"IPython", "ipykernel", "jupyter_client", "nbclient", "nbformat", "papermill"}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
from mugkit.reproduction import precompute, reproduce

wanted = []
precompute.compute = lambda *arguments: wanted.append(arguments[:2]) or []
print(reproduce.runs_alone("smoke", ["made-up"]), wanted)
"""


def test_runs_alone_need_no_jupyter() -> None:
    store.save(make_dataset(), files.data_home() / "made-up")
    done = subprocess.run([sys.executable, "-c", WITHOUT_JUPYTER], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout == "[] [('smoke', 'made-up')]\n"
    with pytest.raises(UserError, match="mugkit prepare mosi"):
        reproduce.runs_alone("smoke", ["mosi"])
