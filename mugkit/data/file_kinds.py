"""Recognises a file by its first bytes: unpacks compressed files, and names formats that cannot be read.

Downloads break off or return a web page instead, cloud drives rename files, and many formats share a suffix.
"""

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
_AS_CSV = "save it as 'CSV UTF-8' in the spreadsheet program"
_MEDIA = "pass features of the clips, not the clips themselves: see data_prep/"
_OTHER = "pass the data set's own files"
# What a file's first bytes look like, what it is, and the fix.
_STARTS: tuple[tuple[bytes, str, str], ...] = (
    (rb"\0+\Z", "a file of zeros: an interrupted download", _AGAIN),
    (
        rb"(\xef\xbb\xbf)?\s*(?i:<!doctype|<html|<head|<body|<\?xml|<!--|<script)",
        "a web page, not the file (a notice of a quota, a login or an error)",
        "open the address in a browser, and download the file itself",
    ),
    (rb"version https://git-lfs", "a Git LFS pointer, not the file itself", "fetch it with `git lfs pull`"),
    (rb"/annex/objects", "a git-annex pointer, not the file itself", "fetch it with `git annex get`"),
    (rb"\x93NUMPY", "a numpy array (.npy)", _EXPORT),
    (rb"PAR1", "a parquet table", _EXPORT),
    (rb"ARROW1", "an Arrow table", _EXPORT),
    (rb"FEA1", "a feather table", _EXPORT),
    (rb"MATLAB 5\.0", "a MATLAB file", _EXPORT),
    (rb"SQLite format 3", "an SQLite database", _EXPORT),
    (rb'.{4}\0{4}\{"', "a safetensors file", _EXPORT),
    (rb"\xd0\xcf\x11\xe0", "an old Excel or Word file", _AS_CSV),
    (rb"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19", "a torch.save file (of PyTorch before 1.6)", _TORCH),
    (rb"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (rb"Rar!\x1a\x07", "a rar archive", _UNPACK),
    (rb".{257}ustar", "a tar archive", _UNPACK),
    (rb"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it with `zstd -d`"),
    (rb"\x04\x22\x4d\x18", "compressed with lz4", "unpack it with `lz4 -d`"),
    (
        rb"\x78[\x01\x5e\x9c\xda].{63}",
        "compressed with zlib (joblib's .pkl.z)",
        "load it with joblib and store it again with pickle.dump",
    ),
    (rb"RIFF", "sound or video", _MEDIA),
    (rb".{4}ftyp", "a video", _MEDIA),
    (rb"%PDF", "a PDF", _OTHER),
    (rb"\x89PNG|\xff\xd8\xff", "a picture", _OTHER),
)


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
    found = next(((what, fix) for form, what, fix in _STARTS if re.match(form, start, re.DOTALL)), None)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        found = _archive(path)
    if found:
        raise UserError(f"is {found[0]}", file=path, fix=found[1])


def _archive(path: Path) -> tuple[str, str]:
    """Which format based on zip archives a file has, by the names inside."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError):
        return "a zip archive that is cut off or damaged", _AGAIN
    if any(name.startswith("xl/") for name in names):
        return "an Excel file (.xlsx)", _AS_CSV
    if any(name.endswith("/data.pkl") for name in names):
        return "a torch.save file", _TORCH
    if names and all(name.endswith(".npy") for name in names):
        return "a numpy archive (.npz)", _EXPORT
    return f"a zip archive of {len(names)} files ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})", _UNPACK


def outline(path: Path) -> str:
    """Says what a file is that does not start like a pickle; "" if it may be a pickle."""
    start = _start(path)  # only the start: a pickle may claim any length
    with contextlib.suppress(ValueError, IndexError):
        # Few other files, and no prose, parse as twenty operations of a pickle.
        if len(list(itertools.islice(pickletools.genops(start), 20))) == 20 or start.endswith(b"."):
            return ""
    text = start[:60].decode("utf-8", "replace")
    if re.sub(r"[\n\r\t]", " ", text.rstrip("\ufffd")).isprintable():
        return f"is text, not a pickle: it starts with {text.splitlines()[0][:40]!r}" if text.strip() else "is blank"
    return f"is not a pickle: its first bytes are {start[:8].hex(' ')}"


def _start(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_START)
