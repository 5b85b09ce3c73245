"""Moves frames between files and memory: in blocks, through scratch files, after a check of the free disk space.

MOSEI's frames take gigabytes. Pages of a mapped file count as the process's memory while they stay mapped, so code
that reads through a map releases the pages behind it (`release`), unless the map is small: released pages must be
mapped again.
"""

import contextlib
import mmap
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Shaped

from mugkit import files
from mugkit.data.schema import RaggedFrames
from mugkit.errors import UserError

BLOCK_BYTES = 16 * 2**20
KEPT_BYTES = 2 * BLOCK_BYTES  # maps up to this size stay mapped: those of the default data set are smaller


@contextlib.contextmanager
def room(folder: Path, needed: int) -> Iterator[None]:
    """Raises an error if the disk has no room: before the block, or inside it if the disk fills up meanwhile.

    Args:
        folder: where the block writes `needed` bytes; created if absent.

    Raises:
        UserError: if fewer bytes are free, or the disk or a quota becomes full inside the block.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if (free := shutil.disk_usage(folder).free) < needed:
        problem = f"the disk is too full: {needed / 1e9:.3g} GB are needed, {free / 1e9:.3g} GB are free"
        fix = "delete what you no longer need, or set MUGKIT_HOME to a folder on a larger disk"
        raise UserError(problem, file=folder, fix=fix)
    with files.told_if_full(folder):
        yield


@contextlib.contextmanager
def scratch() -> Iterator[BinaryIO]:
    """A file without a name in MUGKIT_HOME. It disappears with its last memory map, however the process ends."""
    files.home().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=files.home()) as stream:
        yield stream


def release(array: np.ndarray, kept: int = 0) -> None:
    """Releases the pages of a read-only map of more than `kept` bytes; they stay in the system's cache."""
    base: object = array
    while isinstance(base, np.ndarray | memoryview):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    # On a writable map, this call could discard written data. Windows does not have it.
    can_be_released = not array.flags.writeable and hasattr(mmap, "MADV_DONTNEED")
    if can_be_released and isinstance(base, mmap.mmap) and len(base) > kept:
        base.madvise(mmap.MADV_DONTNEED)


def blocks(array: Shaped[np.ndarray, "rows ..."], size: int | None = None) -> Iterator[Shaped[np.ndarray, "some ..."]]:
    """Consecutive blocks of rows, of about `size` bytes (default: BLOCK_BYTES); releases a map's pages behind them."""
    rows = max(1, (size or BLOCK_BYTES) * len(array) // max(1, array.nbytes))
    for start in range(0, len(array), rows):
        yield array[start : start + rows]
        release(array)


def flatten(batches: Iterable[Sequence[Shaped[np.ndarray, "length dim"]]], dim: int) -> RaggedFrames:
    """Writes batches of clips as flat float32 frames to a scratch file, and maps it read-only.

    Raises:
        OSError: if writing fails, e.g. because the disk is full; `room` turns a full disk into a UserError.
    """
    lengths = [0]
    with scratch() as stream:
        for clips in batches:
            stream.write(np.ascontiguousarray(np.concatenate(clips), dtype=np.float32).data)
            lengths += map(len, clips)
        offsets = np.cumsum(lengths, dtype=np.int64)
        stream.flush()
        return RaggedFrames(np.memmap(stream, np.float32, "r", shape=(int(offsets[-1]), dim)), offsets)
