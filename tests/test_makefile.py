"""`make setup`: what is installed, and when nothing is. Python and uv are played by a script that notes its calls."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
FILES = ("Makefile", "pyproject.toml", "constraints.txt")
NOTES = '#!/bin/sh\ncase "$*" in *install*) echo "$*" >> "{}";; esac\n'


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """What `make setup` reads, beside an environment that has uv."""
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in FILES:
        shutil.copy(REPOSITORY / name, tmp_path)
    for name in ("python", "uv"):
        (programs / name).write_text(NOTES.format(tmp_path / "calls"))
        (programs / name).chmod(0o755)
    return tmp_path


def installed(repository: Path, *options: str) -> list[str]:
    """The parts of mugkit that `make setup` with these options installs."""
    variables = {n: v for n, v in os.environ.items() if not n.startswith(("MAKE", "CONDA", "EXTRAS", "MFLAGS"))}
    calls = repository / "calls"
    calls.unlink(missing_ok=True)
    subprocess.run(["make", "setup", *options], cwd=repository, env=variables, capture_output=True, check=True)
    return [line.rpartition("--editable ")[2] for line in calls.read_text().splitlines()] if calls.is_file() else []


def test_setup_installs_once_and_again_when_parts_or_requirements_change(repository: Path) -> None:
    default = installed(repository)
    assert default[0].startswith(".[notebooks,offline,")
    assert installed(repository) == []
    assert installed(repository, "EXTRAS=notebooks,zh") == [".[notebooks,zh]"]
    assert installed(repository, "EXTRAS=notebooks,zh") == []
    assert installed(repository) == default
    later = (repository / ".venv" / ".mugkit-setup").stat().st_mtime + 10
    os.utime(repository / "constraints.txt", (later, later))
    assert installed(repository) == default


def test_what_messages_tell_to_install_is_a_part_that_setup_can_install() -> None:
    """pip alone cannot: learn2learn needs the settings that uv reads from pyproject.toml."""
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    code = [path for folder in ("mugkit", ".ci") for path in (REPOSITORY / folder).rglob("*.py")]
    pages = [*code, *(REPOSITORY / "data_prep").glob("*.md")]
    texts = [path.read_text(encoding="utf-8") for path in pages]
    named = {name for text in texts for name in re.findall(r"EXTRAS=(\w+)", text)}
    assert named >= {"media", "report", "course"}
    assert named <= extras.keys()
    assert not [text for text in texts if re.search(r"pip install '?mugkit", text)]
