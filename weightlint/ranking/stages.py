"""Numbers that count within a rank, counted anew over the whole model.

A stage's layer 0 is the first layer after those of the stages before it, as many as were found there;
likewise for experts that every expert rank counts from 0. Of virtual stages all ranks' first come before
all ranks' second, as Megatron-LM deals them out (megatron/core/transformer/transformer_layer.py).
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from weightlint.index import Index
    from weightlint.sharding import Rank, Sharding


def renumber(index: Index, places: Sequence[Rank], sharding: Sharding) -> Iterable[str]:
    """Return the name of every row in the whole model; `places` are the ranks by file id."""
    names: Sequence[str] = index.names
    at = [places[file_id] for file_id in index.file_ids]
    if sharding.trunk is None and sharding.layers is None and sharding.experts is None:
        return names
    trunks = [sharding.trunk.match(name) for name in names] if sharding.trunk else [None] * len(names)
    stages = [(int((trunk and trunk[1]) or 0), rank.pp) for trunk, rank in zip(trunks, at, strict=True)]
    names = [name[trunk.end() :] if trunk else name for name, trunk in zip(names, trunks, strict=True)]
    if sharding.layers is not None:
        numbers = re.compile(re.escape(sharding.layers) + r"(\d{1,9})(?![^.])")
        names = _shifted(names, numbers, stages)
    if sharding.experts is not None:
        names = _shifted(names, sharding.experts, [rank.ep for rank in at])
    return names


def _shifted(names: Sequence[str], number: re.Pattern[str], groups: Sequence[Hashable]) -> Sequence[str]:
    """Add to the number in each name how many there are in the groups before its own."""
    found = [number.search(name) for name in names]
    counts: dict[Hashable, int] = defaultdict(int)
    for match, group in zip(found, groups, strict=True):
        if match is not None:
            counts[group] = max(counts[group], 1 + int(match[1]))
    first, at = {}, 0
    for group in sorted(counts):  # type: ignore[type-var]  # stages and ranks are numbers
        first[group] = at
        at += counts[group]
    return [
        name
        if match is None
        else f"{name[: match.start(1)]}{int(match[1]) + first[group]}{name[match.end(1) :]}"
        for name, match, group in zip(names, found, groups, strict=True)
    ]
