"""Typed values that a file says of itself: the key-values of GGUF, and what else has types.

A long array (tokens, merges, scores) keeps its length and loses its items, so that memory does not
grow with a vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MAX_ITEMS = 4096
"""Items of an array that are kept: more than the layers of any model, fewer than any vocabulary."""


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
