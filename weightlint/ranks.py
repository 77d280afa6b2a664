"""Rank files: which files of a folder are the ranks of one model, and which are not there.

Works on file names and the config; opens nothing.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import islice, product
from typing import TYPE_CHECKING, Any

from weightlint.names import brace, natural
from weightlint.sharding import SHARDINGS, Degrees, Rank

if TYPE_CHECKING:
    import re
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from weightlint.sharding import Sharding

MAX_MISSING = 10_000
"""Absent rank files that are named; more than any cluster has ranks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """The rank files of one model.

    `places` has the files that are read, `degrees` what names or config say of their number, `missing`
    the files that are not there although others or the config ask for them and `absent` their ranks,
    `others` the files of other numbers of ranks, by that number.
    """

    sharding: Sharding
    places: Mapping[str, Rank]
    degrees: Degrees
    missing: tuple[str, ...] = ()
    absent: tuple[Rank, ...] = ()
    others: Mapping[int, tuple[str, ...]]

    @property
    def width(self) -> int:
        """Number of tensor ranks: as stated, else one more than the highest."""
        return self.degrees.tp or 1 + max(rank.tp for rank in self.places.values())

    def label(self, ranks: Iterable[Rank]) -> list[str]:
        """Write ranks as exact patterns over the kinds of ranks that there are: `tp{0..7}.pp1`."""
        every = (*self.places.values(), *self.absent)
        axes = ["tp", *(axis for axis in ("pp", "ep") if any(getattr(rank, axis) for rank in every))]
        literals = [axes[0], *(f".{axis}" for axis in axes[1:]), ""]
        return brace(literals, {tuple(getattr(rank, axis) for axis in axes) for rank in ranks})


def found(names: Sequence[str], config: Mapping[str, Any]) -> Ranks | None:
    """Find the rank files among the files of a folder, or return None where there are none."""
    for sharding in SHARDINGS.values():
        matches = [match for name in names if (match := sharding.pattern.fullmatch(name))]
        if matches:
            return _chosen(sharding, matches, config)
    return None


def _chosen(sharding: Sharding, matches: Sequence[re.Match[str]], config: Mapping[str, Any]) -> Ranks:
    """Choose the set of one number of ranks: a complete one first, then the one with most files."""
    sets: dict[tuple[int, frozenset[str]], list[re.Match[str]]] = defaultdict(list)
    for match in matches:
        numbers = _numbers(match)
        sets[numbers.get("of", 0), frozenset(numbers)].append(match)

    def worth(key: tuple[int, frozenset[str]]) -> tuple[bool, int, int]:
        return len(sets[key]) >= key[0], len(sets[key]), key[0]

    main = max(sets, key=worth)
    others: dict[int, tuple[str, ...]] = {}
    for key, found_there in sets.items():
        if key != main:
            others[key[0]] = (*others.get(key[0], ()), *(match.string for match in found_there))
    return _ranks(sharding, sets[main], config, others=others)


def _ranks(
    sharding: Sharding,
    matches: Sequence[re.Match[str]],
    config: Mapping[str, Any],
    *,
    others: Mapping[int, tuple[str, ...]],
) -> Ranks:
    numbers = {match.string: _numbers(match) for match in matches}
    degrees = sharding.degrees(config)
    if of := next(iter(numbers.values())).get("of"):
        degrees = degrees._replace(tp=of)
    gaps = list(islice(_gaps(list(numbers.values()), degrees), MAX_MISSING))
    place = sharding.place or _plain

    def placed(number: Mapping[str, int]) -> Rank:
        return place(number, config)

    return Ranks(
        sharding=sharding,
        places={file: placed(number) for file, number in numbers.items()},
        degrees=degrees,
        missing=tuple(_named(matches, gap) for gap in gaps),
        absent=tuple(map(placed, gaps)),
        others=others,
    )


def _numbers(match: re.Match[str]) -> dict[str, int]:
    return {group: int(text) for group, text in match.groupdict().items() if text is not None}


def _plain(numbers: Mapping[str, int], _: Mapping[str, Any]) -> Rank:
    return Rank(*(numbers.get(axis, 0) for axis in Rank._fields))


def _gaps(there: Sequence[Mapping[str, int]], degrees: Degrees) -> Iterator[dict[str, int]]:
    """Yield the numbers of files that are not there: of absent ranks, then of absent parts."""
    stated = {"tp": degrees.tp, "pp": degrees.pp, "ep": degrees.ep, "rank": _world(degrees)}
    axes = [axis for axis in ("rank", "pp", "tp", "ep") if axis in there[0]]
    ends = [max(stated[axis] or 0, 1 + max(number[axis] for number in there)) for axis in axes]
    seen = {tuple(number[axis] for axis in axes) for number in there}
    base = {group: number for group, number in there[0].items() if group not in axes}
    if not _diagonal(seen, axes):
        for at in product(*map(range, ends)):
            if at not in seen:
                yield {**base, **dict(zip(axes, at, strict=True)), **({"part": 0} if "part" in base else {})}
    if "part" in base:
        yield from _part_gaps(there, axes)


def _world(degrees: Degrees) -> int | None:
    return (degrees.tp or 1) * (degrees.pp or 1) if degrees.tp or degrees.pp else None


def _diagonal(seen: Collection[tuple[int, ...]], axes: Sequence[str]) -> bool:
    """Tell whether each tensor rank has one expert rank, equally many each: experts cut less than the rest.

    Source: Megatron-LM with expert-tensor-parallel-size below tensor-model-parallel-size, whose ranks
    (tp 0, ep 0) and (tp 1, ep 1) are all that there is of 2 x 2.
    """
    if "ep" not in axes or len({at[-1] for at in seen}) == 1:
        return False
    tensor = {at[:-1] for at in seen}
    experts = {at[-1] for at in seen}
    return len(tensor) == len(seen) and len(seen) % len(experts) == 0 and len(seen) > 1


def _part_gaps(there: Sequence[Mapping[str, int]], axes: Sequence[str]) -> Iterator[dict[str, int]]:
    parts: dict[tuple[int, ...], set[int]] = defaultdict(set)
    for number in there:
        parts[tuple(number[axis] for axis in axes)].add(number["part"])
    for at, numbers in parts.items():
        for part in range(max(numbers)):
            if part not in numbers:
                yield {**there[0], **dict(zip(axes, at, strict=True)), "part": part}


def _named(matches: Sequence[re.Match[str]], numbers: Mapping[str, int]) -> str:
    """Write the name of a file like those that are there, with other numbers."""
    first = min(matches, key=lambda match: natural(match.string))
    out, at = "", 0
    for group in sorted(numbers, key=first.start):
        texts = [match[group] for match in matches]
        width = min(map(len, texts)) if any(text[0] == "0" and len(text) > 1 for text in texts) else 0
        out += f"{first.string[at : first.start(group)]}{numbers[group]:0{width}d}"
        at = first.end(group)
    return out + first.string[at:]
