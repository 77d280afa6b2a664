"""How WL601 tells that a release of llama.cpp is too old for a GGUF file: in the words with which it stops."""

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
    from weightlint.loader import Release
    from weightlint.loader_age import Objections
    from weightlint.rule import Rule

OTHERWISE = {"aborts": "dies of an assertion at load", "dies": "loads the file and dies at the first token"}
UNHEARD = "correct {key} with gguf-set-metadata, or look for a loader that knows it"
PRE = "tokenizer.ggml.pre"


def too_old(case: Case, rule: Rule, release: Release) -> Iterator[Finding]:
    """Yield an architecture that the release does not know, else one finding for each thing that is new to it."""
    if isinstance(case.config, Keys) and case.schema is None and not case.checkpoint.is_companion:
        yield from _architecture(case, rule, release)
    if isinstance(case.config, Keys):
        yield from _pre_tokenizer(case.config, rule, release)
    for first, settled in case.aged.items():
        yield from (_key(case, rule, release, fault, first) for fault in settled.keys.values())
        if settled.missing:
            yield _missing(case, rule, release, settled, first)
        elif settled.extra:
            yield _extra(case, rule, release, settled, first)
        if settled.misfits:
            yield _misfit(case, rule, release, settled, first)


def _architecture(case: Case, rule: Rule, release: Release) -> Iterator[Finding]:
    assert isinstance(case.config, Keys)
    known, name = llama.architectures(release.version), case.config.prefix
    if not name or name in known:
        return
    yield _unheard(case.config, rule, release, ARCHITECTURE, known)


def _pre_tokenizer(keys: Keys, rule: Rule, release: Release) -> Iterator[Finding]:
    """Yield a way of splitting text that the release does not know: read of byte-pair tokenizers only."""
    known, name = llama.pre_tokenizers(release.version), keys.find(PRE, None)[1]
    if (
        keys.find("tokenizer.ggml.model", None)[1] == "gpt2"
        and name
        and isinstance(name, str)
        and name not in known
    ):
        yield _unheard(keys, rule, release, PRE, known)


def _unheard(keys: Keys, rule: Rule, release: Release, key: str, known: frozenset[str]) -> Finding:
    kind = "architecture" if key == ARCHITECTURE else "pre_tokenizer"
    name = keys.prefix if key == ARCHITECTURE else keys.find(key, None)[1]
    first = llama.learned(name, f"{kind}s")
    words = llama.words(release.version)[kind].format(name=printable(name))
    noun = kind.replace("_", "-")
    return rule.finding(
        f"{release} does not know the {noun} of {keys.path} and stops: {words}",
        level=_level(release),
        place=Place(files=(keys.path,)),
        unit="key",
        expected=f"one of {len(known)} {noun}s" + (f"; {_later(first)} know this one" if first else ""),
        found=f"{key} = {printable(name)}",
        cure=_cure(release, first) if first else UNHEARD.format(key=key),
    )


def _key(case: Case, rule: Rule, release: Release, fault: KeyFault, first: str) -> Finding:
    assert isinstance(case.config, Keys)
    keys = case.config
    return rule.finding(
        f"{keys.path}: {keys.spelled(fault.key)} {fault.what}; {release} {_stops(keys, release, fault)}",
        level=_level(release),
        place=Place(files=(keys.path,)),
        unit="key",
        expected=f"{fault.expected}; {_later(first)} take the file as it is",
        found=fault.found,
        cure=_cure(release, first),
    )


def _stops(keys: Keys, release: Release, fault: KeyFault) -> str:
    words, name = llama.words(release.version), keys.spelled(fault.key)
    value = keys.value(fault.key)
    if value is None and fault.otherwise == "refuses":
        return f"stops: {words['key'].format(name=name)}"
    if value is not None and fault.found == value.spelling:
        return f"stops: {words['type'].format(name=name, found=value.type, expected=fault.expected)}"
    return OTHERWISE.get(fault.otherwise, "refuses the file")


def _missing(case: Case, rule: Rule, release: Release, settled: Objections, first: str) -> Finding:
    """Tell what the release still asks for, with what stands in its place in this file."""
    slot, coord = min(settled.missing.values(), key=lambda at: at[1][:1])
    rows, wanted, instead = _rows(case, settled.extra), _patterns(settled.missing), _patterns(settled.extra)
    words = llama.words(release.version)["missing"].format(name=slot.name(coord))
    subject = f"takes no {instead[0]}" if rows else f"asks for {wanted[0]}"
    return rule.finding(
        f"{release} {subject} and stops: {words}",
        level=_level(release),
        place=case.place(rows) if rows else Place(tensors=wanted, files=case.sibling_files(slot, [coord])),
        count=len(rows) or len(settled.missing),
        expected=f"{', '.join(wanted)}; {_later(first)} take the file as it is",
        found=f"{', '.join(instead)} in their place" if rows else "no such tensor",
        cure=_cure(release, first),
    )


def _extra(case: Case, rule: Rule, release: Release, settled: Objections, first: str) -> Finding:
    """Tell of tensors that the release does not count on; it says how many they are, not which."""
    rows, total = _rows(case, settled.extra), len(case.index)
    known = total - sum(map(len, case.joined.extra.values()))
    words = llama.words(release.version)["count"].format(found=total, known=known)
    return rule.finding(
        f"{release} does not know {_patterns(settled.extra)[0]} and stops: {words}",
        level=_level(release),
        place=case.place(rows),
        count=len(rows),
        expected=f"{known:,} tensors; {_later(first)} take the file as it is",
        found=f"{total:,} tensors",
        cure=_cure(release, first),
    )


def _misfit(case: Case, rule: Rule, release: Release, settled: Objections, first: str) -> Finding:
    """Tell of tensors of a shape that the release does not take."""
    rows = _rows(case, settled.misfits)
    name, words = case.index.names[rows[0]], case.wording
    kind, wanted = case.index.kind(rows[0]), words.dims(settled.misfits[name].shape)
    found = words.dims(kind.shape or ())
    said = llama.words(release.version)["shape"]
    stops = said.format(name=name, expected=wanted.strip("{}"), found=found.strip("{}"))
    return rule.finding(
        f"{release} wants another shape and stops: {stops}",
        level=_level(release),
        place=case.place(rows),
        count=len(rows),
        expected=f"{wanted}{words.order}; {_later(first)} take the file as it is",
        found=f"{kind.dtype} {found}{words.order}",
        cure=_cure(release, first),
    )


def _rows(case: Case, names: Iterable[str]) -> list[int]:
    return sorted(case.index.rows[name] for name in names)


def _patterns(names: Iterable[str]) -> tuple[str, ...]:
    from weightlint.names import patterns

    return tuple(patterns(names))


def _level(release: Release) -> Level:
    """Return warning where the loader may be newer than what is known here: some builds, releases to come."""
    known = release.is_settled and release.within(f"<={release.loader.newest}")
    return Level.ERROR if known else Level.WARNING


def _later(first: str) -> str:
    return f"{llama.NAME}@{first} and later"


def _cure(release: Release, first: str) -> str:
    return f"use llama-cpp-python {first} or a newer llama.cpp, or a file that was made for {release}"
