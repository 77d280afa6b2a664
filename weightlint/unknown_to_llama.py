"""What a release of llama.cpp does not know of a GGUF file and a later one does, as findings.

The file is sound: the release stops with an error that does not say that it is too old.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint import llama
from weightlint.finding import Level, Place, printable
from weightlint.keys import ARCHITECTURE, Keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from weightlint.case import Case
    from weightlint.finding import Finding
    from weightlint.key_faults import KeyFault
    from weightlint.loader_age import Objections
    from weightlint.rule import Rule

OTHERWISE = {"aborts": "dies of an assertion at load", "dies": "loads the file and dies at the first token"}
UNHEARD = "correct general.architecture with gguf-set-metadata, or look for a loader that knows it"


def told(case: Case, rule: Rule) -> Iterator[Finding]:
    """Report an architecture that the release does not know, else all that only a later release takes."""
    release = llama.release_of(case.loader)
    if release is None or not isinstance(case.config, Keys) or case.checkpoint.is_companion:
        return
    if case.schema is None:
        yield from _architecture(rule, case, case.config, release)
        return
    from weightlint.loader_age import by_release, objections

    count = len(case.index) - len(objections(case).extra)
    for first, settled in by_release(case).items():
        yield from (_key(rule, case, case.config, fault, first) for fault in settled.keys.values())
        if settled.missing:
            yield _missing(rule, case, settled, first)
        elif settled.extra:
            yield _extra(rule, case, settled, first, count)
        if settled.misfits:
            yield _misfit(rule, case, settled, first)


def _architecture(rule: Rule, case: Case, keys: Keys, release: str) -> Iterator[Finding]:
    known, name = llama.architectures(release), printable(keys.prefix)
    if not keys.prefix or keys.prefix in known:
        return
    case.ledger.told.add(ARCHITECTURE)
    first = llama.learned(keys.prefix)
    words = llama.words(release)["architecture"].format(name=name)
    yield rule.finding(
        f"{case.loader} does not know the architecture of {keys.path} and stops: {words}",
        level=_level(case),
        place=Place(files=(keys.path,)),
        unit="key",
        expected=f"one of {len(known)} architectures" + (f"; {_later(first)} know this one" if first else ""),
        found=f"{ARCHITECTURE} = {name}",
        cure=_cure(case, first) if first else UNHEARD,
    )


def _key(rule: Rule, case: Case, keys: Keys, fault: KeyFault, first: str) -> Finding:
    case.ledger.told |= {fault.key, *fault.covers}
    for ignore in fault.explains:
        case.ledger.forget(case.index, ignore.matcher())
    return rule.finding(
        f"{keys.path}: {keys.spelled(fault.key)} {fault.what}; {case.loader} {_stops(case, keys, fault)}",
        level=_level(case),
        place=Place(files=(keys.path,)),
        unit="key",
        expected=f"{fault.expected}; {_later(first)} take the file as it is",
        found=fault.found,
        cure=_cure(case, first),
    )


def _stops(case: Case, keys: Keys, fault: KeyFault) -> str:
    words, name = llama.words(llama.release_of(case.loader)), keys.spelled(fault.key)
    value = keys.value(fault.key)
    if value is None and fault.otherwise == "refuses":
        return f"stops: {words['key'].format(name=name)}"
    if value is not None and fault.found == value.spelling:
        return f"stops: {words['type'].format(name=name, found=value.type, expected=fault.expected)}"
    return OTHERWISE.get(fault.otherwise, "refuses the file")


def _missing(rule: Rule, case: Case, settled: Objections, first: str) -> Finding:
    """Report what the release still asks for, with what stands in its place in this file."""
    slot, coord = min(settled.missing.values(), key=lambda at: at[1][:1])
    for each, at in settled.missing.values():
        case.ledger.take_missing(each, [at])
    rows = _take_extra(case, settled.extra)
    wanted, words = _patterns(settled.missing), llama.words(llama.release_of(case.loader))
    place = case.place(rows) if rows else Place(tensors=wanted, files=case.sibling_files(slot, [coord]))
    subject = f"takes no {_patterns(settled.extra)[0]}" if rows else f"asks for {wanted[0]}"
    return rule.finding(
        f"{case.loader} {subject} and stops: {words['missing'].format(name=slot.name(coord))}",
        level=_level(case),
        place=place,
        count=len(rows) or len(settled.missing),
        expected=f"{', '.join(wanted)}; {_later(first)} take the file as it is",
        found=f"{', '.join(_patterns(settled.extra))} in their place" if rows else "no such tensor",
        cure=_cure(case, first),
    )


def _extra(rule: Rule, case: Case, settled: Objections, first: str, count: int) -> Finding:
    """Report tensors that the release does not count on; it says how many, not which."""
    rows = _take_extra(case, settled.extra)
    words = llama.words(llama.release_of(case.loader))["count"].format(found=len(case.index), known=count)
    return rule.finding(
        f"{case.loader} does not know {_patterns(settled.extra)[0]} and stops: {words}",
        level=_level(case),
        place=case.place(rows),
        count=len(rows),
        expected=f"{count:,} tensors; {_later(first)} take the file as it is",
        found=f"{len(case.index):,} tensors",
        cure=_cure(case, first),
    )


def _misfit(rule: Rule, case: Case, settled: Objections, first: str) -> Finding:
    """Report tensors of a shape or type that the release does not take."""
    rows, wanted, ledger = [], "", case.ledger
    for slot, kinds in list(ledger.misfits.items()):
        for kind, odd in list(kinds.items()):
            if settled.misfits.issuperset(case.index.names[row] for row in odd):
                rows += ledger.take_misfits(slot, kind)
                wanted = wanted or case.wording.dims(slot.shape)
    kind = case.index.kind(rows[0])
    found = case.wording.dims(kind.shape or ())
    words = llama.words(llama.release_of(case.loader))["shape"]
    said = words.format(name=case.index.names[rows[0]], expected=wanted.strip("{}"), found=found.strip("{}"))
    return rule.finding(
        f"{case.loader} takes another shape and stops: {said}",
        level=_level(case),
        place=case.place(rows),
        count=len(rows),
        expected=f"{wanted}{case.wording.order}; {_later(first)} take the file as it is",
        found=f"{kind.dtype} {found}{case.wording.order}",
        cure=_cure(case, first),
    )


def _take_extra(case: Case, names: Iterable[str]) -> list[int]:
    from weightlint.names import fold

    rows: list[int] = []
    for name in names:
        template, coord = fold(name)
        rows += case.ledger.take_extra(template, [coord]).values()
    return sorted(rows)


def _patterns(names: Iterable[str]) -> tuple[str, ...]:
    from weightlint.names import patterns

    return tuple(patterns(names))


def _level(case: Case) -> Level:
    """Return warning where the release that stands for a build may be older than the build is."""
    return Level.ERROR if case.loader is None or llama.is_settled(case.loader.version) else Level.WARNING


def _later(first: str) -> str:
    return f"{llama.NAME}@{first} and later"


def _cure(case: Case, first: str) -> str:
    return f"use llama-cpp-python {first} or a newer llama.cpp, or a file that was made for {case.loader}"
