"""Numbers that count within a rank, counted anew over the whole model.

A stage's layer 0 is the first layer after those of the stages before it, as many as were found there;
likewise for experts that every expert rank counts from 0.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from weightlint.index import Index
    from weightlint.sharding import Rank, Sharding


def renumber(index: Index, places: Sequence[Rank], sharding: Sharding) -> Iterable[str]:
    """Return the name of every row in the whole model; `places` are the ranks by file id."""
    names: Iterable[str] = index.names
    if sharding.layers:
        heads = "|".join(map(re.escape, sharding.layers))
        names = _shifted(names, index, re.compile(rf"(?:{heads})(\d+)(?![^.])"), [at.pp for at in places])
    if sharding.experts is not None:
        names = _shifted(list(names), index, sharding.experts, [at.ep for at in places])
    return names


def _shifted(
    names: Iterable[str], index: Index, number: re.Pattern[str], group_of: Sequence[int]
) -> Sequence[str]:
    """Add to the number in each name how many there are in the groups before that of its file."""
    listed = list(names)
    found = [number.search(name) for name in listed]
    ends: dict[int, int] = defaultdict(int)
    for match, file_id in zip(found, index.file_ids, strict=True):
        if match is not None:
            group = group_of[file_id]
            ends[group] = max(ends[group], 1 + int(match[1]))
    first = _starts(ends)
    if not any(first.values()):
        return listed
    return [
        name if match is None else _moved(name, match, first[group_of[file_id]])
        for name, match, file_id in zip(listed, found, index.file_ids, strict=True)
    ]


def _starts(ends: Mapping[int, int]) -> dict[int, int]:
    starts, at = {}, 0
    for group in sorted(ends):
        starts[group] = at
        at += ends[group]
    return starts


def _moved(name: str, match: re.Match[str], by: int) -> str:
    return f"{name[: match.start(1)]}{int(match[1]) + by}{name[match.end(1) :]}"
