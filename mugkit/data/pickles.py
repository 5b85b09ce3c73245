"""Reads untrusted pickles as data: nothing in a file is executed.

A pickle is a program for a small stack machine, which may call any function that it can name. Data sets of this field
are shared as pickles from unknown sources, so this machine keeps only the operations that plain data needs. Stand-ins
defined here replace the few names that numpy arrays and containers need. Not even numpy sees content that was not
checked: a forged dtype state would make it follow forged pointers. A hostile file can still waste time; it cannot run,
write or read anything, nor claim much more memory than its size.

Long byte strings stay in the file: an array of gigabytes is a read-only view of the mapped file and takes no memory
until it is read. In protocol 2, Python 3 writes bytes as text; such arrays are decoded into a scratch file.
"""

import codecs
import functools
import math
import mmap
import os
import pickle
import re
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np

from mugkit import files
from mugkit.data import disk, file_kinds
from mugkit.errors import UserError

LARGE = 2**20  # a string of at least this many bytes stays in the file
_FIX = "only numpy arrays, numbers, text and plain containers are read; store the data again as these"
_PLAIN_DTYPE = re.compile(r"b1|[iu][1248]|f[248]|c(8|16)|[SU]\d+|O8?")
_SPARE = 64 * 2**20  # bytes that calls may allocate beyond 4 times the file's size: for sets and objects in small files


class _Refused(Exception):
    """Raised for content that plain data does not need."""


def load_pickle(path: Path, large: int = LARGE) -> Any:
    """Loads a pickle of built-in containers, text, numbers, and numpy arrays, which may be read-only.

    Python 2 strings are read as latin-1.

    Args:
        large: arrays of at least this many bytes stay in the file, which is mapped read-only.

    Raises:
        UserError: if the file is unreadable, cut off, not a pickle, or holds anything but plain data (nothing in it is
            executed); or if the disk has no room for the scratch file of a protocol 2 pickle.
    """
    try:
        with path.open("rb") as stream:
            content = _Reader(stream, large).load()
        return _settle(content, {})
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", file=path, fix="check the path") from error
    except _Refused as error:
        raise UserError(f"{file_kinds.outline(path) or error}; nothing was executed", file=path, fix=_FIX) from error
    except EOFError as error:
        raise UserError("is empty or cut off", file=path, fix="download the file again") from error
    except (RecursionError, MemoryError) as error:
        raise UserError("is nested too deeply or claims too much memory", file=path, fix=_FIX) from error
    except Exception as error:  # an arbitrary file can make the machine fail in any way
        problem = file_kinds.outline(path) or f"is not a pickle of plain data ({type(error).__name__}: {error})"
        raise UserError(problem, file=path, fix=_FIX) from error


# --- stand-ins for long strings and for the names in numpy's pickles --------------------------------


class _Long:
    """A byte string or text that stays in the file until it is known whether it is an array."""

    __slots__ = ("kind", "view")

    def __init__(self, view: memoryview, kind: str) -> None:
        self.view, self.kind = view, kind

    def __sizeof__(self) -> int:  # a decoded string's size on disk counts towards the limit of calls
        return len(self.view)

    def read(self) -> bytes | bytearray | str:
        return _KINDS[self.kind](self.view)

    def decode(self) -> "_Long":
        """Writes the bytes of latin-1 text, which the file holds as UTF-8, to a scratch file."""
        decoder = codecs.getincrementaldecoder("utf-8")("surrogatepass")
        with disk.room(files.home(), len(self.view)), disk.scratch() as stream:
            for start in range(0, len(self.view), disk.BLOCK_BYTES):
                block = bytes(self.view[start : start + disk.BLOCK_BYTES])
                stream.write(decoder.decode(block).encode("latin-1"))
                disk.release(np.frombuffer(self.view, np.uint8))
            stream.write(decoder.decode(b"", final=True).encode("latin-1"))
            stream.flush()
            return _Long(memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)), "bytes")


_KINDS: Mapping[str, Callable[[bytes | memoryview], Any]] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "latin-1": lambda content: str(content, "latin-1"),  # a Python 2 string
    "utf-8": lambda content: str(content, "utf-8", "surrogatepass"),
}


def _in_memory(value: Any) -> Any:
    return value.read() if isinstance(value, _Long) else value


