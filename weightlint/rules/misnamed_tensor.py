"""Tensors are there under other names.

Checks: missing and unexpected tensors that are one renaming: prefix, dialect, segment, typing error.
Matters: a loader says both "missing" and "unexpected", far apart, and starts the missing ones from random numbers.
Example: every name begins with module., left by a training wrapper.
Cure: rename as the finding prints it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from weightlint.expected import Presence
from weightlint.finding import Level, Place, counted
from weightlint.join import fits
from weightlint.renames import mate
from weightlint.rule import Need, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.expected import Slot
    from weightlint.finding import Finding
    from weightlint.renames import Mate
    from weightlint.spelling import Spelling


Pair = tuple["Slot", "Mate"]


def check(case: Case) -> Iterator[Finding]:
    """Report the spelling of the whole checkpoint, then single renamings."""
    spelling = case.spelling
    if spelling is not None and (spelling.prefixes or _is_foreign(case, spelling)):
        yield _whole(case, spelling, _right(case, spelling))
    groups: dict[tuple[str, str], list[Pair]] = {}
    for slot in [slot for slot in case.ledger.missing if _is_missed(case, slot)]:
        found = mate(case.index, case.ledger.extra, slot, case.ledger.missing[slot])
        if found is not None:
            case.ledger.take_missing(slot, found.coords)
            case.ledger.take_extra(found.template, found.coords.values())
            old, new = change(slot.template, found.template)
            new = new if found.number is None else new.replace("*", str(found.number))
            groups.setdefault((old, new), []).append((slot, found))
    for (old, new), pairs in groups.items():
        yield _renamed(case, old, new, pairs)


def _is_missed(case: Case, slot: Slot) -> bool:
    """Tell whether a tensor may be missed: an optional one as well, if another is much like it."""
    if slot.absent == "part":
        return slot in case.joined.matched
    return slot.need is Presence.REQUIRED or (slot.need is Presence.OPTIONAL and slot.kind != "scale")


def _is_foreign(case: Case, spelling: Spelling) -> bool:
    """Tell whether the dialect is another than the wanted one, or in files where nobody expects it."""
    if case.wanted is not None:
        return spelling.dialect.name != case.wanted
    if case.loader is not None and _has_names_of_its_own(case):
        return not case.loader.reads(spelling.dialect.name)
    ranks = case.checkpoint.ranks
    if ranks is not None and spelling.dialect.name in ranks.sharding.dialects:
        return False
    return not spelling.dialect.at_home(file.path for file in case.index.files)


def _has_names_of_its_own(case: Case) -> bool:
    """Tell whether the loader knows the model and the format of its files, and that may be written in any dialect."""
    kind, release = case.checkpoint.format, case.loader
    if release is None or kind in {"gguf", "snapshot"} or not release.reads(kind):
        return False
    return case.contract is None or case.contract.unknown_in(case.arch or "", release.version) is None


def _right(case: Case, spelling: Spelling) -> int:
    """Take the tensors that have the right prefix where most have another; return how many."""
    count = 0
    for slot in list(case.ledger.missing):
        for template in [t for t in case.ledger.extra if t == spelling.unspell(slot.template)]:
            rows = case.ledger.extra[template].items()
            fitting = {coord for coord, row in rows if fits(slot, case.index.kind(row))}
            coords = case.ledger.take_missing(slot, fitting)
            count += len(case.ledger.take_extra(template, coords))
    return count


def _whole(case: Case, spelling: Spelling, right: int) -> Finding:
    changes = [f"{'.'.join(p.old) or 'nothing'} -> {'.'.join(p.new) or 'nothing'}" for p in spelling.prefixes]
    matched = spelling.joined.matched
    count = sum(map(len, matched.values()))
    widest = max(matched, key=lambda slot: (slot.pattern != slot.origin.rsplit("#", 1)[-1], slot.count))
    sample = case.index.names[matched[widest][0]]
    what = []
    if _is_foreign(case, spelling):
        instead = f", not {case.wanted}" if case.wanted else _unread(case, spelling)
        what.append(f"the names are those of {spelling.dialect.title} ({spelling.dialect.name}){instead}")
    if changes:
        what.append(f"the names have another prefix: {'; '.join(changes)}")
    return RULE.finding(
        f"{' and '.join(what)}, in {count:,} tensors, and {counted(right, 'other')} {'has' if right == 1 else 'have'} the right one"
        if right
        else f"{' and '.join(what)}, in all {count:,} tensors",
        place=Place(
            tensors=tuple(p for slot in list(matched)[:200] for p in slot.patterns()),
            files=_files(case, matched[widest][:1]),
        ),
        count=count,
        expected=_origin(widest) if _target(case) == "hf" else f"names of {_target(case)}",
        found=sample,
        cure=_cure(case, spelling),
    )


def _unread(case: Case, spelling: Spelling) -> str:
    """Say that the loader does not read names of this dialect, if it is that."""
    if case.loader is None or case.loader.reads(spelling.dialect.name):
        return ""
    return f", which {case.loader.says} does not read"


def _target(case: Case) -> str:
    """Return the dialect to rename to: the wanted one, or the loader's own."""
    own = case.loader.loader.dialects if case.loader is not None else frozenset({"hf"})
    return case.wanted or ("hf" if "hf" in own else min(own))


