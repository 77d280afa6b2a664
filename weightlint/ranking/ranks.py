"""Rank files: which files of a folder are the ranks of one model, and which are not there.

Works on file names and the config; opens nothing.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from weightlint.names import brace, natural
from weightlint.sharding import SHARDINGS, Degrees, Rank

if TYPE_CHECKING:
    import re
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from weightlint.sharding import Numbers, Sharding

MAX_ABSENT = 10_000
"""Absent ranks that are named; more than any cluster has."""

Key = tuple[int, frozenset[str]]
"""What tells files of one run: the number of ranks in their names, and which numbers a name has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """The rank files of one model.

    `places` has the files that are read, `degrees` what names or config say of their number, `missing`
    the files that are not there although others or the config ask for them and `absent` their ranks,
    `others` the files of other numbers of ranks, by that number (0 where the name does not say it).
    `contradiction` says where the config is at odds with itself.
    """

    sharding: Sharding
    places: Mapping[str, Rank]
    degrees: Degrees
    missing: tuple[str, ...] = ()
    absent: tuple[Rank, ...] = ()
    others: Mapping[int, tuple[str, ...]]
    contradiction: str | None = None

    @property
    def width(self) -> int:
        """Number of tensor ranks: as stated, else one more than the highest."""
        return self.degrees.tp or 1 + max(rank.tp for rank in self.places.values())

    def label(self, ranks: Iterable[Rank]) -> list[str]:
        """Write ranks as exact patterns over the kinds of ranks that there are: `tp{0..7}.pp1`."""
        every = (*self.places.values(), *self.absent)
        axes = ["tp", *(axis for axis in ("pp", "ep", "cp") if any(getattr(rank, axis) for rank in every))]
        literals = [axes[0], *(f".{axis}" for axis in axes[1:]), ""]
        return brace(literals, {tuple(getattr(rank, axis) for axis in axes) for rank in ranks})


def found(names: Sequence[str], config: Mapping[str, Any]) -> Ranks | None:
    """Find the rank files among the files of a folder, or return None where there are none."""
    for sharding in SHARDINGS.values():
        matches = [match for name in names if (match := sharding.pattern.fullmatch(name))]
        if matches:
            ranks = _chosen(sharding, matches, sharding.degrees(config))
            return replace(ranks, contradiction=sharding.contradicts(config))
    return None


def _chosen(sharding: Sharding, matches: Sequence[re.Match[str]], said: Degrees) -> Ranks:
    """Choose the set of one number of ranks: a complete one first, then the one with most files."""
    sets: dict[Key, list[re.Match[str]]] = defaultdict(list)
    for match in matches:
        numbers = _numbers(match)
        sets[numbers.get("of", 0), frozenset(numbers)].append(match)

    def worth(key: Key) -> tuple[bool, int, int]:
        return len(sets[key]) >= key[0], len(sets[key]), key[0]

    main = max(sets, key=worth)
    degrees = said._replace(tp=main[0]) if main[0] else said
    placed = {match: sharding.place(_numbers(match), degrees) for match in sets[main]}
    own = [match for match, rank in placed.items() if _within(rank, degrees)] or sets[main]
    read = {match.string for match in own}
    others: dict[int, list[str]] = defaultdict(list)
    for (of, _), there in sets.items():
        others[of] += [match.string for match in there if match.string not in read]
    absent = list(islice(_absent([placed[match] for match in own], degrees), MAX_ABSENT))
    return Ranks(
        sharding=sharding,
        places={match.string: placed[match] for match in own},
        degrees=degrees,
        missing=tuple(_named(sharding, own, rank, degrees) for rank in absent),
        absent=tuple(absent),
        others={of: tuple(files) for of, files in sorted(others.items()) if files},
    )


def _numbers(match: re.Match[str]) -> Numbers:
    return {group: int(text) for group, text in match.groupdict().items() if text is not None}


def _within(rank: Rank, degrees: Degrees) -> bool:
    """Tell whether a rank is one of those that names or config speak of."""
    return all(count is None or at < count for at, count in zip(rank, degrees, strict=False))


def _absent(there: Sequence[Rank], degrees: Degrees) -> Iterator[Rank]:
    """Yield the ranks of which nothing is there, then those that lack a part before their last."""
    lanes = {rank._replace(part=0) for rank in there}
    ends = [
        max(count or 0, 1 + max(at)) for at, count in zip(zip(*lanes, strict=True), degrees, strict=False)
    ]
    if not _diagonal(lanes):
        yield from (rank for rank in _every(ends) if rank not in lanes)
    parts: dict[Rank, set[int]] = defaultdict(set)
    for rank in there:
        parts[rank._replace(part=0)].add(rank.part)
    for lane, numbers in parts.items():
        yield from (lane._replace(part=part) for part in range(max(numbers)) if part not in numbers)


def _every(ends: Sequence[int]) -> Iterator[Rank]:
    """Yield every rank below these ends, one after the other: there may be very many."""
    tps, pps, eps, cps = map(range, ends)
    return (Rank(tp, pp, ep, cp) for pp in pps for ep in eps for cp in cps for tp in tps)


def _diagonal(lanes: Collection[Rank]) -> bool:
    """Tell whether each tensor rank has one expert rank, equally many each: experts cut less than the rest.

    Source: Megatron-LM with expert-tensor-parallel-size below tensor-model-parallel-size, whose ranks
    (tp 0, ep 0) and (tp 1, ep 1) are all that there is of 2 x 2.
    """
    experts = {rank.ep for rank in lanes}
    tensor = {rank._replace(ep=0) for rank in lanes}
    return len(experts) > 1 and len(tensor) == len(lanes) and len(lanes) % len(experts) == 0


def _named(sharding: Sharding, matches: Sequence[re.Match[str]], rank: Rank, degrees: Degrees) -> str:
    """Write the name of a rank's file like those that are there."""
    first = min(matches, key=lambda match: natural(match.string))
    numbers = sharding.numbers(rank, _numbers(first), degrees)
    out, at = "", 0
    for group in sorted(numbers, key=first.start):
        texts = [match[group] for match in matches]
        width = min(map(len, texts)) if any(text[0] == "0" and len(text) > 1 for text in texts) else 0
        out += f"{first.string[at : first.start(group)]}{numbers[group]:0{width}d}"
        at = first.end(group)
    return out + first.string[at:]
