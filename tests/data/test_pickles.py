"""The pickle reader: plain data comes through unchanged, large arrays stay in the file, nothing else is run."""

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
from reliability.payloads import WAYS, calls

from mugkit.data import disk, pickles
from mugkit.data.pickles import load_pickle
from mugkit.errors import UserError

PLAIN: dict[str, Any] = {
    "floats": np.arange(6.0).reshape(2, 3),
    "text array": np.array(["ab", "ü"]),
    "bytes array": np.array([b"q", b"rs"]),
    "booleans": np.array([True, False]),
    "empty": np.zeros((0, 3), dtype=np.float32),
    "zero-dimensional": np.array(3.0),
    "scalar": np.float32(2.5),
    "ordered": OrderedDict(b=1, a=2),
    "set": {1, 2},
    "frozen set": frozenset([3]),
    "bytes": b"x\xffz",
    "complex": 1j,
    "large": 10**100,
    "nested": [None, True, -1, 1.5, "text", (1, (2, [3]))],
}
RNG = np.random.default_rng(0)
FLOATS = RNG.standard_normal((9, 10))
MAPPED: dict[str, np.ndarray] = {  # each of more than the 256 bytes that the tests call long
    "float64": FLOATS,
    "big-endian": FLOATS.astype(">f4"),
    "long fortran": np.asfortranarray(FLOATS),
    "integers": RNG.integers(-5, 5, 70),
    "letters": np.array(["one", "ü", "€" * 9, "four"] * 20),
    "strings": np.array([b"one", b"\xff"] * 60),
}
LONG: dict[str, Any] = {
    "objects": np.array(["x" * 400, 5, b"y" * 400, None], dtype=object),
    "long bytes": bytes(range(256)) * 2,
    "long byte array": bytearray(range(256)) * 2,
    "text": "lång € text 😀" * 40,
    "a set": {"x" * 400, b"y" * 400},
    "keys": {"k" * 300: b"k" * 300},
}


def load(content: bytes, folder: Path, large: int = pickles.LARGE) -> Any:
    (path := folder / "some.pkl").write_bytes(content)
    return load_pickle(path, large)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", PLAIN | MAPPED | LONG)
def test_plain_data_comes_through_and_large_arrays_are_mapped(kind: str, protocol: int, tmp_path: Path) -> None:
    expected = (PLAIN | MAPPED | LONG)[kind]
    found = load(pickle.dumps([expected, 0], protocol), tmp_path, 256)[0]
    assert type(found) is type(expected)
    if not isinstance(expected, np.ndarray):
        assert found == expected
        return
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(found, expected)
    if kind in MAPPED and protocol > 0:
        assert not found.flags.owndata
        assert not found.flags.writeable


def test_shared_parts_stay_shared(tmp_path: Path) -> None:
    array, text = np.arange(3), "x" * 400
    found = load(pickle.dumps([array, array, [array], text, text, FLOATS, FLOATS]), tmp_path, 256)
    assert found[0] is found[1] is found[2][0]
    assert found[3] is found[4]
    assert found[5] is found[6]


def test_old_numpy_names_are_known(tmp_path: Path) -> None:
    content = pickle.dumps(np.arange(3.0), 2).replace(b"numpy._core.", b"numpy.core.")
    for old in (content, content.replace(b"numpy.core.", b"numpy._core.")):
        assert load(old, tmp_path).tolist() == [0.0, 1.0, 2.0]


# numpy.array([1.5, -2], dtype="<f4") and the byte string "caf\xe9" as Python 2 wrote them: byte strings, no unicode.
PYTHON_2 = (
    b"\x80\x02}U\x05arraycnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    b"\x89U\x08" + struct.pack("<2f", 1.5, -2.0) + b"tbsU\x04textU\x04caf\xe9s."
)


@pytest.mark.parametrize("large", [pickles.LARGE, 4])
def test_python_2_strings_are_arrays_or_latin_1(large: int, tmp_path: Path) -> None:
    old = PYTHON_2
    if large == 4:  # BINSTRING in place of SHORT_BINSTRING
        old = old.replace(b"U\x08", b"T\x08\0\0\0").replace(b"U\x04caf", b"T\x04\0\0\0caf")
    found = load(old, tmp_path, large)
    assert (found["array"].dtype, found["array"].tolist()) == (np.float32, [1.5, -2.0])
    assert found["text"] == "café"


@pytest.mark.parametrize("block", [1, 7, 100, 10**6])
def test_protocol_2_is_decoded_across_the_borders_of_blocks(
    block: int, tmp_path: Path, mugkit_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "BLOCK_BYTES", block)
    array = np.arange(512).astype(np.uint8)  # every letter of latin-1, of one and of two bytes in UTF-8
    np.testing.assert_array_equal(load(pickle.dumps(array, 2), tmp_path, 256), array)
    assert list(mugkit_home.iterdir()) == []


