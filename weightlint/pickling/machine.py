"""A machine that reads a pickle without executing it: values stay inert, no global is looked up.

Opcodes are an allow-list; a global outside the known names or an opcode that torch.save never
writes is noted and read over, so that all of them are seen. Time is linear in the bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from struct import error as StructError  # noqa: N812
from typing import TYPE_CHECKING, Any

from weightlint.pickling.cursor import BrokenPickleError, cut
from weightlint.pickling.opcodes import STEPS, PickleEndError
from weightlint.pickling.refused import REFUSED
from weightlint.pickling.values import Global

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from weightlint.pickling.literals import Step
    from weightlint.pickling.values import Persistent

MAX_OPCODES = 16_000_000
MAX_STACK = 10_000
MAX_MEMO = 4_000_000
MAX_GLOBALS = 1_000
"""Different foreign globals of one pickle that are named."""

_BATCH = 4_096
"""Opcodes after which the limits are looked at."""


@dataclass(frozen=True, slots=True)
class Pickled:
    """One pickle as read: `stop` is the position after it, `value` what it holds.

    `below` are values that were left on the stack under it. `foreign` are the globals outside the known names, `refused` the opcodes that torch.save never
    writes, `wrong` what contradicts itself, `persistents` what lies outside the pickle. `broken` says what ended the reading early; `value` is
    None then. `cut` tells that more bytes might have mended it.
    """

    value: Any = None
    below: Sequence[Any] = ()
    stop: int = 0
    opcodes: int = 0
    protocol: int = 0
    foreign: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    persistents: Sequence[Persistent] = ()
    broken: str | None = None
    cut: bool = False


@dataclass(slots=True, eq=False)
class Machine:
    """The state while one pickle is read; `marks` are the stacks below the open marks."""

    data: bytes
    known: Container[str]
    size: int = 0
    stop: int = -1
    protocol: int = 0
    stack: list[Any] = field(default_factory=list)
    marks: list[list[Any]] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    foreign: dict[str, None] = field(default_factory=dict)
    refused: dict[str, None] = field(default_factory=dict)
    wrong: dict[str, None] = field(default_factory=dict)
    persistents: list[Persistent] = field(default_factory=list)

    def ask(self, module: str, name: str) -> Global:
        """Return a global by its name alone, and note one that is not known."""
        dotted = f"{module}.{name}"
        if dotted not in self.known and len(self.foreign) < MAX_GLOBALS:
            self.foreign[dotted] = None
        return Global(dotted)

    def forbid(self, opcode: str) -> None:
        """Note an opcode that torch.save never writes."""
        self.refused[opcode] = None

    def complain(self, what: str) -> None:
        """Note what contradicts itself; in words that follow the pickle's name."""
        self.wrong[what] = None


def run(data: bytes, known: Container[str], *, start: int = 0) -> Pickled:
    """Read one pickle from `start` on; `known` are the dotted names that it may ask for."""
    m = Machine(data, known, size=len(data))
    opcodes, at = 0, start
    try:
        while True:
            at = _batch(m, at)
            opcodes += _BATCH
            _check_limits(m, opcodes)
    except PickleEndError:
        return _pickled(m, opcodes)
    except BrokenPickleError as error:
        return _pickled(m, opcodes, broken=str(error), cut=error.cut)


def _batch(m: Machine, at: int) -> int:
    """Do so many opcodes; a stack that is empty too soon is told from an end of the bytes."""
    data, steps = m.data, _STEPS
    try:
        for _ in range(_BATCH):
            at = steps[data[at]](m, at + 1)
    except StructError:
        raise cut() from None
    except KeyError as error:
        message = f"uses the value {error.args[0]:,}, which it never gave"
        raise BrokenPickleError(message) from None
    except IndexError:
        if at >= m.size:
            message = "ends without the opcode STOP"
            raise BrokenPickleError(message, cut=True) from None
        if at + 1 >= m.size:
            raise cut() from None
        message = f"takes a value that it never gave, at its byte {at:,}"
        raise BrokenPickleError(message) from None
    return at


def _check_limits(m: Machine, opcodes: int) -> None:
    for what, count, limit in (
        ("opcodes", opcodes, MAX_OPCODES),
        ("values on its stack", len(m.stack), MAX_STACK),
        ("open groups", len(m.marks), MAX_STACK),
        ("remembered values", len(m.memo), MAX_MEMO),
    ):
        if count > limit:
            message = f"has more than {limit:,} {what}, the limit"
            raise BrokenPickleError(message)


def _unknown(m: Machine, at: int) -> int:
    message = f"has 0x{m.data[at - 1]:02x} where an opcode is needed, at its byte {at - 1:,}"
    raise BrokenPickleError(message)


def _pickled(m: Machine, opcodes: int, *, broken: str | None = None, cut: bool = False) -> Pickled:
    return Pickled(
        value=None if broken else m.stack[-1],
        below=() if broken else m.stack[:-1],
        stop=m.stop,
        opcodes=opcodes,
        protocol=m.protocol,
        foreign=tuple(m.foreign),
        refused=tuple(m.refused),
        wrong=tuple(m.wrong),
        persistents=m.persistents,
        broken=broken,
        cut=cut,
    )


_TABLE: Mapping[int, Step] = {**STEPS, **REFUSED}
_STEPS: tuple[Step, ...] = tuple(_TABLE.get(opcode, _unknown) for opcode in range(256))
