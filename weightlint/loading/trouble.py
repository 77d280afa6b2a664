"""Trouble that a prediction shows and no finding explains, put together over ranks and families."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from weightlint.finding import counted
from weightlint.loading.outcome import Failure
from weightlint.names import brace, pieces
from weightlint.plan import rank_patterns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.loading.aftermath import Rest
    from weightlint.loading.groups import Group
    from weightlint.loading.prediction import Sort
    from weightlint.loading.survey import Alike
    from weightlint.names import Coord, Template
    from weightlint.plan import Rank

OTHERS = 4
"""Exceptions that are named beside the first."""


@dataclass
class Trouble:
    """All tensors that raise one kind of exception; `failure` is that of the first in reading order."""

    kind: str
    failure: Failure
    sample: str
    place: tuple[int, str]
    ranks: dict[Rank, None] = field(default_factory=dict)
    families: dict[Template, tuple[Group, set[Coord]]] = field(default_factory=dict)
    texts: Counter[str] = field(default_factory=Counter)

    @property
    def text(self) -> str:
        """Write the first exception as a traceback does, with those that another order of reading would meet first."""
        first = str(self.failure).rstrip(".")
        others = [text for text, _ in self.texts.most_common() if text and text != self.failure.text]
        if not others or self.kind != "KeyError":
            return first
        more = "" if len(others) <= OTHERS else f" or {counted(len(others) - OTHERS, 'parameter')} more"
        return f"{first} (in another order of files {', '.join(others[:OTHERS])}{more})"

    @property
    def tensors(self) -> tuple[str, ...]:
        """Exact patterns of all tensors, in reading order of the families."""
        order = sorted(self.families.values(), key=lambda it: min(map(it[0].place, it[1])))
        return tuple(p for group, coords in order for p in brace(pieces(group.template), coords))

    @property
    def count(self) -> int:
        """Number of tensors."""
        return sum(len(coords) for _, coords in self.families.values())

    @property
    def on_ranks(self) -> tuple[str, ...]:
        """Exact patterns of the ranks that stop."""
        return rank_patterns(self.ranks)


def troubles(rest: Rest) -> Iterator[Trouble]:
    """Yield what raises, one trouble for each kind of exception, the one that comes first leading."""
    found: dict[str, Trouble] = {}
    for sort, alike, coords in rest.failures():
        group = alike.group
        first = min(coords, key=group.place)
        outcome = _again(sort, group, first, alike)
        place = group.place(first)
        fresh = Trouble(outcome.kind, outcome, group.name(first), place)
        trouble = found.setdefault(outcome.kind, fresh)
        if place < trouble.place:
            trouble.failure, trouble.sample, trouble.place = outcome, fresh.sample, place
        if not sort.ranks[0].tp:
            trouble.texts[outcome.text] += len(coords)
        trouble.ranks |= dict.fromkeys(sort.ranks)
        trouble.families.setdefault(group.template, (group, set()))[1].update(coords)
    yield from sorted(found.values(), key=lambda it: it.place)


def _again(sort: Sort, group: Group, coord: Coord, alike: Alike) -> Failure:
    """Return what one of the tensors raises; that of those like it, where it needs others before it to raise."""
    sort.survey.loader.forget()
    outcome = sort.survey.loader.follow(group.tensor(coord))
    known = alike.outcome
    if isinstance(outcome, Failure):
        return outcome
    assert isinstance(known, Failure)
    return known