LARGE_ARRAY = np.ones(4_000_000)  # 32 MB
IN_ONE_FRAME = pickle.dumps(LARGE_ARRAY, 3)[2:]  # as Python 3.4 to 3.6 wrote protocol 4


@pytest.mark.parametrize("protocol", [1, 2, 3, 4, 5, "one frame"])
def test_large_arrays_take_no_memory(protocol: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "BLOCK_BYTES", 2**18)
    framed = b"\x80\x04\x95" + struct.pack("<Q", len(IN_ONE_FRAME)) + IN_ONE_FRAME
    content = framed if protocol == "one frame" else pickle.dumps(LARGE_ARRAY, protocol)
    (path := tmp_path / "large.pkl").write_bytes(content)
    del content
    tracemalloc.start()
    found = load_pickle(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6
    assert found.sum() == 4_000_000


class Calls:
    """Pickles as a call of any function."""

    def __init__(self, function: Callable, *arguments: Any) -> None:
        self.parts = (function, arguments)

    def __reduce__(self) -> tuple:
        return self.parts


def stack_global(module: str, name: str, *arguments: str) -> bytes:
    """A protocol 4 pickle that calls `module.name` (dots allowed) with strings."""

    def text(value: str) -> bytes:
        return b"\x8c" + bytes([len(value.encode())]) + value.encode()

    packed = b"(" + b"".join(map(text, arguments)) + b"t"
    return b"\x80\x04" + text(module) + text(name) + b"\x93" + packed + b"R."


def hidden(canary: Path) -> dict[str, bytes]:
    """Pickles that would create the file `canary` by roads beside a plain call."""
    touch = f"touch {canary}"
    call = Calls(os.system, touch)
    return {
        "a dotted name": stack_global("numpy", "f2py.os.system", touch),
        "a dotted name in core": stack_global("numpy.core.multiarray", "os.system", touch),
        "a dotted name after an allowed one": stack_global("builtins", "set.__init__.__globals__", touch),
        "nested in data": pickle.dumps({"train": [1, (call,)]}),
        "in an object array": pickle.dumps(np.array([call, 1], dtype=object)),
        "in an array's state": pickle.dumps(Calls(np.zeros(1).__reduce__()[0], np.ndarray, (0,), call)),
        "in an ordered dict": pickle.dumps(OrderedDict(a=call)),
        "a persistent id": b"P" + touch.encode() + b"\n.",
    }


@pytest.mark.parametrize("road", [*WAYS, *hidden(Path("x"))])
def test_hostile_pickles_are_refused_and_not_run(road: str, tmp_path: Path) -> None:
    """That a careless reader would run them, the tests of reliability show."""
    canary = tmp_path / "canary"
    made = [WAYS[road](*call) + b"." for call in calls(canary)] if road in WAYS else [hidden(canary)[road]]
    for content in made:
        with pytest.raises(UserError) as caught:
            load(content, tmp_path)
        assert caught.value.file == tmp_path / "some.pkl"
    assert not canary.exists()


def test_extension_codes_are_refused_even_if_registered(tmp_path: Path) -> None:
    copyreg.add_extension("posix", "system", 0x70)
    try:
        content = pickle.dumps(Calls(os.system, "touch canary"), 2)
        assert b"posix" not in content
        with pytest.raises(UserError, match="never needs"):
            load(content, tmp_path)
    finally:
        copyreg.remove_extension("posix", "system", 0x70)


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
    "numbers as letters": ARRAY + b"(I1\n(I2\nt" + DTYPE % b"U1" + b"I00\nC\x08" + b"a\0\0\0\xff\xff\xff\x7ftb.",
    "a negative shape": ARRAY + b"(I1\n(I-1\nI-1\nt" + DTYPE % b"f8" + b"I00\n" + POINTER + b"tb.",
    "a class for an array": b"cnumpy.core.multiarray\n_reconstruct\n(cbuiltins\nset\n(I0\ntC\x01btR.",
    "attributes of an allowed function": b"cnumpy.core.multiarray\nscalar\n(N}X\x08\x00\x00\x00__code__Nstb.",
    "attributes of a set": b"cbuiltins\nset\n)R}X\x01\x00\x00\x00aI1\nsb.",
    "an array without content": ARRAY + b".",
    "an allowed function as data": b"cbuiltins\nset\n.",
    "a dtype as data": DTYPE % b"f8" + b".",
    "a list in itself": b"]q\x00h\x00a.",
    **{f"dtype {spec}": pickle.dumps(Calls(np.dtype, spec)) for spec in ("V8", "M8[s]", "f4,O", "object")},
}  # fmt: skip


