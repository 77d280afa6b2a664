"""What a pickle says, as inert data: nothing here is ever called, imported or compared.

Plain values are Python's own; what a real unpickler would make by a call stays a `Call`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


class Global:
    """A name that the pickle asks for, `module.name`; never looked up."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class Table:
    """A dict: its pairs in order, keys given twice included, since keys may be of any kind."""

    __slots__ = ("pairs",)

    def __init__(self) -> None:
        self.pairs: list[tuple[Any, Any]] = []


class Call:
    """What a global would return for `args`, with the state and the items given to it later."""

    __slots__ = ("args", "func", "items", "pairs", "state")

    def __init__(self, func: Any, args: Any) -> None:
        self.func = func
        self.args = args
        self.state: Any = None
        self.pairs: list[tuple[Any, Any]] | None = None
        self.items: list[Any] | None = None

    @property
    def name(self) -> str:
        """Return the name of the global, or "" where no global is called."""
        return self.func.name if type(self.func) is Global else ""


class Persistent:
    """Something outside the pickle: in torch files a storage."""

    __slots__ = ("id",)

    def __init__(self, of: tuple[Any, ...]) -> None:
        self.id = of


TABLES = frozenset({"collections.OrderedDict", "collections.defaultdict", "collections.Counter"})
"""Globals whose calls are dicts."""


def pairs(value: object) -> Sequence[tuple[Any, Any]] | None:
    """Return the pairs of a dict or of what is one in all but name, else None."""
    if type(value) is Table:
        return value.pairs
    if type(value) is not Call or value.name not in TABLES:
        return None
    given = [*_given(value.args), *(value.pairs or ())]
    return given if given or value.pairs is None else value.pairs


def _given(args: object) -> list[tuple[Any, Any]]:
    """Return the pairs that an OrderedDict of Python 2 is made from: one list of lists of two."""
    if type(args) is not tuple or len(args) != 1 or type(args[0]) is not list:
        return []
    return [(each[0], each[1]) for each in args[0] if type(each) in {list, tuple} and len(each) == 2]
