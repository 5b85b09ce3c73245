"""Overrides of a configuration: `{"beta": 0.1}` changes this field in its section, after checking the value."""

import dataclasses
import functools
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from mugkit.errors import UserError, unknown_name

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Configuration = TypeVar("Configuration", bound="DataclassInstance")

# Ranges of fields that differ from the default (whole numbers from 1, other numbers from 0).
_RANGES: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys(("pretrain_epochs", "extra_ratio", "patience"), (0, math.inf)),
    **dict.fromkeys(("temperature", "clip_norm"), (1e-6, math.inf)),
    **dict.fromkeys(("dropout", "lambda_init", "halfway"), (0.0, 1.0)),
}


@functools.cache  # resolving annotations takes longer than the rest of an override
def _fields(configuration: type) -> dict[str, tuple[str, Any]]:
    """Field name → the name of its section, and its type."""
    sections = get_type_hints(configuration)
    return {name: (place, kind) for place, of in sections.items() for name, kind in get_type_hints(of).items()}


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value has a field's type; an int passes for a float, a bool never passes for a number."""
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_args(kind):
        return any(_fits(value, option) for option in get_args(kind))
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _check(name: str, value: Any, kind: Any) -> None:
    """Raises a UserError for a wrong type, and for a number that is not finite or is outside the field's range."""
    if not _fits(value, kind):
        wanted = " or ".join(map(repr, get_args(kind))) if get_args(kind) else kind.__name__
        raise UserError(f"{value!r} is not {wanted}", field=name, fix=f"give {name} a value of that type")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    low, high = _RANGES.get(name, (1 if isinstance(value, int) else 0.0, math.inf))
    if not (math.isfinite(value) and low <= value <= high):
        top = "" if high == math.inf else f" and at most {high}"
        raise UserError(f"{value} is not possible", field=name, fix=f"give a number of at least {low}{top}")


def override(base: Configuration, changes: Mapping[str, Any]) -> Configuration:
    """A copy of `base` with some fields changed; `base` consists of sections, and field names are unique over all.

    Raises:
        UserError: if a field is unknown (names the nearest valid name), or a value has the wrong type or range.
    """
    fields = _fields(type(base))
    for name, value in changes.items():
        if name not in fields:
            raise unknown_name("configuration field", name, fields)
        place, kind = fields[name]
        if type(value) is int and float in (kind, *get_args(kind)):
            value = float(value)  # 1 and 1.0 are the same configuration, so they must be the same run
        _check(name, value, kind)
        base = dataclasses.replace(base, **{place: dataclasses.replace(getattr(base, place), **{name: value})})
    return base


def parse_overrides(pairs: list[str]) -> dict[str, Any]:
    """`["beta=0.1", "gate=sample"]` as typed values: parsed as JSON if possible, else text.

    Raises:
        UserError: if a pair has no `=`, or a name is given twice.
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not sign:
            raise UserError(f"'{pair}' is not NAME=VALUE", field="--set", fix="write for example --set beta=0.1")
        if name in values:
            raise UserError(f"{name} is given twice", field="--set", fix="keep the value that counts")
        try:
            values[name] = json.loads(text)
        except json.JSONDecodeError:
            values[name] = text
    return values