class _DType:
    """A dtype of plain numbers, strings or objects."""

    __slots__ = ("dtype",)

    def __init__(self, spec: object, *_: object) -> None:
        if not isinstance(spec, str) or not _PLAIN_DTYPE.fullmatch(spec):
            raise _Refused(f"has an array of type {spec!r}")
        self.dtype = np.dtype(object) if spec.startswith("O") else np.dtype(spec)

    def __setstate__(self, state: tuple) -> None:
        _, order, *structure = state[:5]
        if any(part is not None for part in structure):
            raise _Refused("has an array of records")
        self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """An array whose content is set later, as in numpy's own two-step reconstruction."""

    __slots__ = ("value",)

    def __init__(self, kind: object, *_: object) -> None:
        if kind is not _NDARRAY:
            raise _Refused("has an array of an unusual class")
        self.value: np.ndarray | None = None

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, content = state
        self.value = _array(content, dtype, shape, "F" if fortran else "C")


def _array(content: Any, dtype: _DType, shape: tuple[int, ...], order: Any = "C") -> np.ndarray:
    content = content.encode("latin-1") if isinstance(content, str) else content  # a Python 2 string
    content = content.view if isinstance(content, _Long) and content.kind != "utf-8" else content
    _check_content(content, dtype.dtype, shape)
    if not dtype.dtype.hasobject:
        return np.ndarray(shape, dtype.dtype, buffer=content, order=order)
    array = np.empty(len(content), dtype=object)
    for index, item in enumerate(content):
        array[index] = item
    return array.reshape(shape, order=order)


