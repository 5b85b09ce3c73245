"""Frames between a file and memory: in blocks, through scratch files, with a look at the free space first.

MOSEI's frames are gigabytes. Pages of a mapped file count as the process's memory for as long as they stay mapped,
so whoever walks over a map lets go of what it has read (`release`), unless the map is small: pages that are let go of
have to be mapped again.
"""

from __future__ import annotations

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
KEPT_BYTES = 2 * BLOCK_BYTES  # of a map that stays mapped: those of the default data set are smaller


@contextlib.contextmanager
def room(folder: Path, needed: int) -> Iterator[None]:
    """Refuses to write what the disk has no room for: at once, or when something else fills it meanwhile.

    Args:
        folder: where the block writes; made if absent.
        needed: bytes that the block writes.

    Raises:
        UserError: fewer bytes are free, or the disk or a quota became full inside the block.
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
    """A file without a name in MUGKIT_HOME. It vanishes with the last map of it, however the process ends."""
    files.home().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=files.home()) as stream:
        yield stream


def release(array: np.ndarray, kept: int = 0) -> None:
    """Lets go of the pages of a read-only map, which stay in the system's cache; does nothing to other arrays.

    Args:
        kept: bytes of a map that may stay: of what is read again and again, mapping takes longer than copying.
    """
    base: object = array
    while isinstance(base, np.ndarray | memoryview):
        base = base.base if isinstance(base, np.ndarray) else base.obj
    if not isinstance(base, mmap.mmap) or len(base) <= kept:
        return
    # Of a map that can be written to, this could drop what was written. Windows has no such call.
    if not array.flags.writeable and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


def blocks(array: Shaped[np.ndarray, "rows ..."], size: int | None = None) -> Iterator[Shaped[np.ndarray, "some ..."]]:
    """Consecutive rows of an array, about `size` bytes (else BLOCK_BYTES); pages of a map are released behind them."""
    rows = max(1, (size or BLOCK_BYTES) * len(array) // max(1, array.nbytes))
    for start in range(0, len(array), rows):
        yield array[start : start + rows]
        release(array)


def flatten(batches: Iterable[Sequence[Shaped[np.ndarray, "length dim"]]], dim: int) -> RaggedFrames:
    """Clips that come a few at a time, as flat float32 frames in a scratch file, mapped read-only.

    Raises:
        OSError: the disk is full, among others; `room` says so in the user's terms.
    """
    lengths = [0]
    with scratch() as stream:
        for clips in batches:
            stream.write(np.ascontiguousarray(np.concatenate(clips), dtype=np.float32).data)
            lengths += map(len, clips)
        offsets = np.cumsum(lengths, dtype=np.int64)
        stream.flush()
        return RaggedFrames(np.memmap(stream, np.float32, "r", shape=(int(offsets[-1]), dim)), offsets)
