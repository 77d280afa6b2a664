"""Trouble that a prediction shows and no finding explains, put together over ranks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weightlint.loading.outcome import Failure
from weightlint.names import brace, pieces
from weightlint.plan import rank_patterns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.loading.aftermath import Rest
    from weightlint.loading.groups import Group
    from weightlint.names import Coord
    from weightlint.plan import Rank


@dataclass(frozen=True, slots=True)
class Trouble:
    """Tensors of one family that raise the same exception; `text` is that of the first in reading order."""

    text: str
    kind: str
    sample: str
    tensors: tuple[str, ...]
    ranks: tuple[str, ...]
    count: int
    row: int


def troubles(rest: Rest) -> Iterator[Trouble]:
    """Yield what raises, in reading order of the first tensor of each family."""
    found: dict[tuple[str, str], tuple[Group, set[Coord], dict[Rank, None], Failure]] = {}
    for sort, alike, coords in rest.failures():
        first = min(coords, key=alike.group.row)
        outcome = sort.survey.loader.feed(alike.group.tensor(first))
        if not isinstance(outcome, Failure):
            continue
        key = alike.group.template, outcome.kind
        group, known, ranks, failure = found.setdefault(key, (alike.group, set(), {}, outcome))
        known.update(coords)
        ranks |= dict.fromkeys(sort.ranks)
        found[key] = group, known, ranks, failure
    out = [_trouble(*parts) for parts in found.values()]
    yield from sorted(out, key=lambda it: it.row)


def _trouble(group: Group, coords: set[Coord], ranks: dict[Rank, None], failure: Failure) -> Trouble:
    row, first = min((group.row(coord), coord) for coord in coords)
    return Trouble(
        text=str(failure).rstrip("."),
        kind=failure.kind,
        sample=group.name(first),
        tensors=tuple(brace(pieces(group.template), coords)),
        ranks=rank_patterns(ranks),
        count=len(coords),
        row=row,
    )
