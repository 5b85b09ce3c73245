"""Long strings in pickles: arrays stay in the mapped file, all else comes through, misuse is refused."""

from __future__ import annotations

import pickle
import shutil
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_pickles import ARRAY, DTYPE, PYTHON_2, load

from mugkit.data import disk
from mugkit.data.pickles import load_pickle
from mugkit.errors import UserError

RNG = np.random.default_rng(0)
FLOATS = RNG.standard_normal((9, 10))
MAPPED: dict[str, np.ndarray] = {  # each of more than the 256 bytes that the tests call large
    "float64": FLOATS,
    "float32": FLOATS.astype(np.float32),
    "big-endian": FLOATS.astype(">f4"),
    "fortran": np.asfortranarray(FLOATS),
    "three axes": RNG.standard_normal((4, 5, 6)),
    "integers": RNG.integers(-5, 5, 70),
    "booleans": RNG.random(300) < 0.5,
    "letters": np.array(["one", "ü", "€" * 9, "four"] * 20),
    "strings": np.array([b"one", b"\xff"] * 60),
}
LONG: dict[str, Any] = MAPPED | {
    "objects": np.array(["x" * 400, 5, b"y" * 400, None], dtype=object),
    "bytes": bytes(range(256)) * 2,
    "byte array": bytearray(range(256)) * 2,
    "text": "lång € text 😀" * 40,
    "a set": {"x" * 400, b"y" * 400},
    "keys": {"k" * 300: b"k" * 300},
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", LONG)
def test_long_data_comes_through_unchanged(kind: str, protocol: int, tmp_path: Path) -> None:
    expected = LONG[kind]
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


def test_arrays_start_anywhere_in_the_file(tmp_path: Path) -> None:
    for shift in range(8):
        found = load(pickle.dumps(["x" * shift, FLOATS], 4), tmp_path, 256)[1]
        np.testing.assert_array_equal(found[2:5] * 2, FLOATS[2:5] * 2)


def test_long_shared_parts_stay_shared(tmp_path: Path) -> None:
    text = "x" * 400
    found = load(pickle.dumps([text] * 50 + [FLOATS] * 2), tmp_path, 256)
    assert {id(part) for part in found[:50]} == {id(found[0])}
    assert found[50] is found[51]


def test_long_python_2_strings_are_mapped_or_latin_1(tmp_path: Path) -> None:
    old = PYTHON_2.replace(b"U\x08" + struct.pack("<2f", 1.5, -2.0), b"T\x08\0\0\0" + struct.pack("<2f", 1.5, -2.0))
    old = old.replace(b"U\x04caf\xe9s.", b"T\x04\0\0\0caf\xe9s.")
    found = load(old, tmp_path, 4)
    np.testing.assert_array_equal(found["array"], np.array([1.5, -2.0], dtype=np.float32))
    assert not found["array"].flags.owndata
    assert found["text"] == "café"


@pytest.mark.parametrize("block", [1, 7, 100, 10**6])
def test_protocol_2_is_decoded_across_the_borders_of_blocks(
    block: int, tmp_path: Path, mugkit_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "BLOCK_BYTES", block)
    array = np.arange(512).astype(np.uint8)  # every letter of latin-1, of one and of two bytes in UTF-8
    np.testing.assert_array_equal(load(pickle.dumps(array, 2), tmp_path, 256), array)
    assert list(mugkit_home.iterdir()) == []


def test_protocol_2_on_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 0))
    with pytest.raises(UserError, match="too full"):
        load(pickle.dumps(FLOATS, 2), tmp_path, 256)


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


# --- hostile files ---


def long(content: bytes) -> bytes:
    """BINBYTES of 300 bytes."""
    return b"B" + struct.pack("<I", 300) + content.ljust(300, b"\0")


def long_text(content: str) -> bytes:
    return b"X" + struct.pack("<I", 300) + content.ljust(300).encode()


