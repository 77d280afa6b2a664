"""The key-values of a GGUF file, read as typed values without the items of long arrays.

Layout: ggml docs/gguf.md. What is refused: llama.cpp ggml/src/gguf.cpp (empty and repeated keys, arrays
of arrays, unknown types).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import calcsize, unpack
from typing import TYPE_CHECKING, Any

from weightlint import metadata
from weightlint.finding import printable
from weightlint.gguf.cursor import MAX_ITEMS, REWRITE, BadGgufError
from weightlint.index import Fault, FaultKind
from weightlint.metadata import Value

if TYPE_CHECKING:
    from weightlint.gguf.cursor import Cursor

TYPES = ("u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "str", "arr", "u64", "i64", "f64")
"""Types of values by their number in the file."""

MAX_KEY = 65_535
"""Bytes of a key, as the specification allows."""

MAX_KEYS = 65_536
"""Keys of one file that are read; real files have some tens."""

MAX_KEPT = 1 << 24
"""Bytes of texts and numbers of one file that are kept; the values after that are None."""

_CODES = ("B", "b", "H", "h", "I", "i", "f", "B", "", "", "Q", "q", "d")


@dataclass(slots=True)
class Keys:
    """The key-values of the file at `path`, as far as they were read, and what is wrong with them.

    `room` are the bytes of values that may still be kept.
    """

    path: str
    cursor: Cursor
    values: dict[str, Value] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    room: int = MAX_KEPT

    def read(self, count: int) -> None:
        """Read `count` key-values.

        Raises:
            BadGgufError: they cannot be read to the end.
        """
        if count > MAX_KEYS:
            message = f"{count:,} keys are announced, the limit is {MAX_KEYS:,}"
            raise BadGgufError(message, self.cursor.position - self.cursor.wide)
        for number in range(1, count + 1):
            at, key = self.cursor.position, ""
            try:
                key = self._key()
                value = self._value(key)
            except BadGgufError as error:
                place = f"key {number:,} of {count:,}{f' ({printable(key, limit=80)})' if key else ''}"
                raise error.within(place) from error
            if key in self.values:
                self._refused(f"has the key {printable(key, limit=80)} twice, again at byte {at:,}")
            self.values.setdefault(key, value)

    def _key(self) -> str:
        at = self.cursor.position
        raw = self.cursor.text(MAX_KEY)
        if raw is None:
            message = f"a key of more than {MAX_KEY:,} bytes"
            raise BadGgufError(message, at)
        if not raw:
            self._refused(f"has a key without a name at byte {at:,}")
        key = raw.decode(errors="backslashreplace")
        if not raw.isascii() and key.encode() != raw:
            message = f"{self.path} has a key that is no UTF-8 at byte {at:,}: {printable(key, limit=80)}"
            self._say(FaultKind.MALFORMED, message, REWRITE)
        return key

    def _value(self, key: str) -> Value:
        at = self.cursor.position
        type_ = self._type()
        if type_ == "str":
            return self._text()
        if type_ != "arr":
            return Value(type_, self._numbers(type_, 1, key)[0])
        of = self._type()
        if of == "arr":
            message = "an array of arrays, which llama.cpp refuses"
            raise BadGgufError(message, at)
        count = self.cursor.length()
        return Value("arr", self._items(of, count, key), of, count)

    def _type(self) -> str:
        at = self.cursor.position
        number = self.cursor.number()
        if number >= len(TYPES):
            message = f"a value of type {number:,}, which there is not"
            raise BadGgufError(message, at)
        return TYPES[number]

    def _text(self) -> Value:
        raw = self.cursor.text(min(metadata.MAX_TEXT, self.room))
        self.room -= len(raw or b"")
        return Value("str", None if raw is None else raw.decode(errors="backslashreplace"))

    def _items(self, of: str, count: int, key: str) -> list[Any] | None:
        """Return the items of an array, or None where there are too many to keep."""
        at, cursor = self.cursor.position, self.cursor
        least = count * (cursor.wide if of == "str" else calcsize(_code(of)))
        if count > MAX_ITEMS:
            message = f"an array of {count:,} items, the limit is {MAX_ITEMS:,}"
            raise BadGgufError(message, at)
        if least > cursor.left:
            message = f"an array of {count:,} items of type {of} begins, {cursor.left:,} bytes are left"
            raise BadGgufError(message, at, FaultKind.TORN)
        if of == "str" and count <= metadata.MAX_TEXTS:
            return [self._text().value for _ in range(count)]
        if of == "str":
            cursor.skip_texts(count)
        elif count > metadata.MAX_ITEMS or least > self.room:
            cursor.skip(least)
        else:
            self.room -= least
            return self._numbers(of, count, key)
        return None

    def _numbers(self, type_: str, count: int, key: str) -> list[Any]:
        code = _code(type_)
        raw = self.cursor.take(count * calcsize(code))
        numbers = list(unpack(f"{self.cursor.order}{count}{code}", raw))
        if type_ != "bool":
            return numbers
        wrong = next((number for number in numbers if number > 1), None)
        if wrong is not None:
            message = f"{self.path} gives {printable(key, limit=80)} as bool with the value {wrong}"
            cure = "llama.cpp takes it for true, other readers may not: write 0 or 1"
            self._say(FaultKind.ODD, message, cure)
        return [number != 0 for number in numbers]

    def _refused(self, what: str) -> None:
        self._say(FaultKind.MALFORMED, f"{self.path} {what}: llama.cpp refuses the file", REWRITE)

    def _say(self, kind: FaultKind, message: str, cure: str) -> None:
        self.faults.append(Fault(kind=kind, file=self.path, message=message, cure=cure))


def _code(type_: str) -> str:
    return _CODES[TYPES.index(type_)]
