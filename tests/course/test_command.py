"""`mugkit course` on the command line: what it refuses, and how it says which protection there is."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mugkit.cli import commands
from mugkit.course import sandbox
from mugkit.errors import UserError


@pytest.mark.parametrize("installed", [False, True])
def test_protection_without_a_working_bubblewrap_does_not_hold(
    installed: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if installed:
        (tmp_path / "bwrap").symlink_to("/bin/false")
    layers = sandbox.protection()
    assert not sandbox.contains(layers)
    states = {layer.name: layer.active for layer in layers}
    assert states["points decided outside the student's process"]
    assert states["memory, processor time, file size"]
    with pytest.raises(UserError, match="no network.*" + ("does not work" if installed else "install bubblewrap")):
        sandbox.require(layers)


def grade(folder: Path, *options: str) -> Result:
    (folder / "in" / "ann").mkdir(parents=True)
    arguments = ["course", "grade", str(folder / "in"), "--out", str(folder / "out"), "--assignment", "5_your_ablation"]
    return CliRunner().invoke(commands, [*arguments, *options])


def test_grade_runs_unprotected_only_when_told_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", "")
    result = grade(tmp_path / "refused")
    assert isinstance(result.exception, UserError)
    assert "cannot be contained" in str(result.exception)
    assert not (tmp_path / "refused" / "out").exists()
    result = grade(tmp_path / "told", "--unprotected")
    assert result.exit_code == 0, result.exception
    assert "ann  5_your_ablation  0 of 12  not handed in" in result.stdout


def test_build_and_check_of_all_assignments_succeed(tmp_path: Path) -> None:
    out = ["--out", str(tmp_path / "course")]
    assert CliRunner().invoke(commands, ["course", "build", *out]).exit_code == 0
    result = CliRunner().invoke(commands, ["course", "check", *out])
    assert result.exit_code == 0
    assert "5 assignments" in result.stdout
