"""Encodes values as JSON and decodes them; nothing in them can execute.

Supported are numbers, text, lists, tuples, dictionaries, numpy arrays and torch tensors. There is no pickle: data from
a student's process must not execute code in the process that decides on points. Dictionaries travel as pairs, so keys
keep their types. torch takes seconds to import, so only a process that handles tensors imports it.
"""

import base64
import math
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

DEEPEST = 32  # levels of nesting
MOST_KEYS = 1000  # of a dictionary: keys with equal hashes are all compared with each other
MOST_NUMBERS = 10_000_000  # of an array
_PLAIN = (bool, int, float, str, type(None))


class NotTransferable(TypeError):
    """A value or an encoded form that this module does not support."""


def encode(value: Any, tensors: "list[torch.Tensor] | None" = None) -> Any:
    """`value` in a form that JSON can hold; adds its tensors to `tensors`, in the order in which `decode` meets them.

    Raises:
        NotTransferable: if a value has another type, such as a function or a module.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, list | tuple):
        return {"kind": type(value).__mro__[-2].__name__, "items": [encode(item, tensors) for item in value]}
    if isinstance(value, dict):
        return {"kind": "dict", "items": [[encode(k, tensors), encode(v, tensors)] for k, v in value.items()]}
    if _is_tensor(value):
        if tensors is not None:
            tensors.append(value)
        return _array(value.detach().cpu().numpy()) | {"kind": "tensor", "grad": value.requires_grad}
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biuf":
        return _array(np.asarray(value)) | {"kind": "array" if isinstance(value, np.ndarray) else "scalar"}
    raise NotTransferable(f"a {type(value).__name__} is no number, text, array, tensor, or collection of these")


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _array(values: np.ndarray) -> dict[str, Any]:
    data = base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()
    return {"dtype": values.dtype.str, "shape": list(values.shape), "data": data}


def decode(form: Any, tensor: "Callable[[torch.Tensor, dict[str, Any]], Any] | None" = None, depth: int = 0) -> Any:
    """The value of a form that `encode` made; sizes are checked before anything is built.

    Args:
        tensor: maps a tensor and its form to the result; default: a leaf that requires a gradient if the form says so.

    Raises:
        NotTransferable: if `encode` never makes such a form, or it is nested too deeply or too large.
    """
    if type(form) in _PLAIN:
        return form
    if depth > DEEPEST:
        raise NotTransferable(f"nested more than {DEEPEST} deep")
    try:
        return _decode(form, tensor or (lambda values, form: values.requires_grad_(bool(form["grad"]))), depth + 1)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise NotTransferable(f"malformed value: {error}") from None


def _decode(form: dict[str, Any], tensor: "Callable[[torch.Tensor, dict[str, Any]], Any]", depth: int) -> Any:
    kind = form["kind"]
    if kind in ("list", "tuple"):
        items = [decode(item, tensor, depth) for item in form["items"]]
        return items if kind == "list" else tuple(items)
    if kind == "dict":
        if len(form["items"]) > MOST_KEYS or not all(type(key) in _PLAIN for key, _ in form["items"]):
            raise NotTransferable(f"more than {MOST_KEYS} keys, or keys other than numbers and text")
        return {key: decode(item, tensor, depth) for key, item in form["items"]}
    values = _values(form)
    if kind == "tensor":
        import torch

        return tensor(torch.from_numpy(values), form)
    return values if kind == "array" else values[()]


def _values(form: dict[str, Any]) -> np.ndarray:
    dtype = np.dtype(str(form["dtype"]))
    if dtype.kind not in "biuf":
        raise NotTransferable(f"an array of {dtype}")
    if math.prod(max(int(size), 1) for size in form["shape"]) > MOST_NUMBERS:
        raise NotTransferable(f"an array of more than {MOST_NUMBERS} numbers")
    data = base64.b64decode(form["data"])
    return (np.frombuffer(bytearray(data), dtype) if data else np.empty(0, dtype)).reshape(form["shape"])


def copy_into(old: Any, new: Any) -> None:
    """Copies the worker's version of a call's arguments into the caller's, as a call in this process would leave them.

    Arguments whose type, shape or number of items differs stay unchanged.
    """
    if isinstance(old, np.ndarray) and isinstance(new, np.ndarray) and old.shape == new.shape and old.flags.writeable:
        old[...] = new.astype(old.dtype)
    elif _is_tensor(old) and _is_tensor(new) and old.shape == new.shape:
        if old.detach().numpy().tobytes() != new.detach().numpy().tobytes():  # copying the same would void its graph
            old.detach().copy_(new)
    elif isinstance(old, dict) and isinstance(new, dict):
        for key in old.keys() & new.keys():
            copy_into(old[key], new[key])
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple) and len(old) == len(new):
        for position, (before, after) in enumerate(zip(old, new, strict=True)):
            copy_into(before, after)
            if isinstance(old, list) and type(after) in _PLAIN:
                old[position] = after
