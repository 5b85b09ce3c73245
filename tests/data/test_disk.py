"""Frames between a file and memory: blocks, scratch files, free space; and that memory stays bounded by a block."""

import errno
import os
import resource
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mugkit.data import disk
from mugkit.errors import UserError

LINUX = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc")


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.fixture
def mapped(tmp_path: Path) -> np.memmap:
    """48 MB of ones in a file."""
    np.ones((600_000, 20), dtype=np.float32).tofile(tmp_path / "ones")
    return np.memmap(tmp_path / "ones", np.float32, "r", shape=(600_000, 20))


def test_room_tells_of_a_disk_that_is_small_or_becomes_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for code in (errno.ENOSPC, errno.EDQUOT):
        with pytest.raises(UserError, match="too full"), disk.room(tmp_path / "new", 10):
            raise OSError(code, os.strerror(code))
    with pytest.raises(PermissionError), disk.room(tmp_path, 10):
        raise PermissionError(errno.EACCES, "no")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2.5e9))
    with pytest.raises(UserError, match=r"3 GB are needed, 2\.5 GB are free") as caught, disk.room(tmp_path, 3 * 10**9):
        pytest.fail("the block must not start")
    assert caught.value.file == tmp_path


@pytest.mark.parametrize("size", [1, 7 * 8, 8 * 8, 10**6])
def test_blocks_are_the_array_in_order(size: int) -> None:
    array = np.arange(20.0).reshape(10, 2)
    parts = list(disk.blocks(array, size))
    np.testing.assert_array_equal(np.concatenate(parts), array)
    assert len(parts) == {1: 10, 56: 4, 64: 3, 10**6: 1}[size]
    assert list(disk.blocks(array[:0])) == []


@LINUX
def test_blocks_leave_no_pages_behind(mapped: np.memmap) -> None:
    before = resident_bytes()
    grown = [(float(block.sum()), resident_bytes() - before)[1] for block in disk.blocks(mapped[1:], 2**20)]
    assert max(grown) < 8e6
    assert resident_bytes() - before < 4e6
    assert mapped.sum(dtype=np.float64) == 12e6
    assert resident_bytes() - before > 40e6  # so that the measure above would have seen the pages


@LINUX
def test_release_reaches_the_map_below_unless_it_is_small_enough_to_keep(mapped: np.memmap) -> None:
    bytes_of_file = memoryview(mapped.base)[3:-1]
    for view in (mapped, mapped[3:][::2], np.ndarray(11_999_999, np.float32, buffer=bytes_of_file)):
        before = resident_bytes()
        mapped.sum()
        disk.release(view, kept=mapped.nbytes)
        assert resident_bytes() - before > 40e6
        disk.release(view, kept=mapped.nbytes - 1)
        assert resident_bytes() - before < 4e6
        assert view.flat[0] != 0


def test_release_loses_nothing_that_was_written(tmp_path: Path) -> None:
    np.zeros(4096).tofile(tmp_path / "zeros")
    private = np.memmap(tmp_path / "zeros", np.float64, "c")
    private[:] = 1
    disk.release(private)
    disk.release(plain := np.ones(3))
    assert private.sum() == 4096
    assert plain.sum() == 3


def test_flatten_joins_clips(mugkit_home: Path) -> None:
    rng = np.random.default_rng(0)
    clips = [np.asfortranarray(rng.standard_normal((length, 3))) for length in (2, 1, 5, 4)]
    sequences = disk.flatten([clips[:1], clips[1:3], clips[3:]], 3)
    assert sequences.offsets.tolist() == [0, 2, 3, 8, 12]
    assert isinstance(sequences.frames, np.memmap)
    assert sequences.frames.dtype == np.float32
    assert not sequences.frames.flags.writeable
    for clip, expected in enumerate(clips):
        np.testing.assert_array_equal(sequences[clip], expected.astype(np.float32))
    assert list(mugkit_home.iterdir()) == []  # the file has no name, so nobody has to delete it
