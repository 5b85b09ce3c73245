"""Recognises a file by its first bytes: unpacks compressed files, and names formats that cannot be read.

Downloads break off or return a web page instead, cloud drives rename files, and many formats share a suffix.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import itertools
import lzma
import pickletools
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mugkit import files
from mugkit.data import disk
from mugkit.errors import UserError

COMPRESSED = (".gz", ".bz2", ".xz")  # suffixes
_OPENERS: Mapping[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
    b"\x5d\x00\x00": lzma.open,  # .lzma
}
_START = 4096  # bytes that are inspected
_LARGEST = 1000  # times a compressed file's size: about the largest factor that gzip reaches
_AGAIN = "download the file again, and compare its size with the published size"
_EXPORT = "export its content as a pickle of MMSA's or MISA's form, or (labels and text) as .csv"
_UNPACK = "unpack it, and pass the file or folder that was in it"
_TORCH = "load it with torch.load and store its numpy arrays with pickle.dump"
# First bytes of a file, what it is, and the fix.
_STARTS: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself", "fetch it with `git lfs pull`"),
    (b"/annex/objects", "a git-annex pointer, not the file itself", "fetch it with `git annex get`"),
    (b"\x93NUMPY", "a numpy array (.npy)", _EXPORT),
    (b"PAR1", "a parquet table", _EXPORT),
    (b"ARROW1", "an Arrow table", _EXPORT),
    (b"FEA1", "a feather table", _EXPORT),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file", "save it as 'CSV UTF-8' in the spreadsheet program"),
    (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19", "a torch.save file (of PyTorch before 1.6)", _TORCH),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!\x1a\x07", "a rar archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it with `zstd -d`"),
    (b"\x04\x22\x4d\x18", "compressed with lz4", "unpack it with `lz4 -d`"),
    (b"MATLAB 5.0", "a MATLAB file", _EXPORT),
    (b"SQLite format 3", "an SQLite database", _EXPORT),
    (b"%PDF", "a PDF", "pass the data set's own files"),
    (b"RIFF", "sound or video", "pass features of the clips, not the clips themselves: see data_prep/"),
    (b"\x89PNG", "a picture", "pass the data set's own files"),
    (b"\xff\xd8\xff", "a picture", "pass the data set's own files"),
)
_PAGE = re.compile(rb"\s*(<!doctype|<html|<head|<body|<\?xml|<!--|<script)", re.IGNORECASE)


@contextlib.contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Yields the file itself, or for a gzip, bzip2 or xz file a temporary copy of its content, named without `.gz`.

    Raises:
        UserError: if the compressed file is damaged or claims too much, or the disk has no room for its content.
    """
    start = _start(path)
    opened = next((opener for magic, opener in _OPENERS.items() if start.startswith(magic)), None)
    if opened is None:
        yield path
        return
    with files.temporary_folder(files.data_home() / "unpacked") as folder:
        target = folder / (path.stem if path.suffix.lower() in COMPRESSED else path.name)
        try:
            with disk.room(folder, path.stat().st_size):
                _copy(opened, path, target)
        except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, ValueError) as error:
            raise UserError(f"is compressed, and cut off or damaged ({error})", file=path, fix=_AGAIN) from error
        yield target


def _copy(opened: Callable[[Path], Any], path: Path, target: Path) -> None:
    left = _LARGEST * path.stat().st_size + disk.BLOCK_BYTES
    with opened(path) as packed, target.open("wb") as stream:
        while block := packed.read(disk.BLOCK_BYTES):
            left -= stream.write(block)
            if left < 0:
                raise UserError(f"claims more than {_LARGEST} times its size", file=path, fix=_AGAIN)


def refuse_foreign(path: Path) -> None:
    """Rejects a file that is certainly not a pickle, HDF5 file or table.

    Raises:
        UserError: if the file has such a format; it says which, and what to do.
        OSError: if the file cannot be read.
    """
    start = _start(path)
    if found := _archive(path) if start.startswith((b"PK\x03\x04", b"PK\x05\x06")) else _foreign(start):
        what, fix = found
        raise UserError(f"is {what}", file=path, fix=fix)


def _foreign(start: bytes) -> tuple[str, str] | None:
    if start and not start.strip(b"\0"):
        return "a file of zeros: an interrupted download", _AGAIN
    if _PAGE.match(start.removeprefix(b"\xef\xbb\xbf")):
        what = "a web page, not the file (a notice of a quota, a login or an error)"
        return what, "open the address in a browser, and download the file itself"
    if start[257:262] == b"ustar":
        return "a tar archive", _UNPACK
    if start[4:8] == b"ftyp":
        return "a video", "pass features of the clips, not the clips themselves: see data_prep/"
    if start[:1] == b"\x78" and start[1:2] in b"\x01\x5e\x9c\xda" and len(start) > 64:
        return "compressed with zlib (joblib's .pkl.z)", "load it with joblib and store it again with pickle.dump"
    if start[4:10] == b'\0\0\0\0{"':
        return "a safetensors file", _EXPORT
    return next(((what, fix) for magic, what, fix in _STARTS if start.startswith(magic)), None)


def _archive(path: Path) -> tuple[str, str]:
    """Which format based on zip archives a file has, by the names inside."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError):
        return "a zip archive that is cut off or damaged", _AGAIN
    if any(name.startswith("xl/") for name in names):
        return "an Excel file (.xlsx)", "save it as 'CSV UTF-8' in the spreadsheet program"
    if any(name.endswith("/data.pkl") for name in names):
        return "a torch.save file", _TORCH
    if names and all(name.endswith(".npy") for name in names):
        return "a numpy archive (.npz)", _EXPORT
    return f"a zip archive of {len(names)} files ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})", _UNPACK


def outline(path: Path) -> str | None:
    """Describes a file that does not start like a pickle; None if it may be a pickle."""
    if _has_operations(path):
        return None
    start = _start(path)
    text = start[:60].decode("utf-8", "replace")
    if text.rstrip("\ufffd").replace("\n", " ").replace("\r", " ").replace("\t", " ").isprintable():
        return f"text, not a pickle: it starts with {text.splitlines()[0][:40]!r}" if text.strip() else "blank"
    return f"not a pickle: its first bytes are {start[:8].hex(' ')}"


def _has_operations(path: Path) -> bool:
    """Whether a file starts with operations of a pickle: few other files, and no prose, parse as twenty operations."""
    start = _start(path)  # only the start: a pickle may claim any length
    with contextlib.suppress(ValueError, IndexError):
        return len(list(itertools.islice(pickletools.genops(start), 20))) == 20 or start.endswith(b".")
    return False


def _start(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_START)
