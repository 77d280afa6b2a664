"""The index and the headers of the shards disagree.

Checks: every tensor of the index against the shard that it names, both ways; total_size; files that no index names.
Matters: loaders trust the index: transformers 4 loads with a copied shard and reports nothing missing.
Example: the index places experts.3.down_proj in shard 2, whose header does not have it.
Cure: rebuild the index from the shards, or download index and shards of one revision.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from weightlint.checkpoint import is_second_set
from weightlint.finding import Level, Place
from weightlint.index import UNKNOWN, FaultKind
from weightlint.names import MIN_LIKENESS, expand, fold, likeness, natural, patterns
from weightlint.rule import Need, Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from weightlint.case import Case
    from weightlint.finding import Finding
    from weightlint.names import Coord

REBUILD = "rebuild the index from the shards, or download index and shards of one revision"
MAX_TOTAL = 1 << 63


def check(case: Case) -> Iterator[Finding]:
    """Compare the index with the headers, then look at what neither names."""
    checkpoint = case.checkpoint
    if checkpoint.map is None:
        return
    if checkpoint.names_only:
        yield from _declared_size(case)
        return
    lost = checkpoint.lost_files
    claimed = checkpoint.map.entries
    entries = {name: file for name, file in claimed.items() if file not in lost} if lost else claimed
    if _places(case) == entries:
        yield from _total_size(case)
    else:
        yield from _disagreements(case, entries, _homes(case))
    yield from _strays(case)


def _places(case: Case) -> dict[str, str]:
    """Return the file of each tensor, the last one where several hold it."""
    paths = [file.path for file in case.index.files]
    return dict(zip(case.index.names, map(paths.__getitem__, case.index.file_ids), strict=True))


def _homes(case: Case) -> dict[str, list[str]]:
    """Return the files that really hold each tensor."""
    homes: dict[str, list[str]] = defaultdict(list)
    for row, name in enumerate(case.index.names):
        homes[name].append(case.index.file(row))
    return dict(homes)


def _disagreements(
    case: Case, entries: Mapping[str, str], homes: Mapping[str, list[str]]
) -> Iterator[Finding]:
    phantom: dict[str, list[str]] = defaultdict(list)
    moved: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, file in entries.items():
        if name not in homes:
            phantom[file].append(name)
        elif file not in homes[name]:
            moved[file, homes[name][0]].append(name)
    for file in list(phantom):
        copy = _copied(case, file)
        if copy:
            yield _copy(case, file, copy, phantom.pop(file))
    refused = {name for fault in case.faults(FaultKind.UNSAFE) for p in fault.tensors for name in expand(p)}
    unlisted = {name for name in homes if name not in entries and name not in refused}
    renamed = _renamed([name for group in phantom.values() for name in group], unlisted)
    phantom = {
        file: left for file, names in phantom.items() if (left := [n for n in names if n not in renamed])
    }
    unlisted -= renamed
    if phantom:
        yield _phantom(case, phantom)
    if moved:
        yield _moved(case, moved)
    if unlisted:
        yield _unlisted(case, sorted(unlisted, key=natural), homes)


def _renamed(phantom: list[str], unlisted: set[str]) -> set[str]:
    """Return the names that index and headers spell differently: one renaming, another rule's matter."""
    if not phantom or not unlisted:
        return set()
    found: set[str] = set()
    claimed, held = _families(phantom), _families(unlisted)
    for old, olds in claimed.items():
        for new, news in held.items():
            if olds.keys() <= news.keys() and likeness(old, new) >= MIN_LIKENESS:
                found |= {*olds.values(), *(news[coord] for coord in olds)}
    return found


def _families(names: Iterable[str]) -> dict[str, dict[Coord, str]]:
    families: dict[str, dict[Coord, str]] = defaultdict(dict)
    for name in names:
        template, coord = fold(name)
        families[template][coord] = name
    return families


def _copied(case: Case, file: str) -> str | None:
    """Return the file whose tensors, all of them, this file repeats."""
    index = case.index
    mine = {row for row in range(len(index)) if index.file(row) == file} if case.ledger.doubled else set()
    first = {row: a for a, row in case.ledger.doubled} | dict(case.ledger.doubled)
    if not mine or not mine <= set(first):
        return None
    others = {index.file(first[row]) for row in mine}
    return others.pop() if len(others) == 1 else None


def _copy(case: Case, file: str, other: str, names: list[str]) -> Finding:
    index = case.index
    case.ledger.doubled = [pair for pair in case.ledger.doubled if file not in map(index.file, pair)]
    case.ledger.drop_missing(set(names))
    return RULE.finding(
        f"{file} holds the tensors of {other}, not the {len(names):,} that the index places in it: "
        "one shard was copied over the other",
        place=Place(tensors=tuple(patterns(names)), files=(file,)),
        count=len(names),
        cure=f"download {file} again",
    )


def _phantom(case: Case, phantom: Mapping[str, list[str]]) -> Finding:
    names = [name for group in phantom.values() for name in group]
    case.ledger.drop_missing(set(names))
    assert case.checkpoint.map is not None
    return RULE.finding(
        f"{case.checkpoint.map.path} names {_tensors(names)} that no header has",
        place=Place(tensors=tuple(patterns(names)), files=tuple(sorted(phantom, key=natural))),
        count=len(names),
        expected="in the named shard",
        found="in no shard",
        cure="download the named shards again; if they are right, the tensors were never saved and the "
        "index must be rebuilt",
    )


