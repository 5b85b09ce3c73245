"""The pickle reader: plain data comes through unchanged, and whatever else a file says is not run."""

from __future__ import annotations

import copyreg
import os
import pickle
import struct
import tracemalloc
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mugkit.data import pickles
from mugkit.data.pickles import load_pickle
from mugkit.errors import UserError

PLAIN: dict[str, Any] = {
    "floats": np.arange(6.0).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
    "text array": np.array(["ab", "ü"]),
    "bytes array": np.array([b"q", b"rs"]),
    "booleans": np.array([True, False]),
    "empty": np.zeros((0, 3), dtype=np.float32),
    "zero-dimensional": np.array(3.0),
    "scalar": np.float32(2.5),
    "numpy text": np.str_("hey"),
    "ordered": OrderedDict(b=1, a=2),
    "set": {1, 2},
    "frozen set": frozenset([3]),
    "bytes": b"x\xffz",
    "no bytes": b"",
    "byte array": bytearray(b"12"),
    "complex": 1j,
    "large": 10**100,
    "nested": [None, True, -1, 1.5, "text", (1, (2, [3]))],
}


def load(content: bytes, folder: Path, large: int = pickles.LARGE) -> Any:
    (path := folder / "some.pkl").write_bytes(content)
    return load_pickle(path, large)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", PLAIN)
def test_plain_data_comes_through_unchanged(kind: str, protocol: int, tmp_path: Path) -> None:
    expected = PLAIN[kind]
    found = load(pickle.dumps(expected, protocol), tmp_path)
    assert type(found) is type(expected)
    if isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    else:
        assert found == expected


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_object_arrays_hold_plain_data(protocol: int, tmp_path: Path) -> None:
    array = np.empty((2, 2), dtype=object)
    array[0, 0], array[0, 1], array[1, 0], array[1, 1] = "word", [1, 2, 3], np.arange(2.0), None
    found = load(pickle.dumps(array, protocol), tmp_path)
    assert found.shape == (2, 2)
    assert (found[0, 0], found[0, 1], found[1, 1]) == ("word", [1, 2, 3], None)
    np.testing.assert_array_equal(found[1, 0], [0.0, 1.0])


def test_shared_parts_stay_shared(tmp_path: Path) -> None:
    array = np.arange(3)
    found = load(pickle.dumps([array, array, [array]]), tmp_path)
    assert found[0] is found[1] is found[2][0]


def test_old_numpy_names_are_known(tmp_path: Path) -> None:
    content = pickle.dumps(np.arange(3.0), 2)
    for name in (b"numpy.core.multiarray", b"numpy._core.multiarray"):
        old = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray").replace(
            b"numpy.core.multiarray", name
        )
        assert name in old
        np.testing.assert_array_equal(load(old, tmp_path), [0.0, 1.0, 2.0])


# numpy.array([1.5, -2], dtype="<f4") and the byte string "caf\xe9" as Python 2 wrote them: byte strings, no unicode.
PYTHON_2 = (
    b"\x80\x02}U\x05arraycnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    b"\x89U\x08" + struct.pack("<2f", 1.5, -2.0) + b"tbsU\x04textU\x04caf\xe9s."
)


def test_python_2_pickles_are_read_as_latin_1(tmp_path: Path) -> None:
    found = load(PYTHON_2, tmp_path)
    np.testing.assert_array_equal(found["array"], np.array([1.5, -2.0], dtype=np.float32))
    assert found["text"] == "café"


# --- hostile files --------------------------------------------------------------------------------


class Calls:
    """Pickles as a call of any function."""

    def __init__(self, function: Callable, *arguments: Any, state: Any = None) -> None:
        self.parts = (function, arguments, state) if state is not None else (function, arguments)

    def __reduce__(self) -> tuple:
        return self.parts


def stack_global(module: str, name: str, *arguments: str) -> bytes:
    """A protocol 4 pickle that calls `module.name` (dots allowed) with strings."""

    def text(value: str) -> bytes:
        return b"\x8c" + bytes([len(value.encode())]) + value.encode()

    packed = b"(" + b"".join(map(text, arguments)) + b"t"
    return b"\x80\x04" + text(module) + text(name) + b"\x93" + packed + b"R."


