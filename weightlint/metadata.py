"""Typed values that a file says of itself: the key-values of GGUF, and what else has types.

A long array (tokens, merges, scores) keeps its length and loses its items, so that memory does not
grow with a vocabulary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from struct import pack
from typing import Any

MAX_ITEMS = 4096
"""Items of an array that are kept: more than the layers of any model, fewer than any vocabulary."""


MAX_SHOWN = 8
"""Items of an array that are shown."""

MAX_TEXTS = 64
"""Texts of an array that are kept: the tags and languages of a model, no tokens."""

MAX_TEXT = 1 << 20
"""Bytes of a text that are kept: more than any chat template has."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value with its type as GGUF names it: u8 i8 u16 i16 u32 i32 f32 bool str u64 i64 f64 arr.

    For `arr` the type of its items is in `of`, their number in `count`, and `value` is the list of
    them, or None where the array has more than `MAX_ITEMS` numbers or `MAX_TEXTS` texts. A text of
    more than `MAX_TEXT` bytes is None.
    """

    type: str
    value: Any
    of: str | None = None
    count: int | None = None

    @property
    def spelling(self) -> str:
        """Return the type as a message names it: `u32`, `arr[str] of 129,280`."""
        return self.type if self.type != "arr" else f"arr[{self.of}] of {self.count:,}"

    @property
    def shown(self) -> str:
        """Return the value as text, short and not escaped; empty where it was not kept."""
        if self.value is None:
            return ""
        if self.type != "arr":
            return _shown(self.type, self.value)
        head = ", ".join(_shown(str(self.of), item) for item in self.value[:MAX_SHOWN])
        rest = len(self.value) - MAX_SHOWN
        return f"[{head}{f', ... {rest:,} more' if rest > 0 else ''}]"

    def described(self) -> dict[str, Any]:
        """Return the JSON form; numbers that JSON has not are texts."""
        items = self.value if self.type == "arr" else [self.value]
        plain = None if items is None else [_plain(item) for item in items]
        table = {"type": self.type, "value": plain if self.type == "arr" or plain is None else plain[0]}
        return table if self.type != "arr" else {**table, "of": self.of, "count": self.count}


def restored(table: dict[str, Any]) -> Value:
    """Read the JSON form of a value.

    Raises:
        ValueError, TypeError, KeyError: it is none.
    """
    type_, value = str(table["type"]), table["value"]
    if type_ != "arr":
        return Value(type_, _typed(type_, value))
    of, count = str(table["of"]), int(table["count"])
    items = None if value is None else [_typed(of, item) for item in value]
    return Value("arr", items, of, count)


def _shown(type_: str, value: Any) -> str:
    if type_ == "f32" and math.isfinite(value):
        return next(
            text
            for digits in range(6, 10)
            if pack("f", float(text := f"{value:.{digits}g}")) == pack("f", value)
        )
    return str(value)


def _plain(item: Any) -> Any:
    return str(item) if type(item) is float and not math.isfinite(item) else item


def _typed(type_: str, value: Any) -> Any:
    if value is None:
        return None
    as_type = {"f32": float, "f64": float, "str": str, "bool": bool}.get(type_, int)
    return as_type(value)
