"""What a sharding is: one way of cutting a model into files by rank, known by the names of the files.

Knows how the files are named and what their numbers mean; nothing of what is in them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from weightlint.drawer import Drawer

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Mapping


class Rank(NamedTuple):
    """Where a file stands: its tensor, pipeline and expert parallel rank, and its part of that rank."""

    tp: int = 0
    pp: int = 0
    ep: int = 0
    part: int = 0


class Degrees(NamedTuple):
    """How many ranks there are of each kind; None where nothing says it."""

    tp: int | None = None
    pp: int | None = None
    ep: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Within:
    """Folders that hold the rank files: one for each save, told apart by their names.

    `tracker` is a text file that names the save to load, `named` turns its text into a folder's name.
    """

    folder: re.Pattern[str]
    tracker: str
    named: Callable[[str], str]
    ranks: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharding:
    """One way of cutting. `title` says whose it is.

    `pattern` has the numbers of a file in its groups `tp`, `pp`, `ep`, `part`, `rank` and, where the
    name says how many tensor ranks there are, `of`. `place` turns these numbers into a rank where they
    are not that already, `degrees` reads from the config how many ranks there are. `dialects` are the
    spellings in which such files are at home. `layers` is what stands before a layer number that counts
    from the first layer of its stage; `experts` finds, as its group 1, an expert number that counts
    from the first expert of its rank. `placed` marks tensors that lie whole on one tensor rank.
    `useless` says why nothing can be read from such files. `cure` says how to write them again.
    """

    name: str
    title: str
    pattern: re.Pattern[str]
    dialects: frozenset[str]
    cure: str
    place: Callable[[Mapping[str, int], Mapping[str, Any]], Rank] | None = None
    degrees: Callable[[Mapping[str, Any]], Degrees] = field(default=lambda _: Degrees())
    within: Within | None = None
    layers: tuple[str, ...] = ()
    experts: re.Pattern[str] | None = None
    placed: str | None = None
    useless: str | None = None


SHARDINGS: Drawer[Sharding] = Drawer("shardings", "SHARDING")
