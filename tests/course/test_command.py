"""`mugkit course` on the command line: what it refuses, and how it says which protection there is."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from mugkit.cli import commands
from mugkit.course import sandbox
from mugkit.course.sandbox import Layer
from mugkit.errors import UserError

RUNNER = CliRunner()


def test_protection_without_bubblewrap_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "bubblewrap", lambda: None)
    layers = {layer.name: layer for layer in sandbox.protection()}
    assert layers["points decided outside the student's process"].active
    assert layers["memory, processor time, file size"].active
    assert not layers["no network"].active
    assert "apt-get install bubblewrap" in layers["no network"].detail
    assert not sandbox.contains(list(layers.values()))


def test_protection_with_a_bubblewrap_that_fails_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "bubblewrap", lambda: "/bin/false")
    layers = sandbox.protection()
    assert not sandbox.contains(layers)
    with pytest.raises(UserError, match="no network"):
        sandbox.require(layers)
    sandbox.require([Layer("walls", True, "")])


def submissions(folder: Path) -> list[str]:
    (folder / "in" / "ann").mkdir(parents=True)
    return ["course", "grade", str(folder / "in"), "--out", str(folder / "out"), "--assignment", "5_your_ablation"]


def test_grade_refuses_to_run_unprotected(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sandbox, "bubblewrap", lambda: None)
    result = RUNNER.invoke(commands, submissions(tmp_path))
    assert isinstance(result.exception, UserError)
    assert "cannot be contained" in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_grade_runs_unprotected_when_told_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sandbox, "bubblewrap", lambda: None)
    result = RUNNER.invoke(commands, [*submissions(tmp_path), "--unprotected"])
    assert result.exit_code == 0, result.exception
    assert "ann  5_your_ablation  0 of 12  not handed in" in result.stdout


def test_build_and_check_of_all_assignments_succeed(tmp_path: Path) -> None:
    out = ["--out", str(tmp_path / "course")]
    assert RUNNER.invoke(commands, ["course", "build", *out]).exit_code == 0
    result = RUNNER.invoke(commands, ["course", "check", *out])
    assert result.exit_code == 0
    assert "5 assignments" in result.stdout