def _check_content(content: Any, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    """Rejects content that does not fill the shape exactly, before any allocation, and invalid text."""
    expected: Any = list if dtype.hasobject else bytes | bytearray | memoryview
    if not isinstance(content, expected):
        raise _Refused("has an array whose content is of the wrong kind")
    if len(content) != math.prod(shape) * (1 if dtype.hasobject else dtype.itemsize) or min(shape, default=0) < 0:
        raise _Refused(f"has an array of shape {shape} whose content has another size")
    if dtype.kind == "U" and np.frombuffer(content, f"{dtype.byteorder}u4").max(initial=0) > sys.maxunicode:
        raise _Refused("has text with invalid characters")


def _scalar(dtype: _DType, content: Any) -> Any:
    return _array(content, dtype, ())[()]


def _encode(text: str | _Long, encoding: str = "latin1") -> bytes | _Long:
    """Restores bytes that Python 3 wrote as text, in protocol 2."""
    if encoding not in ("latin1", "latin-1"):
        raise _Refused(f"encodes text as {encoding!r}")
    return text.decode() if isinstance(text, _Long) and text.kind == "utf-8" else _in_memory(text).encode("latin-1")


def _from_text(kind: type, *strings: Any) -> Any:
    """`bytes` or `bytearray`, limited to text arguments: for a number, they would allocate that many bytes."""
    arguments = [_in_memory(string) for string in strings]
    if not all(isinstance(argument, str | bytes) for argument in arguments):
        raise _Refused(f"calls {kind.__name__} with an argument that is not text")
    return kind(*arguments)


_NDARRAY = object()  # a name to compare with, not a class to call
_NUMPY: Mapping[str, Any] = {
    "multiarray._reconstruct": _Array,
    "multiarray.scalar": _scalar,
    "numeric._frombuffer": _array,
}
_BUILTINS: Mapping[str, Callable] = {
    "set": set,
    "frozenset": frozenset,
    "complex": complex,
    "bytes": functools.partial(_from_text, bytes),
    "bytearray": functools.partial(_from_text, bytearray),
}
# Lists, dicts, numbers and strings have their own operations, so pickles never refer to them by name.
_ALLOWED: Mapping[str, Any] = {
    "numpy.dtype": _DType,
    "numpy.ndarray": _NDARRAY,
    "_codecs.encode": _encode,
    "collections.OrderedDict": OrderedDict,
    **{f"numpy.{core}.{name}": value for core in ("core", "_core") for name, value in _NUMPY.items()},
    **{f"{module}.{name}": value for module in ("builtins", "__builtin__") for name, value in _BUILTINS.items()},
}


# --- the machine ----------------------------------------------------------------------------------


class _Bounded:
    """A stream that never returns or allocates more bytes than the file holds."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream, self.readline = stream, stream.readline
        if not (size := os.fstat(stream.fileno()).st_size):
            raise EOFError
        self.mapped = memoryview(mmap.mmap(stream.fileno(), size, access=mmap.ACCESS_READ))
        self.size = size

    def read(self, count: int) -> bytes:
        if count > self.size or len(data := self.stream.read(count)) < count:
            raise EOFError
        return data

    def skip(self, count: int) -> memoryview:
        """A view of the bytes that `read` would return; they stay in the file."""
        start = self.stream.tell()
        if count > self.size - start:
            raise EOFError
        self.stream.seek(count, os.SEEK_CUR)
        return self.mapped[start : start + count]


class _Reader(pickle._Unpickler):
    """The standard library's Python unpickler, restricted (the C version sizes its memo by what a file claims)."""

    dispatch: ClassVar[dict[int, Callable]] = dict(pickle._Unpickler.dispatch)
    stack: list[Any]  # the parent class sets these three
    append: Callable[[Any], None]
    read: Callable[[int], bytes]

    def __init__(self, stream: BinaryIO, large: int) -> None:
        self.file, self.large = _Bounded(stream), large
        super().__init__(self.file, encoding="latin1")
        self.made, self.limit = 0, 4 * self.file.size + _SPARE

    def find_class(self, module: str, name: str) -> Any:
        if (allowed := _ALLOWED.get(f"{module}.{name}")) is None:
            raise _Refused(f"refers to {f'{module}.{name}'!r}")
        return allowed

    def call(self) -> None:
        """REDUCE, with a memory limit: many calls can copy the same byte string of the file."""
        arguments, function = self.stack.pop(), self.stack.pop()
        result = function(*arguments)
        self.made += sys.getsizeof(result)
        if self.made > self.limit:
            raise MemoryError
        self.append(result)

    def build(self) -> None:
        """BUILD, for the stand-ins only: on anything else it would set attributes."""
        state, instance = self.stack.pop(), self.stack[-1]
        if not isinstance(instance, _Array | _DType):
            raise _Refused(f"sets attributes of {type(instance).__name__!r}")
        instance.__setstate__(state)

    def frame(self) -> None:
        """FRAME says how much to read ahead. Old Pythons put whole arrays into a frame, so nothing is read ahead."""
        if int.from_bytes(self.read(8), "little") > self.file.size:
            raise EOFError

    def string(self, width: int, kind: str) -> None:
        """Reads a string that follows its length, which takes `width` bytes."""
        length = int.from_bytes(self.read(width), "little")
        is_long = length >= self.large
        self.append(_Long(self.file.skip(length), kind) if is_long else _KINDS[kind](self.read(length)))

    def refuse(self) -> None:
        raise _Refused("uses an operation that plain data never needs, or is not a pickle")

    dispatch |= {pickle.REDUCE[0]: call, pickle.BUILD[0]: build, pickle.FRAME[0]: frame}
    for _code, _width, _kind in (
        *((pickle.BINBYTES, 4, "bytes"), (pickle.BINBYTES8, 8, "bytes"), (pickle.BYTEARRAY8, 8, "bytearray")),
        *((pickle.BINUNICODE, 4, "utf-8"), (pickle.BINUNICODE8, 8, "utf-8"), (pickle.BINSTRING, 4, "latin-1")),
    ):
        dispatch[_code[0]] = functools.partial(string, width=_width, kind=_kind)
    for _code in (
        *(pickle.INST, pickle.OBJ, pickle.NEWOBJ, pickle.NEWOBJ_EX),  # instances of classes
        *(pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.PERSID, pickle.BINPERSID),  # names from elsewhere
        *(pickle.NEXT_BUFFER, pickle.READONLY_BUFFER),  # bytes from elsewhere
    ):
        dispatch[_code[0]] = refuse


_PENDING = object()


def _settle(value: Any, done: dict[int, Any]) -> Any:
    """Replaces the stand-ins in `value` by real objects. `done`, keyed by identity, keeps shared parts shared."""
    if isinstance(value, str | bytes | bytearray | int | float | complex | None | np.generic):
        return value
    if id(value) not in done:
        done[id(value)] = _PENDING
        done[id(value)] = _settle_parts(value, done)
    if done[id(value)] is _PENDING:
        raise _Refused("has a container that contains itself")
    return done[id(value)]


def _settle_parts(value: Any, done: dict[int, Any]) -> Any:
    if isinstance(value, _Long):
        return value.read()
    if isinstance(value, _Array):
        value = value.value
    if isinstance(value, np.ndarray):
        for index, item in enumerate(value.flat if value.dtype.hasobject else ()):
            value.flat[index] = _settle(item, done)
        return value
    if isinstance(value, dict):
        return type(value)((_settle(key, done), _settle(item, done)) for key, item in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return type(value)(_settle(item, done) for item in value)
    raise _Refused(f"has an object that is not data ({type(value).__name__})")
