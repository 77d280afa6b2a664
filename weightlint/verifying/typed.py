"""Records from JSON that a stranger may have written: each value is of the type that the record declares, or an error.

A record is a list of its fields in order, as `stored` writes it. Knows nothing of what the fields mean.
"""

from __future__ import annotations

import types
from functools import cache
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

from weightlint.strict_json import Unfit, called

if TYPE_CHECKING:
    from collections.abc import Callable

MOST = 1 << 63
"""No size, offset or count is as large as this."""


@cache
def reader(kind: Any) -> Callable[[Any], Any]:
    """Return a function that makes a value of this type from JSON.

    The type is str, bool, int, float, None, a tuple, a dict of texts, a union of these, or a record of them. The function raises a
    ValueError where a value is of another type.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if origin is tuple:
        return _several(reader(inner[0])) if inner[-1] is ... else _fixed([*map(reader, inner)], tuple)
    if origin in {Union, types.UnionType}:
        return _either([*map(reader, inner)])
    if origin is dict:
        return _texts
    plain = {str: _text, bool: _flag, int: _whole, float: _real, types.NoneType: _nothing}
    return plain[kind] if kind in plain else _record(kind)


def _record(kind: Any) -> Callable[[Any], Any]:
    hints = get_type_hints(kind)
    return _fixed(
        [*map(reader, hints.values())], lambda values: kind(**dict(zip(hints, values, strict=True)))
    )


def _fixed(readers: list[Callable[[Any], Any]], made: Callable[[list[Any]], Any]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if type(value) is not list or len(value) != len(readers):
            raise _odd(value, f"a list of {len(readers)}")
        return made([each(item) for each, item in zip(readers, value, strict=True)])

    return read


def _several(each: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if type(value) is not list:
            raise _odd(value, "a list")
        return tuple(map(each, value))

    return read


def _either(readers: list[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        for each in readers[:-1]:
            try:
                return each(value)
            except ValueError:
                continue
        return readers[-1](value)

    return read


def _text(value: Any) -> str:
    if type(value) is not str:
        raise _odd(value, "a text")
    return value


def _texts(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise _odd(value, "a table")
    return {key: _text(item) for key, item in value.items()}


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise _odd(value, "true or false")
    return value


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < MOST:
        raise _odd(value, "a whole number from 0 on")
    return value


def _real(value: Any) -> float:
    if value == "Infinity" and type(value) is Unfit:
        return float("inf")
    if type(value) not in {int, float} or not 0 <= value < float("inf"):
        raise _odd(value, "a number from 0 on")
    return float(value)


def _nothing(value: Any) -> None:
    if value is not None:
        raise _odd(value, "null")


def _odd(value: Any, wanted: str) -> ValueError:
    return ValueError(f"{called(value)} stands where {wanted} should be")