EIGHT = b"cnumpy\ndtype\n(X\x02\x00\x00\x00u1I0\nI1\ntR"
MISUSED: dict[str, bytes] = {
    "one byte beyond the file": b"\x80\x04\x8e" + struct.pack("<Q", 301) + b"x" * 299 + b".",
    "the whole address space": b"\x80\x04\x8e" + b"\xff" * 8 + b"x" * 300 + b".",
    "text beyond the file": b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b"x" * 300 + b".",
    "a byte array beyond the file": b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b"x" * 300 + b".",
    "a string of negative length": b"T" + struct.pack("<i", -5) + b"x" * 300 + b".",
    "a shape larger than the content": ARRAY + b"(I1\n(I301\nt" + EIGHT + b"I00\n" + long(b"") + b"tb.",
    "a shape smaller than the content": ARRAY + b"(I1\n(I299\nt" + EIGHT + b"I00\n" + long(b"") + b"tb.",
    "a negative shape of the right product": ARRAY + b"(I1\n(I-3\nI-100\nt" + EIGHT + b"I00\n" + long(b"") + b"tb.",
    "objects from long bytes": ARRAY + b"(I1\n(I1\nt" + DTYPE % b"O8" + b"I00\n" + long(b"") + b"tb.",
    "letters that are none": ARRAY + b"(I1\n(I75\nt" + DTYPE % b"U1" + b"I00\n" + long(b"\xff" * 300) + b"tb.",
    "text as the content of an array": ARRAY + b"(I1\n(I300\nt" + EIGHT + b"I00\n" + long_text("") + b"tb.",
    "the type of an array": b"cnumpy\ndtype\n(" + long_text("f8") + b"I0\nI1\ntR.",
    "the byte order of a type": EIGHT + b"(I3\n" + long_text("<") + b"NNNI-1\nI-1\nI0\ntb.",
    "an encoding": b"c_codecs\nencode\n(X\1\0\0\0a" + long_text("latin1") + b"tR.",
    "bytes that are encoded": b"c_codecs\nencode\n(" + long(b"a") + b"X\6\0\0\0latin1tR.",
    "text beyond latin-1": b"c_codecs\nencode\n(X\x2c\1\0\0" + "€".encode() * 100 + b"X\6\0\0\0latin1tR.",
    "text that is no UTF-8": b"X" + struct.pack("<I", 300) + b"\xff" * 300 + b".",
    "encoded text that is cut off": b"c_codecs\nencode\n(X\x2d\1\0\0" + b"a" * 300 + b"\xc3X\6\0\0\0latin1tR.",
    "a name": b"\x80\x04" + long_text("posix") + long_text("system") + b"\x93.",
    "a function": long(b"") + b"(tR.",
    "a list": long(b"") + b"(I1\nI2\ne.",
    "a dict": long(b"") + b"I1\nI2\ns.",
    "something with a state": long(b"") + b"}b.",
    "a number": b"cbuiltins\ncomplex\n(" + long_text("1") + b"tR.",
}  # fmt: skip


@pytest.mark.parametrize("trick", MISUSED)
def test_long_strings_are_refused_as(trick: str, tmp_path: Path, mugkit_home: Path) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(UserError):
            load(MISUSED[trick], tmp_path, 256)
        assert tracemalloc.get_traced_memory()[1] < 5e6
    finally:
        tracemalloc.stop()
    assert list(mugkit_home.iterdir()) == []


def test_decoding_one_text_again_and_again_is_refused(tmp_path: Path, mugkit_home: Path) -> None:
    text = b"X" + struct.pack("<I", 10**6) + b"x" * 10**6
    encode = b"c_codecs\nencode\nq\x01" + text + b"q\x00" + b"X\6\0\0\0latin1q\x0200"
    with pytest.raises(UserError, match="too much memory"):
        load(encode + b"(" + b"h\x01h\x00h\x02\x86R" * 100 + b"t.", tmp_path, 2**18)
    assert list(mugkit_home.iterdir()) == []
