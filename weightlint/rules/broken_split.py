"""The parts of a split GGUF model do not make one model.

Checks: split.no, split.count and split.tensors.count against the names of the parts and what they hold.
Matters: llama.cpp finds parts by name alone, refuses a set that is out of order, and takes one of two runs in silence.
Example: parts 2 and 3 carry each other's name; llama.cpp says invalid split file idx: 2, expected 1.
Cure: give each part the name that its split.no asks for, or download the set again; never join parts with cat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weightlint.finding import Level, Place, counted
from weightlint.gguf.parts import part_name
from weightlint.index import FaultKind
from weightlint.names import patterns
from weightlint.rule import Rule
from weightlint.split_set import disagreements, foreign_types, pieces

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weightlint.case import Case
    from weightlint.finding import Finding
    from weightlint.split_set import Piece

FIRST_KEYS = {"split.no": "u16", "split.count": "u16", "split.tensors.count": "i32"}
"""Keys that llama.cpp demands of the first part, with the types that it takes."""


def check(case: Case) -> Iterator[Finding]:
    """Look for the first thing that keeps the parts from being one model: the rest follows from it."""
    joined = [RULE.told(fault) for fault in case.faults(FaultKind.SPLIT)]
    yield from joined
    found = pieces(case)
    if joined or not found:
        return
    for look in (_names, _first, _numbers, _twice, _total, _runs):
        said = list(look(case, found))
        yield from said
        if said:
            return


def _names(case: Case, found: Sequence[Piece]) -> Iterator[Finding]:
    """Compare names with each other and with the number of parts that the first one gives."""
    first, said = found[0], found[0].number("split.count")
    if first.part is None:
        no = first.number("split.no") or 0
        yield _finding(
            f"{first} says that it is part {no + 1:,} of {said:,}, its name does not: llama.cpp says invalid split "
            "file name",
            [first],
            expected=f"a name that ends in {part_name('', no + 1, said or 0)}",
            found=first.path,
            cure="give all parts their names back",
        )
    elif not all(piece.part and piece.part.exact for piece in found):
        wrong = [piece for piece in found if not (piece.part and piece.part.exact)]
        name = part_name(first.part.base, first.part.at, first.part.of)
        yield _finding(
            f"the numbers in the names of {counted(len(wrong), 'part')} have not five digits: llama.cpp says "
            "invalid split file name",
            wrong,
            expected=name,
            found=wrong[0].path,
            cure="rename the parts to five digits",
        )
    elif len({piece.part.base for piece in found if piece.part}) > 1:
        odd = [piece for piece in found if piece.part and piece.part.base != first.part.base]
        yield _finding(
            f"part 1 is {first}, by which llama.cpp looks for {part_name(first.part.base, 2, first.part.of)}; the other "
            "parts have another name",
            odd,
            cure="give all parts the same name before -0000N-of-0000M",
        )
    elif said is not None and first.part.at == 1 and said != first.part.of:
        yield _finding(
            f"the names say {first.part.of:,} parts, split.count of {first} says {said:,}: llama.cpp says invalid "
            "split file name",
            [first],
            expected=f"split.count {first.part.of:,}",
            found=f"split.count {said:,}",
            cure="download the set again: its parts are of two sets, or were renamed",
        )
    del case


def _first(case: Case, found: Sequence[Piece]) -> Iterator[Finding]:
    """Demand the keys by which llama.cpp opens a set."""
    first = found[0]
    if first.lost or first.part is None or first.part.at != 1:
        return
    for key, type_ in FIRST_KEYS.items():
        value = first.values.get(key)
        if value is not None and value.type == type_:
            continue
        what = "is not there" if value is None else f"is {value.spelling}, llama.cpp takes {type_}"
        alone = ": llama.cpp loads this part alone" if value is None and key == "split.count" else ""
        yield _finding(
            f"{key} of {first}, part 1 of {first.part.of:,}, {what}{alone}",
            [first],
            expected=f"{key} as {type_}",
            found="no such key" if value is None else value.spelling,
            cure="split the model again with llama-gguf-split, or download the set again",
        )
        break
    del case


def _numbers(case: Case, found: Sequence[Piece]) -> Iterator[Finding]:
    """Compare the place that each part gives with the place in its name."""
    there = [
        (piece, piece.part.at, piece.values.get("split.no"))
        for piece in found
        if piece.part and not piece.lost
    ]
    bad = [(piece, value) for piece, _, value in there if value is None or value.type != "u16"]
    for piece, value in bad[:1]:
        what = "has no split.no" if value is None else f"gives split.no as {value.spelling}"
        then = "refuses the set" if value is None else "aborts"
        yield _finding(
            f"{piece} {what}: llama.cpp {then}",
            [piece for piece, _ in bad],
            expected="split.no as u16",
            found="no such key" if value is None else value.spelling,
            cure="split the model again with llama-gguf-split, or download this part again",
        )
    wrong = [
        (piece, at, value.value) for piece, at, value in there if value is not None and value.value != at - 1
    ]
    if bad or not wrong:
        return
    case.ledger.doubled.clear()
    case.ledger.missing.clear()
    piece, at, no = wrong[0]
    yield _finding(
        f"{_mixed_up([(at, no) for _, at, no in wrong], len(there))}: llama.cpp says invalid split file idx",
        [piece for piece, _, _ in wrong],
        expected=f"split.no {at - 1} in {piece}",
        found=f"split.no {no}",
        cure="give each part the name that its split.no, counted from 0, asks for; download what is then absent",
    )


def _mixed_up(wrong: Sequence[tuple[int, int]], count: int) -> str:
    """Say how the parts, pairs of the place by name and split.no, came out of order."""
    places = ", ".join(str(at) for at, _ in wrong[:5])
    if len(wrong) == count and all(no == at for at, no in wrong):
        return "split.no counts from 1, not from 0"
    if {at - 1 for at, _ in wrong} == {no for _, no in wrong}:
        return f"parts {places} carry each other's name"
    if len(wrong) == 1:
        return f"part {wrong[0][0]} says that it is part {wrong[0][1] + 1}"
    return f"parts {places} say that they are parts {', '.join(str(no + 1) for _, no in wrong[:5])}"


def _twice(case: Case, found: Sequence[Piece]) -> Iterator[Finding]:
    """Look for tensors that stand in two parts."""
    index, doubled = case.index, list(case.ledger.doubled)
    case.ledger.doubled.clear()
    if doubled:
        names = [index.names[row] for _, row in doubled]
        files = dict.fromkeys(index.file(row) for pair in doubled for row in pair)
        yield RULE.finding(
            f"the set holds {counted(len(names), 'tensor')} in two parts at once: llama.cpp says invalid model",
            place=Place(tensors=tuple(patterns(names)), files=tuple(files)),
            count=len(names),
            cure="download the set again: its parts were not made in one run",
        )
    del found


def _total(case: Case, found: Sequence[Piece]) -> Iterator[Finding]:
    """Compare the number of tensors with the one that the first part gives."""
    said, there = found[0].number("split.tensors.count"), sum(piece.tensors for piece in found)
    absent = case.checkpoint.absent or case.checkpoint.series_gaps() or any(piece.lost for piece in found)
    if said is None or said == there or absent:
        return
    lost = [slot.name(coord) for slot, coords in case.ledger.missing.items() for coord in coords]
    lost = lost if len(lost) == said - there else []
    case.ledger.drop_missing(set(lost))
    yield RULE.finding(
        f"split.tensors.count of {found[0]} says {counted(said, 'tensor')}, the parts hold {there:,}: llama.cpp says "
        "corrupted model",
        place=Place(tensors=tuple(patterns(lost)), files=tuple(map(str, found))),
        count=max(1, abs(said - there)),
        expected=counted(said, "tensor"),
        found=f"{there:,}",
        cure="download the set again: its parts were not made in one run",
    )


def _runs(case: Case, found: Sequence[Piece]) -> Iterator[Finding]:
    """Look for a part that another run left: llama.cpp does not notice."""
    for piece in found[1:]:
        keys = disagreements(found[0], piece)
        if len(keys) > 1:
            yield _finding(
                f"{piece} gives other values than {found[0]} to {counted(len(keys), 'key')} ({', '.join(keys[:3])}): it "
                "seems to be of another model; llama.cpp reads the keys of part 1 only and loads it without a word",
                [piece],
                level=Level.WARNING,
                cure="download the set again, all parts from one place",
            )
            return
    for piece, own, others in foreign_types(case, found):
        yield _finding(
            f"every family of {piece} that other parts hold as well has another type there: it seems to be of another "
            "quantisation; llama.cpp loads it without a word",
            [piece],
            level=Level.WARNING,
            expected=" or ".join(sorted(others)),
            found=" and ".join(sorted(own)),
            cure="download the set again, all parts from one place",
        )
        return


def _finding(message: str, files: Sequence[Piece], **words: Any) -> Finding:
    place = Place(files=tuple(map(str, files)))
    return RULE.finding(message, place=place, count=len(files), unit="file", **words)


RULE = Rule(
    code="WL106",
    name="broken-split",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    turn=9,
)
