"""What travels between judge and worker: the same values, and nothing that is not a value."""

import json
import time
from typing import Any

import numpy as np
import pytest
import torch

from mugkit.course.codec import NotTransferable, decode, encode


def travelled(value: Any) -> Any:
    return decode(json.loads(json.dumps(encode(value))))


@pytest.mark.parametrize(
    "value", [None, True, 3, 2.5, "text", [1, [2.0, "x"]], (1, 2), {"a": [1], 2: (3,)}, [], {}, float("inf")]
)
def test_codec_plain_values_come_back_with_their_types(value: Any) -> None:
    found = travelled(value)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_])
@pytest.mark.parametrize("shape", [(), (2, 0), (2, 3)])
def test_codec_arrays_and_tensors_come_back_bit_by_bit(dtype: type, shape: tuple[int, ...]) -> None:
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    found = travelled(values)
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values)
    assert torch.equal(travelled(torch.from_numpy(values)), torch.from_numpy(values))


@pytest.mark.parametrize("grad", [True, False])
def test_codec_tensor_keeps_whether_it_asks_for_a_gradient(grad: bool) -> None:
    assert travelled(torch.ones(2, requires_grad=grad)).requires_grad is grad


class Number(float):
    """A number that could answer anything to a comparison."""


@pytest.mark.parametrize("value", [print, object(), {1, 2}, Number(1.0), np.array(["x"]), np.array([object()]), 1j])
def test_codec_refuses_to_send_other_kinds(value: Any) -> None:
    with pytest.raises(NotTransferable):
        encode(value)


DEEP: Any = 1
for _ in range(400):
    DEEP = {"kind": "list", "items": [DEEP]}


@pytest.mark.parametrize("form", [
    {"kind": "code"}, {}, [1], {"kind": "list"}, {"kind": "dict", "items": [[1]]}, DEEP,
    {"kind": "array", "dtype": "|O", "shape": [1], "data": "AAAAAAAAAAA="},
    {"kind": "array", "dtype": "|O", "shape": [0], "data": ""},
    {"kind": "array", "dtype": "<f8", "shape": [9], "data": "AAAAAAAAAAA="},
    {"kind": "array", "dtype": "<f8", "shape": [2**40, 0], "data": ""},
    {"kind": "array", "dtype": "<f8", "shape": [float("inf")], "data": ""},
    {"kind": "dict", "items": [[{"kind": "tuple", "items": [1]}, 1]]},
    {"kind": "dict", "items": [[i * (2**61 - 1), 0] for i in range(60_000)]},  # keys with equal hashes
], ids=lambda form: str(form)[:60])  # fmt: skip
def test_codec_refuses_malformed_forms_and_what_takes_time_depth_or_space(form: Any) -> None:
    started = time.monotonic()
    with pytest.raises(NotTransferable):
        decode(form)
    assert time.monotonic() - started < 2
