"""Dataclasses as plain JSON types, and back with every name and type checked."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import Any

import numpy as np


def to_plain(value: Any) -> Any:
    """Turn a value into JSON types: numbers rounded to 1e-4, enums and mappings plain.

    Args:
        value: A dataclass, enum, mapping, sequence or plain value.
    """
    if isinstance(value, float | np.floating):
        return round(float(value), 4)
    if isinstance(value, StrEnum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(v) for v in value]
    return value


def from_plain(cls: type[Any], data: Mapping[str, Any]) -> Any:
    """Build dataclass ``cls`` from JSON types, checking names and types.

    Args:
        cls: A dataclass whose fields are plain values, enums, dataclasses,
            tuples, string mappings, or one of these or None.
        data: Field name to value.

    Raises:
        ValueError: a missing, unknown or ill-typed field.
    """
    hints = typing.get_type_hints(cls)
    known = {f.name for f in fields(cls)}
    if unknown := sorted(set(data) - known):
        raise ValueError(f"{cls.__name__}: unknown field {unknown[0]!r}")
    try:
        return cls(**{name: _typed(hints[name], value) for name, value in data.items()})
    except TypeError as err:
        raise ValueError(f"{cls.__name__}: {err}") from None


def _typed(hint: Any, value: Any) -> Any:
    """Convert a JSON value to the type of a field."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        (inner,) = [a for a in args if a is not type(None)]
        return _typed(inner, value)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ValueError(f"expected a list, got {value!r}")
        return tuple(_typed(args[0], v) for v in value)
    if origin is not None:  # Mapping[str, X]
        if not isinstance(value, Mapping):
            raise ValueError(f"expected an object, got {value!r}")
        return {str(k): _typed(args[1], v) for k, v in value.items()}
    if is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise ValueError(f"expected an object, got {value!r}")
        return from_plain(typing.cast("type[Any]", hint), value)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint(value)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise ValueError(f"expected {hint.__name__}, got {value!r}")
    return value
