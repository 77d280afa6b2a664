"""What the opcodes that torch writes do to the stack of the machine, one small function each.

Meaning and byte of every opcode: Lib/pickletools.py of Python 3.11. A function gets the machine and
the position after the opcode, and returns the position of the next one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weightlint.pickling.cursor import U32, BrokenPickleError, cut, line
from weightlint.pickling.literals import LITERALS
from weightlint.pickling.values import Call, Global, Persistent, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weightlint.pickling.literals import Step
    from weightlint.pickling.machine import Machine

PYTHON_2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}
"""Modules by the names that Python 2 gave them."""


class PickleEndError(Exception):
    """The pickle ended as it should."""


def _mark(m: Machine, at: int) -> int:
    m.marks.append(m.stack)
    m.stack = []
    return at


def since_mark(m: Machine) -> list[Any]:
    """Take what was pushed since the last mark."""
    if not m.marks:
        message = "closes a group that it never opened"
        raise BrokenPickleError(message)
    items, m.stack = m.stack, m.marks.pop()
    return items


def _tuple(m: Machine, at: int) -> int:
    items = since_mark(m)
    m.stack.append(tuple(items))
    return at


def _last(count: int) -> Step:
    """Make the step that wraps the last items of the stack into a tuple."""

    def step(m: Machine, at: int) -> int:
        if len(m.stack) < count:
            raise IndexError
        m.stack[-count:] = [tuple(m.stack[-count:])]
        return at

    return step


def _put_8(m: Machine, at: int) -> int:
    m.memo[m.data[at]] = m.stack[-1]
    return at + 1


def _put_32(m: Machine, at: int) -> int:
    m.memo[U32.unpack_from(m.data, at)[0]] = m.stack[-1]
    return at + 4


def _memoize(m: Machine, at: int) -> int:
    m.memo[len(m.memo)] = m.stack[-1]
    return at


def _get_8(m: Machine, at: int) -> int:
    m.stack.append(m.memo[m.data[at]])
    return at + 1


def _get_32(m: Machine, at: int) -> int:
    m.stack.append(m.memo[U32.unpack_from(m.data, at)[0]])
    return at + 4


def _append(m: Machine, at: int) -> int:
    _extend(m, [m.stack.pop()])
    return at


def _appends(m: Machine, at: int) -> int:
    _extend(m, since_mark(m))
    return at


def _extend(m: Machine, items: list[Any]) -> None:
    target = m.stack[-1]
    if type(target) is list:
        target += items
    elif type(target) is Call:
        target.items = target.items or []
        target.items += items
    else:
        m.complain("appends to what is no list")


def _setitem(m: Machine, at: int) -> int:
    value, key = m.stack.pop(), m.stack.pop()
    _update(m, [key, value])
    return at


def _setitems(m: Machine, at: int) -> int:
    _update(m, since_mark(m))
    return at


def _update(m: Machine, items: list[Any]) -> None:
    target = m.stack[-1]
    if type(target) is Call and target.pairs is None:
        target.pairs = []
    if type(target) in {Table, Call}:
        target.pairs += zip(items[::2], items[1::2], strict=False)
    else:
        m.complain("sets items of what is no table")


def _global(m: Machine, at: int) -> int:
    module, at = line(m, at)
    name, at = line(m, at)
    m.stack.append(m.ask(PYTHON_2.get(module, module), name))
    return at


def _stack_global(m: Machine, at: int) -> int:
    name, module = m.stack.pop(), m.stack.pop()
    if type(name) is not str or type(module) is not str:
        message = "asks for a global by what is no text"
        raise BrokenPickleError(message)
    m.stack.append(m.ask(module, name))
    return at


def _call(m: Machine, at: int) -> int:
    args = m.stack.pop()
    func = m.stack[-1]
    if type(func) is not Global:
        m.forbid("REDUCE of what is no global")
    m.stack[-1] = Call(func, args)
    return at


def _call_with_keywords(m: Machine, at: int) -> int:
    m.stack.pop()
    return _call(m, at)


def _build(m: Machine, at: int) -> int:
    state, target = m.stack.pop(), m.stack[-1]
    if type(target) is Call:
        target.state = state
    else:
        m.complain("gives a state to what can have none")
    return at


def _persistent(m: Machine, at: int) -> int:
    of = m.stack.pop()
    if type(of) is not tuple:
        m.complain("asks for a storage by what is no tuple")
        of = ()
    outside = Persistent(of)
    m.persistents.append(outside)
    m.stack.append(outside)
    return at


def _frame(m: Machine, at: int) -> int:
    """Pass over the length of a frame, which says nothing about values."""
    if at + 8 > m.size:
        raise cut()
    return at + 8


def _protocol(m: Machine, at: int) -> int:
    m.protocol = m.data[at]
    return at + 1


def _stop(m: Machine, at: int) -> int:
    if not m.stack:
        message = "ends without a value"
        raise BrokenPickleError(message)
    m.stop = at
    raise PickleEndError


STEPS: Mapping[int, Step] = {
    **LITERALS,
    **dict(zip(b"\x85\x86\x87", map(_last, (1, 2, 3)), strict=True)),
    **dict.fromkeys(b"e\x90", _appends),
    **dict.fromkeys(b"t\x91", _tuple),
    **dict.fromkeys(b"R\x81", _call),
    ord("("): _mark,
    ord("."): _stop,
    ord("Q"): _persistent,
    ord("a"): _append,
    ord("b"): _build,
    ord("c"): _global,
    ord("h"): _get_8,
    ord("j"): _get_32,
    ord("q"): _put_8,
    ord("r"): _put_32,
    ord("s"): _setitem,
    ord("u"): _setitems,
    0x80: _protocol,
    0x92: _call_with_keywords,
    0x93: _stack_global,
    0x94: _memoize,
    0x95: _frame,
}
"""Steps by opcode: protocol 2 as torch.save writes it, and what protocols 3 to 5 add."""
