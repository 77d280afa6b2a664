"""How the opcodes of a pickle carry their values: lengths, lines, texts, numbers.

No length from the file is used before it is compared with the bytes that are left.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weightlint.pickling.machine import Machine

MAX_LINE = 1024
"""Bytes of the name of a module or a global."""

I32, U16, U32, U64, F64 = Struct("<i"), Struct("<H"), Struct("<I"), Struct("<Q"), Struct(">d")


class BrokenPickleError(Exception):
    """The pickle cannot be read on; the text says why, in words that follow its name.

    `cut` tells that more bytes might mend it.
    """

    def __init__(self, why: str, *, cut: bool = False) -> None:
        super().__init__(why)
        self.cut = cut


def counted(m: Machine, at: int, size: Struct) -> tuple[bytes, int]:
    """Return the bytes that stand behind their length, and the position after them."""
    (length,) = size.unpack_from(m.data, at)
    start = at + size.size
    if length > m.size - start:
        message = f"gives a value of {length:,} bytes where {m.size - start:,} are left"
        raise BrokenPickleError(message, cut=True)
    return m.data[start : start + length], start + length


def short(m: Machine, at: int) -> tuple[bytes, int]:
    """Return up to 255 bytes that stand behind their length, and the position after them."""
    stop = at + 1 + m.data[at]
    if stop > m.size:
        raise cut()
    return m.data[at + 1 : stop], stop


def line(m: Machine, at: int) -> tuple[str, int]:
    """Return a line of text without its end, and the position after it."""
    stop = m.data.find(b"\n", at, at + MAX_LINE)
    if stop < 0:
        message = f"has no end of line within {MAX_LINE:,} bytes where a name is needed"
        raise BrokenPickleError(message, cut=at + MAX_LINE > m.size)
    return m.data[at:stop].decode(errors="backslashreplace"), stop + 1


def text(m: Machine, raw: bytes) -> str:
    """Decode a text; what is no UTF-8 is escaped and complained of."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        m.complain("holds a text that is no UTF-8")
        return raw.decode(errors="backslashreplace")


def cut() -> BrokenPickleError:
    """Return the error of a value that the end of the pickle cuts off."""
    return BrokenPickleError("ends inside a value", cut=True)
