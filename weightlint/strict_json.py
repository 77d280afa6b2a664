"""JSON from strangers: parsed with everything visible that the standard parser lets pass.

Knows nothing of checkpoints. Keys given twice, numbers that no reader takes, half surrogate pairs
and nesting are kept for the caller to judge; what is not JSON at all is a `BadJsonError`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from math import isfinite
from typing import Any

MAX_DEPTH = 64
"""Levels of nesting that are looked into."""

MAX_DIGITS = 20
"""Digits of the largest number that a file offset can need: 2**64 has twenty."""

# A whole pair is consumed first, so that only a half one is left for the group. A backslash that
# is itself escaped is consumed by the last branch.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


class BadJsonError(ValueError):
    """The bytes are not JSON; `at` is the byte where it shows, `line` counts from 1."""

    def __init__(self, message: str, *, at: int, line: int = 1) -> None:
        super().__init__(message)
        self.at = at
        self.line = line


class Unfit(str):
    """A number as it was written, that JSON or its readers have no place for: NaN, -0, 1e999."""

    __slots__ = ()


class Repeated(dict[str, Any]):
    """An object that gives a key more than once; as a dict it keeps the last value."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs

    @property
    def keys_twice(self) -> list[str]:
        """Return the keys that come more than once, in order of coming."""
        counts = Counter(key for key, _ in self.pairs)
        return [key for key, count in counts.items() if count > 1]


def parse(raw: bytes) -> Any:
    """Parse fast: of a key given twice the last counts, a number not in JSON becomes `Unfit`.

    Raises:
        BadJsonError: not UTF-8, not JSON, or nested too deep for the parser.
    """
    return _decoded(raw, json.JSONDecoder(parse_constant=Unfit))


def parse_exactly(raw: bytes, *, max_digits: int = MAX_DIGITS) -> Any:
    """Parse with objects that repeat a key as `Repeated` and impossible numbers as `Unfit`.

    Raises:
        BadJsonError: as `parse`, and for half of a surrogate pair.
    """

    def whole(text: str) -> int | Unfit:
        fits = len(text) <= max_digits and text != "-0"
        return int(text) if fits else Unfit(text)

    decoder = json.JSONDecoder(
        object_pairs_hook=_object, parse_int=whole, parse_float=_real, parse_constant=Unfit
    )
    value = _decoded(raw, decoder)
    if b"\\u" in raw:
        _refuse_half_pairs(raw.decode())
    return value


def too_much(value: object) -> str | None:
    """Say why a value that nobody reads would still stop a parser, or None."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            return f"is nested deeper than {MAX_DEPTH} levels"
        if any(isinstance(item, Unfit) for item in level):
            return "holds a number that is out of range"
        level = [inner for item in level for inner in _children(item)]
    return None


def called(value: object) -> str:
    """Return what a JSON value is, in words."""
    if isinstance(value, (Unfit, int, float)) and not isinstance(value, bool):
        text = str(value)
        return f"the number {text if len(text) <= MAX_DIGITS + 4 else f'of {len(text):,} digits'}"
    words = {bool: str(value).lower(), type(None): "null", str: "a text", list: "a list"}
    return words.get(type(value), "a table")


def _children(value: object) -> list[Any]:
    if isinstance(value, Repeated):
        return [inner for _, inner in value.pairs]
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    return table if len(table) == len(pairs) else Repeated(pairs)


def _real(text: str) -> float | Unfit:
    value = float(text)
    return value if isfinite(value) else Unfit(text)


def _decoded(raw: bytes, decoder: json.JSONDecoder) -> Any:
    if raw.startswith(b"\xef\xbb\xbf"):
        message = "starts with a UTF-8 byte order mark (BOM)"
        raise BadJsonError(message, at=0)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        message = f"is not UTF-8: {error.reason}"
        raise BadJsonError(message, at=error.start) from None
    try:
        return decoder.decode(text)
    except json.JSONDecodeError as error:
        raise _placed(_reason(text, error), text, at=error.pos) from None
    except RecursionError:
        message = f"is nested deeper than {MAX_DEPTH} levels"
        raise BadJsonError(message, at=0) from None
    except ValueError:
        # int() refuses more than 4,300 digits: sys.set_int_max_str_digits
        long = re.search(r"\d{4301}", text)
        message = "holds a number of more than 4,300 digits"
        raise _placed(message, text, at=long.start() if long else 0) from None


def _placed(message: str, text: str, *, at: int) -> BadJsonError:
    before = text[:at]
    return BadJsonError(message, at=len(before.encode()), line=before.count("\n") + 1)


def _reason(text: str, error: json.JSONDecodeError) -> str:
    rest = text[error.pos : error.pos + 2]
    if rest[:1] == "\0":
        return "has a NUL byte where JSON allows only spaces"
    if rest in {"//", "/*"} or rest[:1] == "#":
        return f"has a comment ({rest.strip()}), which JSON does not allow"
    if error.msg == "Extra data":
        return "has more text after the end of the JSON value"
    return f"is not JSON: {error.msg[0].lower()}{error.msg[1:].removesuffix(' at')}"


def _refuse_half_pairs(text: str) -> None:
    for found in _ESCAPE.finditer(text):
        if found[1]:
            message = f"has half of a surrogate pair (\\{found[1]})"
            raise _placed(message, text, at=found.start())
