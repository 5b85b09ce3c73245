"""Writes happen whole or not at all; hashes are those of hashlib; mugkit's home is where it is said to be."""

import errno
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from mugkit import files
from mugkit.errors import UserError


def test_home_is_the_environments_the_repositorys_or_a_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for chosen, place in ((str(tmp_path / "here"), "here"), ("relative", "relative"), ("~/there", "there")):
        monkeypatch.setenv("MUGKIT_HOME", chosen)
        assert files.home() == tmp_path / place
    monkeypatch.delenv("MUGKIT_HOME")
    root = Path(__file__).resolve().parents[1]
    assert files.home() == root / ".mugkit"
    monkeypatch.setattr(files, "__file__", str(tmp_path / "site-packages" / "mugkit" / "files.py"))
    assert files.repository() is None
    assert files.home() == tmp_path / ".cache" / "mugkit"


@pytest.mark.parametrize("chosen", ["", "~nobody-of-this-name/runs"])
def test_home_of_nobody_says_what_to_set(chosen: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def nobody(_: object) -> None:
        raise KeyError

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setenv("MUGKIT_HOME", chosen)
    monkeypatch.setattr("pwd.getpwuid", nobody)
    monkeypatch.setattr(files, "repository", lambda: None)
    with pytest.raises(UserError, match="no home directory") as caught:
        files.home()
    assert caught.value.field == "MUGKIT_HOME"


def test_sha256_and_digest_are_hashlibs(tmp_path: Path) -> None:
    content = bytes(i % 251 for i in range(1_000_001))
    (tmp_path / "file").write_bytes(content)
    assert files.sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()
    assert files.digest({"a": 1, "b": [1, 2]}) == files.digest({"b": [1, 2], "a": 1})
    assert files.digest({"a": 1, "b": [1, 2]}) != files.digest({"a": 1, "b": [2, 1]})
    assert files.digest("λ") == hashlib.sha256('"λ"'.encode()).hexdigest()


def write(path: Path, content: str, error: type[BaseException] | None = None) -> None:
    with files.atomic_path(path) as temporary:
        temporary.write_text(content)
        assert temporary.parent == path.parent  # the same file system, or the move would copy
        if error:
            raise error


def fill(folder: Path, content: str, error: type[BaseException] | None = None, *, replace: bool = True) -> None:
    with files.atomic_folder(folder, replace=replace) as temporary:
        (temporary / "file.txt").write_text(content)
        if error:
            raise error


def read(path: Path) -> str:
    return (path / "file.txt" if path.is_dir() else path).read_text()


@pytest.mark.parametrize(("writer", "mode"), [(write, 0o644), (fill, 0o755)])
def test_atomic_write_leaves_one_readable_thing(writer: Callable[..., None], mode: int, tmp_path: Path) -> None:
    target = tmp_path / "new" / "target"
    for content in ("one", "two"):
        writer(target, content)
        assert read(target) == content
    if writer is fill:  # it replaces only if asked
        with pytest.raises(OSError):
            fill(target, "three", replace=False)
        assert read(target) == "two"
    assert [path.name for path in target.parent.iterdir()] == ["target"]
    assert stat.S_IMODE(target.stat().st_mode) == mode


@pytest.mark.parametrize("writer", [write, fill])
def test_atomic_write_that_fails_keeps_what_was_there(writer: Callable[..., None], tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        writer(tmp_path / "target", "half", ValueError)
    assert list(tmp_path.iterdir()) == []
    writer(tmp_path / "target", "old")
    with pytest.raises(ValueError):
        writer(tmp_path / "target", "half", ValueError)
    assert read(tmp_path / "target") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def interrupted_at(number: int, call: Callable[[], None]) -> bool:
    """Calls with a Ctrl-C before the numbered line, of all that run; False if it ended before that line."""

    def tracer(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal number
        number -= event == "line"
        if number < 0:
            raise KeyboardInterrupt  # ends the tracing, too: there is one Ctrl-C
        return tracer

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.parametrize("writer", [write, fill])
def test_interrupt_at_any_line_leaves_it_whole_or_nothing(writer: Callable[[Path, str], None], tmp_path: Path) -> None:
    lines = 0
    while interrupted_at(lines, lambda: writer(tmp_path / "target", "whole")):
        lines += 1
        if (left := list(tmp_path.iterdir())) == [tmp_path / "target"]:
            shutil.rmtree(left[0]) if left[0].is_dir() else left[0].unlink()
        else:
            assert left == []
    assert lines > 30
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_replaceable_is_what_is_new_empty_or_ours(tmp_path: Path) -> None:
    for name in ("empty", "ours", "theirs"):
        (tmp_path / name).mkdir()
    (tmp_path / "ours" / "mark").touch()
    (tmp_path / "theirs" / "thesis.txt").write_text("years of work")
    for name in ("new", "empty", "ours"):
        assert files.replaceable(tmp_path / "new" / ".." / name, "mark") == (tmp_path / name).resolve()
    for path in (tmp_path / "theirs" / "thesis.txt", tmp_path / "theirs", tmp_path / "theirs" / "x" / ".."):
        with pytest.raises(UserError, match="replaced as a whole"):
            files.replaceable(path, "mark")


@pytest.mark.parametrize("writer", [files.atomic_path, files.atomic_folder])
@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("I/O error: No space left on device (os error 28)"),  # as safetensors has it
    ],
)
def test_atomic_writes_to_a_full_disk_are_told_and_leave_nothing(
    writer: Callable[[Path], AbstractContextManager[Path]], error: Exception, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="disk is too full") as caught, writer(tmp_path / "target"):
        raise error
    assert caught.value.file == tmp_path / "target"
    assert list(tmp_path.iterdir()) == []


def test_write_json_is_read_again_and_refuses_nan(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"λ": [1, 2.5, None], "ok": True})
    with pytest.raises(ValueError):
        files.write_json(tmp_path / "a.json", {"a": float("nan")})
    written = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert files.read_json(tmp_path / "a.json") == json.loads(written) == {"λ": [1, 2.5, None], "ok": True}
    assert "λ" in written
    assert written.endswith("}\n")


def test_sweep_removes_what_dead_processes_left_and_nothing_else(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys; from mugkit import files; p = pathlib.Path(sys.argv[1])\n"
        "with files.atomic_path(p / 'a.json') as t, files.atomic_folder(p / 'run') as f:\n"
        "    t.write_text('half'); (f / 'x').write_text('half'); os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, tmp_path]).returncode == -9
    left = sorted(tmp_path.iterdir())
    assert len(left) == 2
    (tmp_path / ".notes.tmp").touch()  # somebody else's
    with files.atomic_path(tmp_path / "b.json") as mine:
        assert sorted(files.remove_stale_temporaries(tmp_path)) == left
        assert mine.exists()
    assert [p.name for p in sorted(tmp_path.iterdir())] == [".notes.tmp", "b.json"]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="zombies are told from the living by Linux's /proc")
def test_sweep_takes_what_a_killed_process_left_before_its_starter_noticed(tmp_path: Path) -> None:
    if (child := os.fork()) == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)  # over, and not reaped: its number is still taken
    (left := tmp_path / f".x.{files._host()}-{child}-abc.tmp").touch()
    (living := tmp_path / f".x.{files._host()}-{os.getpid()}-abc.tmp").touch()
    try:
        assert files.remove_stale_temporaries(tmp_path) == [left]
    finally:
        os.waitpid(child, 0)
    assert living.exists()