def hostile(canary: Path) -> dict[str, bytes]:
    """Pickles that would create the file `canary`, by various roads."""
    touch = f"touch {canary}"
    code = f"open({str(canary)!r}, 'w').close()"
    return {
        "posix.system": pickle.dumps(Calls(os.system, touch)),
        "posix.system, protocol 0": pickle.dumps(Calls(os.system, touch), 0),
        "builtins.eval": pickle.dumps(Calls(eval, code)),
        "builtins.exec": pickle.dumps(Calls(exec, code)),
        "__builtin__.eval": b"c__builtin__\neval\n(S" + repr(code).encode() + b"\ntR.",
        "io.open": pickle.dumps(Calls(open, str(canary), "w")),
        "builtins.getattr": stack_global("builtins", "getattr", "a", "b"),
        "subprocess.getoutput": stack_global("subprocess", "getoutput", touch),
        "numpy.load": pickle.dumps(Calls(np.load, str(canary))),
        "numpy.save": pickle.dumps(Calls(np.save, str(canary), 1)),
        "numpy.f2py": stack_global("numpy.f2py", "compile", code),
        "a dotted name": stack_global("numpy", "f2py.os.system", touch),
        "a dotted name in core": stack_global("numpy.core.multiarray", "os.system", touch),
        "a dotted name after an allowed one": stack_global("builtins", "set.__init__.__globals__", touch),
        "nested in data": pickle.dumps({"train": [1, (Calls(os.system, touch),)]}),
        "in an object array": pickle.dumps(np.array([Calls(os.system, touch), 1], dtype=object)),
        "in an array's state": pickle.dumps(
            Calls(np.zeros(1).__reduce__()[0], np.ndarray, (0,), Calls(os.system, touch))
        ),
        "in an ordered dict": pickle.dumps(OrderedDict(a=Calls(os.system, touch))),
        "INST": b"(S" + repr(touch).encode() + b"\niposix\nsystem\n.",
        "OBJ": b"(cposix\nsystem\nS" + repr(touch).encode() + b"\no.",
        "NEWOBJ": b"\x80\x02cposix\nsystem\n(S" + repr(touch).encode() + b"\nt\x81.",
        "a persistent id": b"P" + touch.encode() + b"\n.",
    }


