"""Records read back from lists of JSON: each value must be of the type that its field declares.

What a record is made of is told by its annotations; nothing else is asked of it here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

Reader = Callable[[Any], Any]


@cache
def reader(hint: Any) -> Reader:
    """Return what reads a value of a type: a record, a tuple, a dict of texts, a plain type, or one of them or None.

    What it returns raises `TypeError` or `ValueError` for a value of another type.
    """
    origin, inner = get_origin(hint), get_args(hint)
    if origin is tuple:
        return _tuple(inner)
    if origin is dict:
        return _table(*map(reader, inner))
    if inner:
        (some,) = (reader(each) for each in inner if each is not type(None))
        return lambda value: None if value is None else some(value)
    return _plain(hint) if hint in {int, float, str, bool} else _record(hint)


def fields(kind: Any) -> tuple[str, ...]:
    """Return the names of the fields of a record, in the order in which they are written."""
    return tuple(get_type_hints(kind))


def _record(kind: Any) -> Reader:
    hints = get_type_hints(kind)
    names, readers = tuple(hints), [reader(hint) for hint in hints.values()]
    # a named tuple takes its fields in order, which is quicker where there are as many as tensors
    make = getattr(kind, "_make", None) or (lambda values: kind(**dict(zip(names, values, strict=True))))

    def read(value: Any) -> Any:
        return make([of(each) for of, each in zip(readers, _list(value), strict=True)])

    return read


def _tuple(inner: tuple[Any, ...]) -> Reader:
    if inner[1:] == (...,):
        of = reader(inner[0])
        return lambda value: tuple([of(each) for each in _list(value)])
    each_of = [reader(hint) for hint in inner]
    return lambda value: tuple([of(each) for of, each in zip(each_of, _list(value), strict=True)])


def _table(key: Reader, of: Reader) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            _refuse(value, "a table")
        return {key(name): of(each) for name, each in value.items()}

    return read


def _plain(kind: type) -> Reader:
    def read(value: Any) -> Any:
        if type(value) is kind:
            return value
        if kind is float and type(value) is int:
            return float(value)
        _refuse(value, kind.__name__)
        return None

    return read


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        _refuse(value, "a list")
    found: list[Any] = value
    return found


def lack(error: Exception) -> str:
    """Say what a table lacks where a key was not found, else what the error says."""
    return f"it has no {error}" if isinstance(error, KeyError) else str(error)


def _refuse(value: object, wanted: str) -> None:
    message = f"{str(value)[:40]!r} is not {wanted}"
    raise TypeError(message)
