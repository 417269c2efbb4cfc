# SPDX-License-Identifier: Apache-2.0
"""Values in a record: results, errors, and the hashes of arguments.

Values are pickled, because results of transactions are any values of `kilonova.objects` and no schema has them all.  A
file that is read may come from a stranger: only value classes are built from it (`_Reader`), and no function is called.
"""

import collections
import copyreg
import datetime
import importlib
import io
import pickle
import zlib
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from operator import attrgetter
from typing import Any

from pydantic_core import to_json

from kilonova.base import errors
from kilonova.base.errors import KilonovaError, StateError

PROTOCOL = 5
ROOT = "kilonova"

_STANDARD: Mapping[tuple[str, str], object] = {
    ("datetime", "datetime"): datetime.datetime,
    ("datetime", "date"): datetime.date,
    ("datetime", "timedelta"): datetime.timedelta,
    ("datetime", "timezone"): datetime.timezone,
    ("collections", "Counter"): collections.Counter,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "deque"): collections.deque,
}


class UnrecordedError(Exception):
    """An error in a replay whose class the record does not keep; its text is that of the recorded error."""


class _Classes(dict[type, Callable[[Any], Any]]):
    """The reducers of classes.  That of a dataclass reads its fields in one call; the usual one costs five times as
    much."""

    def __missing__(self, cls: type) -> Callable[[Any], Any]:
        if not is_dataclass(cls) or "__reduce__" in cls.__dict__:
            raise KeyError(cls)
        self[cls] = reducer = _reducer(cls)
        return reducer


def _reducer(cls: type) -> Callable[[Any], Any]:
    names = [field.name for field in fields(cls)]
    if len(names) < 2:
        return lambda value: (_build, (cls, tuple(getattr(value, name) for name in names)))
    values_of = attrgetter(*names)
    return lambda value: (_build, (cls, values_of(value)))


def _build(cls: type, values: tuple[Any, ...]) -> Any:
    """The dataclass with these values.  Its own initialization does not run: the values have passed it once."""
    made = object.__new__(cls)
    for field, value in zip(fields(cls), values, strict=True):
        object.__setattr__(made, field.name, value)
    return made


_CLASSES = _Classes(copyreg.dispatch_table)


class _Writer(pickle.Pickler):
    dispatch_table = _CLASSES


class _Reader(pickle.Unpickler):
    """Builds value classes only: dataclasses, enums and named tuples of this package, and a few standard ones."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        if (module_name, global_name) == (__name__, _build.__name__):
            return _build
        found = _STANDARD.get((module_name, global_name))
        if found is None and module_name.partition(".")[0] == ROOT and not module_name.endswith("__main__"):
            found = getattr(importlib.import_module(module_name), global_name, None)
            found = found if _is_value_class(found) else None
        if found is None:
            raise StateError(f"The record has a value of {module_name}.{global_name}, which is not a class of values.")
        return found


def _is_value_class(found: object) -> bool:
    return isinstance(found, type) and (
        is_dataclass(found) or issubclass(found, Enum) or (issubclass(found, tuple) and hasattr(found, "_fields"))
    )


def encode(value: object) -> bytes:
    """The value as bytes.  Raises TypeError and other exceptions for a value that is no value: a function, a file."""
    buffer = io.BytesIO()
    _Writer(buffer, PROTOCOL).dump(value)
    return buffer.getvalue()


def decode(data: bytes) -> Any:
    """The value.  Raises StateError for bytes that are not of `encode`."""
    try:
        return _Reader(io.BytesIO(data)).load()
    except KilonovaError:
        raise
    except Exception as exc:
        raise StateError(f"The record has a value that cannot be read: {exc}") from exc


def encode_error(error: BaseException) -> bytes:
    """The error of a call: those of the catalogue whole, of others the name of the class and the text."""
    if isinstance(error, KilonovaError):
        try:
            return encode((error.code, error.message, dict(error.details)))
        except Exception:  # (details that are no values: their text is enough)
            return encode((error.code, error.message, {name: str(value) for name, value in error.details.items()}))
    if isinstance(error, TimeoutError):
        return encode(("timeout", str(error), {}))
    return encode(("", f"{type(error).__name__}: {error}", {}))


def decode_error(data: bytes) -> Exception:
    """The error that `encode_error` wrote.  Raises StateError."""
    code, message, details = decode(data)
    if code == "timeout":
        return TimeoutError(message)
    return errors.from_wire(code, message, details) if code else UnrecordedError(message)


class Chain:
    """The hash of all calls so far.  Equal arguments have equal hashes in every process: sets among the arguments are
    sorted, and functions are replaced by their names."""

    def __init__(self) -> None:
        self.value = 0

    def add(self, name: str, arguments: object) -> int:
        """The hash with one more call."""
        data = arguments if isinstance(arguments, bytes) else _text(arguments)
        self.value = zlib.crc32(data, zlib.crc32(name.encode(), self.value))
        return self.value


def _text(arguments: object) -> bytes:
    """The arguments as JSON: five times as fast as a pickler without back references, which depend on which equal
    values are one object."""
    try:
        return to_json(_sorted(arguments), fallback=_named, bytes_mode="base64")
    except ValueError:  # (an argument that is no value: its class is enough)
        return type(arguments).__name__.encode()


def _sorted(value: object) -> object:
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return [_sorted(one) for one in value]
    return sorted(value, key=repr) if isinstance(value, set | frozenset) else value


def _named(value: object) -> str:
    return name_of(value) if callable(value) else type(value).__name__


def name_of(function: Callable[..., Any]) -> str:
    """The name of a function in a record; of a partial one, that of its function."""
    function = getattr(function, "func", function)
    module = getattr(function, "__module__", None) or ""
    name = getattr(function, "__qualname__", type(function).__name__)
    return f"{module.removeprefix(f'{ROOT}.')}.{name}"
