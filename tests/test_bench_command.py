"""`mugkit bench` as people type it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import made_benches as made
import pytest
from benchmarks import measures

from mugkit import cli, files
from mugkit.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
Mugkit = Callable[..., tuple[int, str, str]]


@pytest.fixture
def mugkit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Mugkit:
    """`mugkit bench ARGUMENTS` in this process with made-up benchmarks, writing to `tmp_path`."""
    monkeypatch.setattr(measures, "import_module", lambda _: made)
    monkeypatch.setattr(measures, "BENCHES", {"fast": "made:fast", "slow": "made:slow", "broken": "made:missing"})

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mugkit", "bench", "--out", str(tmp_path), *arguments])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as caught:
            cli.app()
        return int(caught.value.code or 0), *capsys.readouterr()

    return call


def test_bench_over_its_bar_is_exit_code_0(mugkit: Mugkit, tmp_path: Path) -> None:
    code, out, err = mugkit("--only", "fast")
    assert (code, err) == (0, "")
    assert "ours over theirs" in out
    assert "2.5 – 3.5" in out
    assert {path.name for path in tmp_path.iterdir()} == {"bench.json", "bench.png", "bench.svg"}


def test_bench_under_its_bar_is_exit_code_1_and_says_which(mugkit: Mugkit, tmp_path: Path) -> None:
    code, out, _ = mugkit("--only", "slow", "--only", "fast")
    assert code == 1
    assert [line.split()[1] for line in out.splitlines() if line.rstrip().endswith("under")] == ["slower"]
    assert list(files.read_json(tmp_path / "bench.json")) == ["fast", "slow"]


def test_bench_that_breaks_keeps_what_was_measured_before(
    mugkit: Mugkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise UserError("not installed", fix="install it")

    monkeypatch.setattr(made, "missing", missing, raising=False)
    code, _, err = mugkit()
    assert (code, "install it" in err) == (2, True)
    assert list(files.read_json(tmp_path / "bench.json")) == ["fast", "slow"]


def test_bench_finds_a_checkouts_benchmarks_by_itself(tmp_path: Path) -> None:
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-m", "mugkit", "bench", "--only", "fats"]
    ended = subprocess.run(command, cwd=tmp_path, env=bare | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert (ended.returncode, "mmsa" in ended.stderr) == (2, True)


def test_bench_without_a_checkout_is_exit_code_2(mugkit: Mugkit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "repository", lambda: None)
    code, _, err = mugkit()
    assert (code, "clone the repository" in err) == (2, True)
