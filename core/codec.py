"""Lossless encoding of dataclasses as JSON: the format of the journal, which a restart reads.

Decoding is driven by the type hints of the fields. Supported types: dataclasses, enums, aware datetimes, float arrays
of any shape, mappings with text keys, tuples, ``X | None`` and the plain types. Every field must be present and no
other: a record of another version is refused.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from math import isfinite, prod
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import numpy as np

from core.errors import GridlabError, shown

T = TypeVar("T")
_NOT_FINITE = ("nan", "inf", "-inf")


class CodecError(GridlabError):
    """A value has no JSON form, or the JSON does not match the expected type."""


def encode(value: object) -> object:
    """The value as dicts, lists, text, numbers, bool and None; numbers that are not finite become text.

    Raises:
        CodecError: the type has no JSON form.
    """
    match value:
        case Enum():
            return value.value
        case None | bool() | int() | str():
            return value
        case float():
            return float(value) if isfinite(value) else str(float(value))
        case datetime() if value.tzinfo is not None:
            return value.isoformat()
        case np.ndarray() if value.dtype == np.float64:
            return {"shape": list(value.shape), "values": [encode(number) for number in value.ravel().tolist()]}
        case list() | tuple():
            return [encode(item) for item in value]
        case Mapping() if all(isinstance(key, str) for key in value):
            return {key: encode(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in fields(value)}
    raise CodecError(f"{type(value).__name__}: no JSON form for {value!r}")


def decode(kind: type[T], data: object) -> T:
    """The value that :func:`encode` was given; ``kind`` is a type as in a hint, e.g. ``dict[str, NodeState]``.

    Raises:
        CodecError: the data are not of that type; the message names the place.
    """
    return cast(T, _decoded(kind, data, getattr(kind, "__name__", str(kind))))


def _decoded(hint: Any, data: object, at: str) -> object:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (UnionType, Union):
        return _optional(inner, data, at)
    if origin is np.ndarray:
        return _array(data, at)
    if origin is tuple:
        return _tuple(inner, data, at)
    if origin is not None and issubclass(origin, Mapping):
        items = _object(data, at)
        return {key: _decoded(inner[1], item, f"{at}[{key}]") for key, item in items.items()}
    if is_dataclass(hint):
        return _dataclass(cast(type, hint), data, at)
    return _plain(hint, data, at)


def _optional(inner: tuple[Any, ...], data: object, at: str) -> object:
    if data is None and NoneType in inner:
        return None
    (kind,) = (option for option in inner if option is not NoneType)
    return _decoded(kind, data, at)


def _array(data: object, at: str) -> object:
    parts = _object(data, at)
    if parts.keys() != {"shape", "values"}:
        raise _mismatch(at, data, "an array")
    shape = cast(tuple[int, ...], _decoded(tuple[int, ...], parts["shape"], f"{at}.shape"))
    values = _decoded(tuple[float, ...], parts["values"], f"{at}.values")
    array = np.array(values, dtype=np.float64)
    if min(shape, default=0) < 0 or prod(shape) != array.size:
        raise _mismatch(f"{at}.shape", str(shape), f"that of {array.size} values")
    return array.reshape(shape)


def _tuple(inner: tuple[Any, ...], data: object, at: str) -> object:
    if not isinstance(data, list):
        raise _mismatch(at, data, "a list")
    kinds = inner[:1] * len(data) if inner[1:] == (...,) else inner
    if len(kinds) != len(data):
        raise _mismatch(at, f"{len(data)} items", str(len(kinds)))
    return tuple(_decoded(kind, item, f"{at}[{k}]") for k, (kind, item) in enumerate(zip(kinds, data, strict=True)))


def _dataclass(kind: type, data: object, at: str) -> object:
    values, hints = _object(data, at), _hints(kind)
    if values.keys() != hints.keys():
        raise _mismatch(at, f"fields {sorted(values)}", f"{sorted(hints)}")
    return kind(**{name: _decoded(hints[name], value, f"{at}.{name}") for name, value in values.items()})


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _plain(kind: Any, data: object, at: str) -> object:
    if kind is float:
        return _number(data, at)
    try:
        if issubclass(kind, Enum):
            return kind(data)
        if kind is datetime and isinstance(data, str) and (time := datetime.fromisoformat(data)).tzinfo:
            return time
    except ValueError as error:
        raise _mismatch(at, data, f"a {kind.__name__}") from error
    if type(data) is not kind:
        raise _mismatch(at, data, f"a {kind.__name__}")
    return data


def _number(data: object, at: str) -> float:
    if isinstance(data, bool) or (not isinstance(data, int | float) and data not in _NOT_FINITE):
        raise _mismatch(at, data, "a number")
    try:
        return float(cast(float | str, data))
    except OverflowError as error:
        raise _mismatch(at, data, "a number that a float can hold") from error


def _object(data: object, at: str) -> dict[str, object]:
    if not isinstance(data, dict):
        raise _mismatch(at, data, "a section")
    return data


def _mismatch(at: str, data: object, allowed: str) -> CodecError:
    return CodecError(f"{at}: got {shown(data)}, allowed {allowed}")
