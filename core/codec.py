"""Lossless encoding of dataclasses as JSON: the format of the journal, which a restart reads, and of the messages
between service and planner.

Decoding is driven by the type hints of the fields: it constructs these types and executes nothing that the data name.
Supported types: dataclasses, sections of the configuration, enums, aware datetimes, float arrays of any shape, mappings
with text keys, tuples, unions and the plain types. Every field of a dataclass must be present and no other: a record of
another version is refused.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from math import isfinite, prod
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import numpy as np
from pydantic import BaseModel, ValidationError

from core.arrays import FloatArray
from core.errors import GridlabError, shown

T = TypeVar("T")
_NOT_FINITE = ("nan", "inf", "-inf")
_PACKED = np.dtype("<f8")


class CodecError(GridlabError):
    """A value has no JSON form, or the JSON does not match the expected type."""


def encode(value: object, *, packed: bool = False) -> object:
    """The value as dicts, lists, text, numbers, bool and None; numbers that are not finite become text.

    Args:
        packed: arrays as base64 of their little-endian doubles, which is faster, in place of lists of numbers.

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
            return {"shape": list(value.shape), **_numbers(value, packed)}
        case list() | tuple():
            return [encode(item, packed=packed) for item in value]
        case Mapping() if all(isinstance(key, str) for key in value):
            return {key: encode(item, packed=packed) for key, item in value.items()}
        case BaseModel():
            return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name), packed=packed) for field in fields(value)}
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
        return _option(inner, data, at)
    if origin is np.ndarray:
        return _array(data, at)
    if origin is tuple:
        return _tuple(inner, data, at)
    if origin is not None and issubclass(origin, Mapping):
        items = _object(data, at)
        return {key: _decoded(inner[1], item, f"{at}[{key}]") for key, item in items.items()}
    if is_dataclass(hint):
        return _dataclass(cast(type, hint), data, at)
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return _section(hint, data, at)
    return _plain(hint, data, at)


def _option(inner: tuple[Any, ...], data: object, at: str) -> object:
    """The first type of a union that the data fit; the error of the last one if there is no other."""
    if data is None and NoneType in inner:
        return None
    *others, last = (option for option in inner if option is not NoneType)
    for option in others:
        try:
            return _decoded(option, data, at)
        except CodecError:
            continue
    return _decoded(last, data, at)


def _numbers(array: FloatArray, packed: bool) -> dict[str, object]:
    if packed:
        return {"packed": b64encode(array.astype(_PACKED, copy=False).tobytes()).decode()}
    return {"values": [encode(number) for number in array.ravel().tolist()]}


def _array(data: object, at: str) -> object:
    parts = _object(data, at)
    shape = cast(tuple[int, ...], _decoded(tuple[int, ...], parts.get("shape"), f"{at}.shape"))
    match parts:
        case {"shape": _, "values": values, **others} if not others:
            array = np.array(_decoded(tuple[float, ...], values, f"{at}.values"), dtype=np.float64)
        case {"shape": _, "packed": str(text), **others} if not others:
            array = _unpacked(text, f"{at}.packed")
        case _:
            raise _mismatch(at, data, "an array")
    try:
        if min(shape, default=0) >= 0 and prod(shape) == array.size:
            return array.reshape(shape)
    except (ValueError, OverflowError):  # more axes, or a longer one, than an array can have
        pass
    raise _mismatch(f"{at}.shape", str(shape), f"that of {array.size} values")


def _unpacked(text: str, at: str) -> FloatArray:
    try:
        return np.frombuffer(b64decode(text, validate=True), _PACKED).astype(np.float64)
    except (binascii.Error, ValueError) as error:
        raise _mismatch(at, text, "base64 of doubles") from error


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
    decoded = {name: _decoded(hints[name], value, f"{at}.{name}") for name, value in values.items()}
    try:
        return kind(**decoded)
    except ValueError as error:
        raise CodecError(f"{at}: {error}") from error


def _section(kind: type[BaseModel], data: object, at: str) -> object:
    values = _object(data, at)
    if values.keys() != kind.model_fields.keys():
        raise _mismatch(at, f"fields {sorted(values)}", f"{sorted(kind.model_fields)}")
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise CodecError(f"{at}: {error.errors()[0]['msg']}") from error


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