@pytest.mark.parametrize("trick", FORGED)
def test_forged_states_are_refused(trick: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing was executed"):
        load(FORGED[trick], tmp_path)


def long(content: bytes) -> bytes:
    """BINBYTES of 300 bytes."""
    return b"B" + struct.pack("<I", 300) + content.ljust(300, b"\0")


def long_text(content: str) -> bytes:
    return b"X" + struct.pack("<I", 300) + content.ljust(300).encode()


EIGHT = b"cnumpy\ndtype\n(X\x02\x00\x00\x00u1I0\nI1\ntR"
MISUSED: dict[str, bytes] = {
    "one byte beyond the file": b"\x80\x04\x8e" + struct.pack("<Q", 301) + b"x" * 299 + b".",
    "a byte array beyond the file": b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b"x" * 300 + b".",
    "a string of negative length": b"T" + struct.pack("<i", -5) + b"x" * 300 + b".",
    "a shape larger than the content": ARRAY + b"(I1\n(I301\nt" + EIGHT + b"I00\n" + long(b"") + b"tb.",
    "a negative shape of the right product": ARRAY + b"(I1\n(I-3\nI-100\nt" + EIGHT + b"I00\n" + long(b"") + b"tb.",
    "text as the content of an array": ARRAY + b"(I1\n(I300\nt" + EIGHT + b"I00\n" + long_text("") + b"tb.",
    "the type of an array": b"cnumpy\ndtype\n(" + long_text("f8") + b"I0\nI1\ntR.",
    "an encoding": b"c_codecs\nencode\n(X\1\0\0\0a" + long_text("latin1") + b"tR.",
    "bytes that are encoded": b"c_codecs\nencode\n(" + long(b"a") + b"X\6\0\0\0latin1tR.",
    "text beyond latin-1": b"c_codecs\nencode\n(X\x2c\1\0\0" + "€".encode() * 100 + b"X\6\0\0\0latin1tR.",
    "text that is no UTF-8": b"X" + struct.pack("<I", 300) + b"\xff" * 300 + b".",
    "encoded text that is cut off": b"c_codecs\nencode\n(X\x2d\1\0\0" + b"a" * 300 + b"\xc3X\6\0\0\0latin1tR.",
    "a name": b"\x80\x04" + long_text("posix") + long_text("system") + b"\x93.",
    "a function": long(b"") + b"(tR.",
}  # fmt: skip


GIB = 2**30
BOMBS: dict[str, bytes] = {
    "bytes of a number": b"cbuiltins\nbytes\n(I%d\ntR." % (4 * GIB),
    "byte array of a number": b"cbuiltins\nbytearray\n(I%d\ntR." % (4 * GIB),
    "a long frame": b"\x80\x04\x95" + struct.pack("<Q", 4 * GIB) + b"N.",
    "an empty array of a huge shape": ARRAY + b"(I1\n(I%d\nt" % GIB + DTYPE % b"f8" + b"I00\nC\x00tb.",
    "objects of a huge shape": ARRAY + b"(I1\n(I%d\nt" % GIB + DTYPE % b"O8" + b"I00\n]tb.",
    "many copies of one string": b"B" + struct.pack("<I", 10**6) + b"x" * 10**6 + b"q\x00"
    + b"cbuiltins\nbytearray\nq\x01" + b"h\x01h\x00\x85R0" * 500 + b"(" + b"h\x01h\x00\x85R" * 500 + b"t.",
    "deep nesting": b"]" * 100_000 + b"a" * 99_999 + b".",
    # Python's C unpickler would allocate 8 bytes for each of two billion entries here.
    "a huge memo index": b"Nr\xff\xff\xff\x7fcposix\nsystem\n.",
    "one text decoded again and again": b"c_codecs\nencode\nq\x01X" + struct.pack("<I", 10**6) + b"x" * 10**6
    + b"q\x00X\6\0\0\0latin1q\x0200(" + b"h\x01h\x00h\x02\x86R" * 100 + b"t.",
}  # fmt: skip


@pytest.mark.parametrize("trick", BOMBS | MISUSED)
def test_bombs_and_misused_long_strings_are_refused_cheaply(trick: str, tmp_path: Path, mugkit_home: Path) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(UserError):
            load((BOMBS | MISUSED)[trick], tmp_path, 256)
        assert tracemalloc.get_traced_memory()[1] < (150e6 if trick in BOMBS else 5e6)
    finally:
        tracemalloc.stop()
    assert list(mugkit_home.iterdir()) == []


SAMPLE = pickle.dumps({"id": ["a", "b"], "audio": np.arange(4.0), "words": [("x", np.float32(1))]})


def test_missing_and_truncated_files_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pkl", tmp_path):
        with pytest.raises(UserError, match="cannot be read"):
            load_pickle(path)
    for length in range(0, len(SAMPLE), 3):
        with pytest.raises(UserError):
            load(SAMPLE[:length], tmp_path)


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