@pytest.mark.parametrize("road", hostile(Path("x")))
def test_hostile_pickles_are_refused_and_not_run(road: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    with pytest.raises(UserError) as caught:
        load(hostile(canary)[road], tmp_path)
    assert not canary.exists()
    assert "nothing was executed" in caught.value.problem
    assert caught.value.file == tmp_path / "some.pkl"


def test_the_canary_would_be_created_by_the_usual_reader(tmp_path: Path) -> None:
    """What the tests above rely on: the same bytes do harm when they are read carelessly."""
    canary = tmp_path / "canary"
    pickle.loads(hostile(canary)["posix.system"])
    assert canary.exists()


def test_the_refusal_names_what_was_called(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'subprocess\.getoutput'"):
        load(stack_global("subprocess", "getoutput", "ls"), tmp_path)


def test_extension_codes_are_refused_even_if_registered(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    copyreg.add_extension("posix", "system", 0x70)
    try:
        content = pickle.dumps(Calls(os.system, f"touch {canary}"), 2)
        assert b"posix" not in content
        with pytest.raises(UserError, match="never needs"):
            load(content, tmp_path)
    finally:
        copyreg.remove_extension("posix", "system", 0x70)
    assert not canary.exists()


DTYPE = b"cnumpy\ndtype\n(X\x02\x00\x00\x00%bI0\nI1\ntR"
ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntC\x01btR"
POINTER = b"C\x08" + struct.pack("<q", 0xDEADBEEF)
FORGED: dict[str, bytes] = {
    # Bytes that would be followed as pointers if numpy took them for objects.
    "objects from bytes": ARRAY + b"(I1\n(I1\nt" + DTYPE % b"O8" + b"I00\n" + POINTER + b"tb.",
    "objects in a buffer": b"cnumpy.core.numeric\n_frombuffer\n(" + POINTER + DTYPE % b"O8" + b"(I1\ntX\1\0\0\0CtR.",
    "an object scalar": b"cnumpy.core.multiarray\nscalar\n(" + DTYPE % b"O8" + POINTER + b"tR.",
    # A dtype whose state says that its 8 bytes are a field with an object in it, and whose flags deny it.
    "records": ARRAY + b"(I1\n(I1\nt" + DTYPE % b"f8" + b"(I3\nX\1\0\0\0|N(X\1\0\0\0at}X\1\0\0\0aNsI8\nI1\nI0\ntb"
    + b"I00\n" + POINTER + b"tb.",
    "a larger shape than content": ARRAY + b"(I1\n(I1000\nt" + DTYPE % b"f8" + b"I00\n" + POINTER + b"tb.",
    "numbers as letters": ARRAY + b"(I1\n(I2\nt" + DTYPE % b"U1" + b"I00\nC\x08" + b"a\0\0\0\xff\xff\xff\x7ftb.",
    "a negative shape": ARRAY + b"(I1\n(I-1\nI-1\nt" + DTYPE % b"f8" + b"I00\n" + POINTER + b"tb.",
    "a class for an array": b"cnumpy.core.multiarray\n_reconstruct\n(cbuiltins\nset\n(I0\ntC\x01btR.",
    "attributes of an allowed function": b"cnumpy.core.multiarray\nscalar\n(N}X\x08\x00\x00\x00__code__Nstb.",
    "attributes of a set": b"cbuiltins\nset\n)R}X\x01\x00\x00\x00aI1\nsb.",
    "an array without content": ARRAY + b".",
    "an allowed function as data": b"cbuiltins\nset\n.",
    "a dtype as data": DTYPE % b"f8" + b".",
    "a list in itself": b"]q\x00h\x00a.",
}  # fmt: skip


@pytest.mark.parametrize("trick", FORGED)
def test_forged_states_are_refused(trick: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing was executed"):
        load(FORGED[trick], tmp_path)


@pytest.mark.parametrize("spec", ["V8", "M8[s]", "f4,O", "(2,)f4", "object"])
def test_unusual_dtypes_are_refused(spec: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has an array of type"):
        load(pickle.dumps(Calls(np.dtype, spec)), tmp_path)


GIB = 2**30
BOMBS: dict[str, bytes] = {
    "bytes of a number": b"cbuiltins\nbytes\n(I%d\ntR." % (4 * GIB),
    "byte array of a number": b"cbuiltins\nbytearray\n(I%d\ntR." % (4 * GIB),
    "a long byte string": b"\x80\x04\x8e" + struct.pack("<Q", 4 * GIB) + b"x.",
    "a long byte array": b"\x80\x05\x96" + struct.pack("<Q", 4 * GIB) + b"x.",
    "a long frame": b"\x80\x04\x95" + struct.pack("<Q", 4 * GIB) + b"N.",
    "an empty array of a huge shape": ARRAY + b"(I1\n(I%d\nt" % GIB + DTYPE % b"f8" + b"I00\nC\x00tb.",
    "objects of a huge shape": ARRAY + b"(I1\n(I%d\nt" % GIB + DTYPE % b"O8" + b"I00\n]tb.",
    "many copies of one string": b"B" + struct.pack("<I", 10**6) + b"x" * 10**6 + b"q\x00"
    + b"cbuiltins\nbytearray\nq\x01" + b"h\x01h\x00\x85R0" * 500 + b"(" + b"h\x01h\x00\x85R" * 500 + b"t.",
    "deep nesting": b"]" * 100_000 + b"a" * 99_999 + b".",
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_memory_bombs_are_refused_cheaply(bomb: str, tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(UserError):
            load(BOMBS[bomb], tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 150e6
    finally:
        tracemalloc.stop()


def test_a_huge_memo_index_costs_nothing(tmp_path: Path) -> None:
    """Python's C unpickler would allocate 8 bytes for each of two billion entries here."""
    tracemalloc.start()
    assert load(b"Nr\xff\xff\xff\x7f.", tmp_path) is None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6


# --- damaged files ----------------------------------------------------------------------------------

SAMPLE = pickle.dumps({"id": ["a", "b"], "audio": np.arange(4.0), "words": [("x", np.float32(1))]})


@pytest.mark.parametrize("length", range(0, len(SAMPLE), 3))
def test_truncated_files_are_refused(length: int, tmp_path: Path) -> None:
    with pytest.raises(UserError):
        load(SAMPLE[:length], tmp_path)


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"id,text\n1,a\n", b"\x00" * 20, b"PK\x03\x04"])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"empty or cut off|not a pickle"):
        load(content, tmp_path)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pkl", tmp_path):
        with pytest.raises(UserError, match="cannot be read"):
            load_pickle(path)


@settings(
    max_examples=300, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(position=st.integers(0, len(SAMPLE) - 1), value=st.integers(0, 255), large=st.sampled_from([1, 8, 2**20]))
def test_changed_bytes_give_plain_data_or_an_error(position: int, value: int, large: int, tmp_path: Path) -> None:
    content = bytearray(SAMPLE)
    content[position] = value
    try:
        found = load(bytes(content), tmp_path, large)
    except UserError:
        return
    pickles._settle(found, {})  # accepts plain data alone


class Usual(pickle.Unpickler):
    """Python's own; numpy 1.26.0 has under `numpy.core` what a newer one writes as `numpy._core`."""

    def find_class(self, module: str, name: str) -> Any:
        return super().find_class(module if hasattr(np, "_core") else module.replace("._core", ".core"), name)


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["mosi_lite_unaligned.pkl", "misa_dev.pkl"])
def test_real_files_read_as_the_usual_reader_does(name: str, shared_data: Path) -> None:
    path = shared_data / "mosi" / name
    found = load_pickle(path)
    with path.open("rb") as stream:
        np.testing.assert_equal(found, Usual(stream, encoding="latin1").load())
