"""The opcodes that push a value of their own: constants, numbers, texts, empty containers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weightlint.pickling.cursor import F64, I32, U16, U32, U64, counted, short, text
from weightlint.pickling.values import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from struct import Struct

    from weightlint.pickling.machine import Machine

    Step = Callable[[Machine, int], int]


def constant(value: object) -> Step:
    """Make the step that pushes a constant."""

    def step(m: Machine, at: int) -> int:
        m.stack.append(value)
        return at

    return step


def _made(make: Callable[[], object]) -> Step:
    def step(m: Machine, at: int) -> int:
        m.stack.append(make())
        return at

    return step


def _number(form: Struct) -> Step:
    width, unpack = form.size, form.unpack_from

    def step(m: Machine, at: int) -> int:
        m.stack.append(unpack(m.data, at)[0])
        return at + width

    return step


def _byte(m: Machine, at: int) -> int:
    m.stack.append(m.data[at])
    return at + 1


def _long(m: Machine, at: int) -> int:
    raw, at = short(m, at)
    m.stack.append(int.from_bytes(raw, "little", signed=True))
    return at


def _unicode(size: Struct) -> Step:
    def step(m: Machine, at: int) -> int:
        raw, at = counted(m, at, size)
        m.stack.append(text(m, raw))
        return at

    return step


def _short_unicode(m: Machine, at: int) -> int:
    raw, at = short(m, at)
    m.stack.append(text(m, raw))
    return at


def _bytes(size: Struct) -> Step:
    def step(m: Machine, at: int) -> int:
        raw, at = counted(m, at, size)
        m.stack.append(raw)
        return at

    return step


def _old_text(value: bytes) -> Any:
    """Decode a text of Python 2, as torch.load does; what is no ASCII stays bytes."""
    return value.decode("ascii") if value.isascii() else value


def _short_string(m: Machine, at: int) -> int:
    raw, at = short(m, at)
    m.stack.append(_old_text(raw))
    return at


def _string(m: Machine, at: int) -> int:
    raw, at = counted(m, at, U32)
    m.stack.append(_old_text(raw))
    return at


def _short_bytes(m: Machine, at: int) -> int:
    raw, at = short(m, at)
    m.stack.append(raw)
    return at


LITERALS: Mapping[int, Step] = {
    **dict(zip(b"N)\x88\x89", map(constant, (None, (), True, False)), strict=True)),
    **dict(zip(b"}]\x8f", map(_made, (Table, list, list)), strict=True)),
    **dict(zip(b"JMG", map(_number, (I32, U16, F64)), strict=True)),
    **dict(zip(b"X\x8d", map(_unicode, (U32, U64)), strict=True)),
    **dict(zip(b"B\x8e\x96", map(_bytes, (U32, U64, U64)), strict=True)),
    ord("C"): _short_bytes,
    ord("T"): _string,
    ord("U"): _short_string,
    ord("K"): _byte,
    0x8A: _long,
    0x8C: _short_unicode,
}
"""Steps by opcode. A set is a list here: nothing is ever compared."""
