"""Opcodes that torch.save never writes: each is noted and read over, so that what follows is seen too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.pickling.cursor import U32, BrokenPickleError, counted, line
from weightlint.pickling.literals import constant
from weightlint.pickling.opcodes import PYTHON_2, since_mark
from weightlint.pickling.values import Call, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weightlint.pickling.literals import Step
    from weightlint.pickling.machine import Machine


def _never(name: str, then: Step) -> Step:
    def step(m: Machine, at: int) -> int:
        m.forbid(name)
        return then(m, at)

    return step


def _pop(m: Machine, at: int) -> int:
    if m.stack:
        m.stack.pop()
    else:
        since_mark(m)
    return at


def _pop_mark(m: Machine, at: int) -> int:
    since_mark(m)
    return at


def _dup(m: Machine, at: int) -> int:
    m.stack.append(m.stack[-1])
    return at


def _list(m: Machine, at: int) -> int:
    items = since_mark(m)
    m.stack.append(items)
    return at


def _dict(m: Machine, at: int) -> int:
    items, table = since_mark(m), Table()
    table.pairs += zip(items[::2], items[1::2], strict=False)
    m.stack.append(table)
    return at


def _inst(m: Machine, at: int) -> int:
    module, at = line(m, at)
    name, at = line(m, at)
    args = tuple(since_mark(m))
    m.stack.append(Call(m.ask(PYTHON_2.get(module, module), name), args))
    return at


def _obj(m: Machine, at: int) -> int:
    func, *args = since_mark(m) or [None]
    m.stack.append(Call(func, tuple(args)))
    return at


def _extension(width: int) -> Step:
    def step(m: Machine, at: int) -> int:
        m.stack.append(None)
        return at + width

    return step


def _huge(m: Machine, at: int) -> int:
    """Pass over a number of more than 255 bytes without making it."""
    _, at = counted(m, at, U32)
    m.forbid("LONG4")
    m.stack.append(None)
    return at


def _line(m: Machine, at: int) -> int:
    value, at = line(m, at)
    m.stack.append(value)
    return at


def _key(m: Machine, at: int) -> tuple[int, int]:
    key, at = line(m, at)
    if not (key.isascii() and key.isdigit()) or len(key) > 10:
        message = "remembers a value under what is no number"
        raise BrokenPickleError(message)
    return int(key), at


def _put(m: Machine, at: int) -> int:
    key, at = _key(m, at)
    m.memo[key] = m.stack[-1]
    return at


def _get(m: Machine, at: int) -> int:
    key, at = _key(m, at)
    m.stack.append(m.memo[key])
    return at


def _unchanged(m: Machine, at: int) -> int:
    del m
    return at


REFUSED: Mapping[int, Step] = {
    0x8B: _huge,
    **{
        opcode: _never(name, step)
        for opcode, name, step in (
            (ord("0"), "POP", _pop),
            (ord("1"), "POP_MARK", _pop_mark),
            (ord("2"), "DUP", _dup),
            (ord("F"), "FLOAT", _line),
            (ord("I"), "INT", _line),
            (ord("L"), "LONG", _line),
            (ord("P"), "PERSID", _line),
            (ord("S"), "STRING", _line),
            (ord("V"), "UNICODE", _line),
            (ord("d"), "DICT", _dict),
            (ord("g"), "GET", _get),
            (ord("i"), "INST", _inst),
            (ord("l"), "LIST", _list),
            (ord("o"), "OBJ", _obj),
            (ord("p"), "PUT", _put),
            (0x82, "EXT1", _extension(1)),
            (0x83, "EXT2", _extension(2)),
            (0x84, "EXT4", _extension(4)),
            (0x97, "NEXT_BUFFER", constant(None)),
            (0x98, "READONLY_BUFFER", _unchanged),
        )
    },
}
"""Steps of the opcodes that are noted, by opcode."""
