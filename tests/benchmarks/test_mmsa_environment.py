"""MMSA's environment: made once, never half, and a clear error where it cannot be made."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import environment
from mugkit.errors import UserError


def make_without_network(commands: list[list[str]], folder: Path) -> None:
    """Lays out what uv would; the test notes the commands."""
    site = folder / "lib" / "python3.11" / "site-packages"
    site.mkdir(parents=True, exist_ok=True)
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / "python").touch()


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, mugkit_home: Path) -> list[list[str]]:
    """Commands that would have been run."""
    noted: list[list[str]] = []

    def run(command: list[str]) -> None:
        noted.append(command)
        make_without_network(noted, mugkit_home / "bench" / "mmsa")

    monkeypatch.setattr(environment, "_run", run)
    return noted


def test_environment_is_made_once_and_uses_our_torch(commands: list[list[str]], mugkit_home: Path) -> None:
    python = environment.python()
    assert python == mugkit_home / "bench" / "mmsa" / "bin" / "python"
    assert [command[1] for command in commands] == ["venv", "pip", "-c"]
    assert "MMSA==2.2.1" in commands[1]
    assert "--no-deps" in commands[1]
    (path,) = python.parents[1].glob("lib/*/site-packages/ours.pth")
    assert any((Path(line) / "torch").is_dir() for line in path.read_text().splitlines())
    assert environment.python() == python
    assert len(commands) == 3


def test_environment_of_other_packages_is_made_anew(commands: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    environment.python()
    monkeypatch.setattr(environment, "PACKAGES", ("MMSA==9",))
    environment.python()
    assert len(commands) == 6
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


def test_install_that_fails_says_why_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such package") as caught:
        environment._run(["sh", "-c", "echo first >&2; echo no such package >&2; exit 3"])
    assert "--only" in str(caught.value.fix)


def test_missing_uv_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(environment.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="make setup"):
        environment.python()
