"""What a sharding is: one way of cutting a model into files by rank, known by the names of the files.

Knows how the files are named and what their numbers mean; nothing of what is in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from weightlint.drawer import Drawer

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Collection, Mapping
    from collections.abc import Set as AbstractSet

Numbers = dict[str, int]
"""The numbers of a file's name by the group of the pattern that found them."""


class Rank(NamedTuple):
    """Where a file stands: its tensor, pipeline, expert and context parallel rank, and its part of that rank."""

    tp: int = 0
    pp: int = 0
    ep: int = 0
    cp: int = 0
    part: int = 0


class Degrees(NamedTuple):
    """How many ranks there are of each kind; None where nothing says it."""

    tp: int | None = None
    pp: int | None = None
    ep: int | None = None
    cp: int | None = None


def counted(value: object) -> int | None:
    """Return a number of ranks that a config gives, None where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def plain_place(numbers: Numbers, _: Degrees) -> Rank:
    """Take the groups of a name for what they are called."""
    return Rank(*(numbers.get(axis, 0) for axis in Rank._fields))


def plain_numbers(rank: Rank, groups: Collection[str], _: Degrees) -> Numbers:
    """Undo `plain_place`."""
    return {group: number for group, number in rank._asdict().items() if group in groups}


def nothing_said(_: Mapping[str, Any]) -> Degrees:
    """Say that no config tells the number of ranks."""
    return Degrees()


def nothing_wrong(_: Mapping[str, Any]) -> str | None:
    """Find no contradiction."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharding:
    """One way of cutting. `title` says whose it is, `cure` how to write such files again.

    `pattern` has the numbers of a path in its groups: `tp`, `pp`, `ep`, `part`, where the name says how
    many tensor ranks there are `of`, or others that `place` turns into a rank and `numbers` back. `folder`
    names the folders that such paths begin with, if they do. `degrees` reads the numbers of ranks from the
    config, `contradicts` says where the config is at odds with itself, `infer` finds more fields of it by
    the tables (tensor names by file). `dialects` are the spellings in which such files are at home.

    `trunk` is what stands before every name, with the number of a virtual stage as group 1. `layers`
    stands before a layer number that counts from the first layer of its stage; `experts` finds, as group 1,
    an expert number that counts from the first of its rank. `placed` marks tensors that lie whole on one
    tensor rank. `useless` says why nothing can be read from such files.
    """

    name: str
    title: str
    pattern: re.Pattern[str]
    dialects: frozenset[str]
    cure: str
    place: Callable[[Numbers, Degrees], Rank] = plain_place
    numbers: Callable[[Rank, Collection[str], Degrees], Numbers] = plain_numbers
    folder: re.Pattern[str] | None = None
    degrees: Callable[[Mapping[str, Any]], Degrees] = nothing_said
    contradicts: Callable[[Mapping[str, Any]], str | None] = nothing_wrong
    infer: Callable[[Mapping[str, AbstractSet[str]]], Mapping[str, Any]] | None = None
    trunk: re.Pattern[str] | None = None
    layers: str | None = None
    experts: re.Pattern[str] | None = None
    placed: str | None = None
    useless: str | None = None


SHARDINGS: Drawer[Sharding] = Drawer("shardings", "SHARDING")