def _origin(slot: Slot) -> str:
    """Return the schema's own name of a slot's first tensor: what loaders of Hugging Face names look for."""
    pattern = slot.origin.rsplit("#", 1)[-1]
    numbers = next(iter(slot.coords()))
    literals = re.split(r"\{\w+\}", pattern)
    if len(literals) != len(numbers) + 1:
        return pattern
    return literals[0] + "".join(
        f"{number}{text}" for number, text in zip(numbers, literals[1:], strict=True)
    )


def _cure(case: Case, spelling: Spelling) -> str:
    steps = []
    if _is_foreign(case, spelling):
        wanted = _target(case)
        steps.append(f"`weightlint rename PATH --to {wanted}` prints the map of names")
        steps += [spelling.dialect.cure] if wanted == "hf" else []
        steps += [case.loader.loader.brings] if case.loader and case.loader.loader.brings else []
    for prefix in spelling.prefixes:
        old, new = ".".join(prefix.old), ".".join(prefix.new)
        if not old:
            steps.append(f"remove {new}. from the start of every name")
        elif not new:
            steps.append(f"put {old}. before every name that lacks it")
        else:
            steps.append(f"rename {new}. at the start of the names to {old}.")
    return "; ".join(steps)


def change(old: str, new: str) -> tuple[str, str]:
    """Return the segments in which two folded names differ."""
    a, b = old.split("."), new.split(".")
    while a and b and a[-1] == b[-1]:
        del a[-1], b[-1]
    while a and b and a[0] == b[0]:
        del a[0], b[0]
    return ".".join(a), ".".join(b)


def _renamed(case: Case, old: str, new: str, pairs: list[Pair]) -> Finding:
    from weightlint.names import brace, pieces

    count = sum(len(it.coords) for _, it in pairs)
    found = [text for _, it in pairs for text in brace(pieces(it.template), set(it.coords.values()))]
    wanted = [pattern for slot, it in pairs for pattern in slot.patterns(it.coords)]
    rows = [row for _, it in pairs for row in _rows(case, it)]
    if old and new:
        what, cure = f"has {new} where {old} belongs", f"rename {new} to {old}"
    elif new:
        what, cure = f"has an extra {new}.", f"remove {new}. from the name"
    else:
        what, cure = f"lacks {old}.", f"add {old}. to the name"
    return RULE.finding(
        f"{found[0] if count == 1 else f'{count:,} names'} {what if count == 1 else what.replace('has', 'have').replace('lacks', 'lack')}",
        place=Place(tensors=tuple(found), files=_files(case, rows)),
        count=count,
        expected=wanted[0],
        found=found[0],
        cure=f"{cure}: {found[0]} -> {wanted[0]}",
    )


def _rows(case: Case, found: Mate) -> list[int]:
    family = case.index.families[found.template]
    return [family[coord] for coord in found.coords.values()]


def _files(case: Case, rows: list[int]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(case.index.file(row) for row in rows))


RULE = Rule(
    code="WL203",
    name="misnamed-tensor",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    needs=frozenset({Need.TABLE, Need.EXPECTED}),
    turn=31,
)
