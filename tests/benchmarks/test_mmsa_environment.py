"""MMSA's environment: made once, never half, and a clear error where it cannot be made."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import environment
from mugkit.errors import UserError


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, mugkit_home: Path) -> list[list[str]]:
    """Commands that would have been run; what uv would make is laid out."""
    noted: list[list[str]] = []
    folder = mugkit_home / "bench" / "mmsa"

    def run(command: list[str]) -> None:
        noted.append(command)
        (folder / "lib" / "python3.11" / "site-packages").mkdir(parents=True, exist_ok=True)
        (folder / "bin").mkdir(exist_ok=True)
        (folder / "bin" / "python").touch()

    monkeypatch.setattr(environment, "_run", run)
    return noted


def test_environment_is_made_once_and_anew_for_other_packages(
    commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    python = environment.python()
    assert [command[1] for command in commands] == ["venv", "pip", "-c"]
    assert {"MMSA==2.2.1", "--no-deps"} <= set(commands[1])
    (path,) = python.parents[1].glob("lib/*/site-packages/ours.pth")
    assert any((Path(line) / "torch").is_dir() for line in path.read_text().splitlines())
    assert environment.python() == python
    assert len(commands) == 3
    monkeypatch.setattr(environment, "PACKAGES", ("MMSA==9",))
    environment.python()
    assert "MMSA==9" in commands[4]


def test_environment_half_made_is_made_anew(commands: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = environment._run

    def stop_at_install(command: list[str]) -> None:
        whole(command)
        if command[1] == "pip":
            raise KeyboardInterrupt

    monkeypatch.setattr(environment, "_run", stop_at_install)
    with pytest.raises(KeyboardInterrupt):
        environment.python()
    monkeypatch.setattr(environment, "_run", whole)
    environment.python()
    assert [command[1] for command in commands] == ["venv", "pip", "venv", "pip", "-c"]


def test_what_is_missing_is_told_with_a_fix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such package") as caught:
        environment._run(["sh", "-c", "echo first >&2; echo no such package >&2; exit 3"])
    assert "--only" in str(caught.value.fix)
    monkeypatch.setattr(environment.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="make setup"):  # no uv
        environment.python()
