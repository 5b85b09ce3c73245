"""Values as JSON and back: what answers are made of, and nothing that could run.

Numbers, text, lists, tuples, dictionaries, numpy arrays and torch tensors. No pickle: what a student's process sends
must not execute anything where points are decided. Dictionaries travel as pairs, so that keys keep their types.
torch takes seconds to import, so only a process that meets a tensor does.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

_PLAIN = (bool, int, float, str, type(None))


class NotTransferable(TypeError):
    """A value that is none of the kinds above."""


def encode(value: Any, tensor: Callable[[torch.Tensor], Any] | None = None) -> Any:
    """A JSON-able form of `value`.

    Args:
        tensor: what to add to a tensor's form, for whoever needs to find it again.

    Raises:
        NotTransferable: a value of another kind, such as a function or a module.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, list | tuple):
        return {"kind": type(value).__mro__[-2].__name__, "items": [encode(item, tensor) for item in value]}
    if isinstance(value, dict):
        return {"kind": "dict", "items": [[encode(k, tensor), encode(v, tensor)] for k, v in value.items()]}
    if _is_tensor(value):
        form = _array(value.detach().cpu().numpy()) | {"kind": "tensor", "grad": value.requires_grad}
        return form | ({"tag": tensor(value)} if tensor else {})
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biuf":
        return _array(np.asarray(value)) | {"kind": "array" if isinstance(value, np.ndarray) else "scalar"}
    raise NotTransferable(f"a {type(value).__name__} is no number, text, array, tensor, or collection of these")


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _array(values: np.ndarray) -> dict[str, Any]:
    data = base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()
    return {"dtype": values.dtype.str, "shape": list(values.shape), "data": data}


def decode(form: Any, tensor: Callable[[torch.Tensor, dict[str, Any]], torch.Tensor] | None = None) -> Any:
    """The value of a form that `encode` made.

    Args:
        tensor: what becomes of a tensor, given its form; by default a leaf that requires what the form says.

    Raises:
        NotTransferable: a form that `encode` never makes.
    """
    if type(form) in _PLAIN:
        return form
    try:
        return _decode(form, tensor or _leaf)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotTransferable(f"malformed value: {error}") from None


def _decode(form: dict[str, Any], tensor: Callable[[torch.Tensor, dict[str, Any]], torch.Tensor]) -> Any:
    kind = form["kind"]
    if kind in ("list", "tuple"):
        items = [decode(item, tensor) for item in form["items"]]
        return items if kind == "list" else tuple(items)
    if kind == "dict":
        return {decode(k, tensor): decode(v, tensor) for k, v in form["items"]}
    dtype = np.dtype(form["dtype"])
    if dtype.kind not in "biuf":
        raise NotTransferable(f"an array of {dtype}")
    data = base64.b64decode(form["data"])
    values = np.frombuffer(bytearray(data), dtype) if data else np.empty(0, dtype)
    values = values.reshape(form["shape"])
    if kind == "tensor":
        import torch

        return tensor(torch.from_numpy(values), form)
    return values if kind == "array" else values[()]


def _leaf(values: torch.Tensor, form: dict[str, Any]) -> torch.Tensor:
    return values.requires_grad_(bool(form["grad"]))
