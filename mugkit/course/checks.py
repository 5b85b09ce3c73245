"""Functions for the tests inside assignments: comparisons whose failures end with a hint.

    expect_close(mae(prediction, truth), 0.5, hint="absolute values, not squares")

A failure states the value found, the value expected, and the usual mistake. Nothing here gives an answer away.
"""

from types import CodeType
from typing import Any

import numpy as np


def expect(condition: Any, hint: str) -> None:
    """Raises AssertionError with the hint unless `condition` holds."""
    if not condition:
        raise AssertionError(f"Hint: {hint}")


def expect_close(found: Any, expected: Any, hint: str, tolerance: float = 1e-5) -> None:
    """Compares numbers, arrays or tensors; NaN equals NaN, types may differ, shapes may not.

    Args:
        tolerance: absolute tolerance, and also the tolerance relative to the expected value.

    Raises:
        AssertionError: if they differ; the message holds both values (or shapes) and the hint.
    """
    values, wanted = _array(found, hint), _array(expected, hint)
    if values.shape != wanted.shape:
        raise AssertionError(f"found shape {values.shape}, expected {wanted.shape}\nHint: {hint}")
    if not np.allclose(values, wanted, rtol=tolerance, atol=tolerance, equal_nan=True):
        raise AssertionError(f"found {_short(values)}, expected {_short(wanted)}\nHint: {hint}")


def names_used(function: Any) -> set[str]:
    """All names in the code of a function and of the functions that it calls from its own module."""
    if hasattr(function, "names_used"):  # a `Remote`: the student's function is in the worker
        return set(function.names_used)
    found: set[str] = set()
    pending = [getattr(function, "__code__", None)]
    while pending:
        code = pending.pop()
        if code is None:
            continue
        new = set(code.co_names) - found
        found |= new
        pending += [part for part in code.co_consts if isinstance(part, CodeType)]
        pending += [getattr(function.__globals__.get(name), "__code__", None) for name in new]
    return found


def _array(value: Any, hint: str) -> np.ndarray:
    try:
        if isinstance(value, list | tuple):
            return np.stack([_array(item, hint) for item in value]) if len(value) else np.empty(0)
        if hasattr(value, "detach"):  # a tensor, which may require a gradient
            value = value.detach().numpy()
        if value is None:
            raise TypeError("numpy would take it for NaN")
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        what = "None (is a `return` missing?)" if value is None else type(value).__name__
        raise AssertionError(f"found {what}, expected numbers of equal shapes\nHint: {hint}") from None


def _short(values: np.ndarray) -> str:
    return np.array2string(values, precision=4, threshold=8, edgeitems=3)
