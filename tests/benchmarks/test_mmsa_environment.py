"""MMSA's environment: made once, never half, and a clear error where it cannot be made."""

from pathlib import Path

import pytest

from benchmarks import environment
from mugkit.errors import UserError


def test_environment_is_made_once_never_half_and_anew_for_other_packages(
    monkeypatch: pytest.MonkeyPatch, mugkit_home: Path
) -> None:
    commands: list[list[str]] = []
    folder = mugkit_home / "bench" / "mmsa"

    def run(command: list[str]) -> None:
        """Lays out what uv would make; the first installation is interrupted."""
        commands.append(command)
        (folder / "lib" / "python3.11" / "site-packages").mkdir(parents=True, exist_ok=True)
        if len(commands) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(environment, "_run", run)
    with pytest.raises(KeyboardInterrupt):
        environment.python()
    assert environment.python() == environment.python()
    assert [command[1] for command in commands] == ["venv", "pip", "venv", "pip", "-c"]
    (path,) = folder.glob("lib/*/site-packages/ours.pth")
    assert any((Path(line) / "torch").is_dir() for line in path.read_text().splitlines())
    monkeypatch.setattr(environment, "PACKAGES", ("MMSA==9",))
    environment.python()
    assert "MMSA==9" in commands[-2]


def test_what_is_missing_is_told_with_a_fix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such package") as caught:
        environment._run(["sh", "-c", "echo first >&2; echo no such package >&2; exit 3"])
    assert "--only" in str(caught.value.fix)
    monkeypatch.setattr(environment.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="make setup"):  # no uv
        environment.python()