def _moved(case: Case, moved: Mapping[tuple[str, str], list[str]]) -> Finding:
    names = [name for group in moved.values() for name in group]
    (said, real), *more = sorted(moved, key=lambda pair: (natural(pair[0]), natural(pair[1])))
    swapped = (real, said) in moved and _whole(case, said) <= set(names)
    what = (
        f"{said} and {real} are swapped"
        if swapped and len(more) == 1
        else f"the index places {_tensors(names)} in the wrong shard"
    )
    return RULE.finding(
        what,
        place=Place(tensors=tuple(patterns(names)), files=tuple(dict.fromkeys((said, real)))),
        count=len(names),
        expected=f"in {said}, as the index says",
        found=f"in {real}" + (f", and {len(more):,} more such pairs" if more and not swapped else ""),
        cure=f"exchange the names of {said} and {real}" if swapped else REBUILD,
    )


def _whole(case: Case, file: str) -> set[str]:
    return {name for row, name in enumerate(case.index.names) if case.index.file(row) == file}


def _unlisted(case: Case, names: list[str], homes: Mapping[str, list[str]]) -> Finding:
    assert case.checkpoint.map is not None
    files = sorted({homes[name][0] for name in names}, key=natural)
    return RULE.finding(
        f"{case.checkpoint.map.path} does not name {_tensors(names)} that its shards hold: some loaders "
        "read them, others leave them out",
        level=Level.WARNING,
        place=Place(tensors=tuple(patterns(names)), files=tuple(files)),
        count=len(names),
        cure=REBUILD,
    )


def _total_size(case: Case) -> Iterator[Finding]:
    assert case.checkpoint.map is not None
    said = case.checkpoint.map.total_size
    yield from _declared_size(case)
    unsure = (
        case.checkpoint.lost_files
        or case.checkpoint.faults
        or case.ledger.doubled
        or UNKNOWN in case.index.kinds
    )
    if _impossible(said) or said is None or unsure:
        return
    real = sum(case.index.stops) - sum(case.index.starts)
    if said != real and said not in _other_sums(case):
        yield RULE.finding(
            f"total_size of {case.checkpoint.map.path} is not the sum of its tensors",
            level=Level.WARNING,
            place=Place(files=(case.checkpoint.map.path,)),
            unit="file",
            expected=f"{real:,} bytes",
            found=f"{said:,} bytes",
            cure=REBUILD,
        )


def _other_sums(case: Case) -> set[float]:
    """Return the sums by other ways of counting that transformers has had.

    Tensors on the same bytes count once (its `shard_checkpoint`), and a bool is one bit (its
    `dtype_byte_size`): total_size of RedPajama-INCITE-7B is right in that way.
    """
    index = case.index
    spans = list(zip(index.file_ids, index.starts, index.stops, index.kind_ids, strict=True))
    bools = {at for at, kind in enumerate(index.kinds) if kind.dtype == "BOOL"}
    sums: set[float] = set()
    for counted in (spans, {span[:3]: span for span in spans}.values()):
        whole = sum(stop - start for _, start, stop, _ in counted)
        flags = sum(stop - start for _, start, stop, kind in counted if kind in bools)
        sums |= {whole, whole - flags + flags / 8}
    return sums


def _declared_size(case: Case) -> Iterator[Finding]:
    assert case.checkpoint.map is not None
    said = case.checkpoint.map.total_size
    if _impossible(said):
        yield RULE.finding(
            f"total_size of {case.checkpoint.map.path} is no size in bytes",
            level=Level.WARNING,
            place=Place(files=(case.checkpoint.map.path,)),
            unit="file",
            found=_shown(said),
            cure=REBUILD,
        )


def _impossible(said: object) -> bool:
    if said is None:
        return False
    if isinstance(said, bool) or not isinstance(said, (int, float)):
        return True
    return not 0 <= said < MAX_TOTAL


def _shown(said: object) -> str:
    if isinstance(said, int) and abs(said) > MAX_TOTAL:
        return f"a number of {len(str(said)) if said.bit_length() < 10_000 else 'over 3,000'} digits"
    return repr(said)[:60]


def _strays(case: Case) -> Iterator[Finding]:
    """Name the tensor files beside the indexed ones that hold something the index lacks."""
    strays, rows = case.checkpoint.strays, case.index.rows
    by_file: dict[str, list[str]] = defaultdict(list)
    for row, name in enumerate(strays.names):
        by_file[strays.file(row)].append(name)
    missing = {slot.name(c) for slot, coords in case.ledger.missing.items() for c in coords}
    for file, names in by_file.items():
        new = [name for name in names if name not in rows]
        if not new or (is_second_set(file) and len(new) == len(names)):
            continue
        needed = missing & set(new)
        case.ledger.drop_missing(needed)
        yield RULE.finding(
            f"{file} is not named by the index, so loaders that go by the index leave its "
            f"{len(names):,} tensors out" + (f"; {len(needed):,} of them are needed" if needed else ""),
            level=Level.ERROR if needed else Level.WARNING,
            place=Place(tensors=tuple(patterns(needed or new)), files=(file,)),
            count=len(needed or new),
            cure="rebuild the index with this file"
            if needed
            else "remove the file, or rebuild the index with it",
        )


def _tensors(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names):,} tensors"


RULE = Rule(
    code="WL104",
    name="stale-index",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    needs=frozenset({Need.TABLE}),
    turn=12,
)
