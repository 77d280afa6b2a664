"""What is wrong with a GGUF header that could be read to its end: one fault per cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.finding import counted, printable
from weightlint.ggml import IK_ONLY
from weightlint.gguf.behind import joined, miscounted
from weightlint.gguf.layout import layout_fault, torn
from weightlint.gguf.parsed import DEFAULT_ALIGNMENT, malformed
from weightlint.gguf.parts import part
from weightlint.index import Fault, FaultKind, Header
from weightlint.names import patterns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.gguf.parsed import Parsed

MAX_REASONS = 16
"""Causes of one sort that are told apart; more are counted."""

_U64 = 1 << 64


def header(parsed: Parsed) -> Header:
    """Return what the header lists, with everything that is wrong with it."""
    table, data = parsed.tensors, parsed.data
    starts = [data + offset for offset in table.offsets]
    stops = [start + (size or 0) for start, size in zip(starts, table.sizes, strict=True)]
    sound = [size is not None and stop < _U64 for size, stop in zip(table.sizes, stops, strict=True)]
    return Header(
        names=table.names,
        kinds=table.kinds,
        starts=[start if good else 0 for start, good in zip(starts, sound, strict=True)],
        stops=[stop if good else 0 for stop, good in zip(stops, sound, strict=True)],
        size=parsed.size,
        metadata=parsed.values,
        faults=list(_faults(parsed)),
    )


def _faults(parsed: Parsed) -> Iterator[Fault]:
    before = [*([parsed.early] if parsed.early else ()), *parsed.keys.faults]
    before = [*(before or _architecture(parsed)), *_alignment(parsed)]
    yield from before
    wrong = miscounted(parsed)
    if wrong is not None:
        yield wrong
        return
    worse = [*_entries(parsed), *_places(parsed)]
    yield from worse
    yield from _strange_names(parsed)
    yield from () if worse else _ik_types(parsed)


def _places(parsed: Parsed) -> Iterator[Fault]:
    """Judge the offsets, unless entries are wrong by themselves: then only the end of the file."""
    if parsed.alignment is None or parsed.out_of_reach:
        return
    fault = torn(parsed.layout()) if parsed.tensors.bad else layout_fault(parsed.layout())
    yield from (it for it in (fault or joined(parsed),) if it is not None)


def _architecture(parsed: Parsed) -> Iterator[Fault]:
    """Demand an architecture of every file that is no later part and no importance matrix."""
    values = parsed.values
    value, number, type_ = (values.get(key) for key in ("general.architecture", "split.no", "general.type"))
    named = part(parsed.path)
    later = (number is not None and number.value != 0) or (named is not None and named.at > 1)
    if later or (type_ is not None and type_.value == "imatrix"):
        return
    if value is None:
        what = "has no key general.architecture"
    elif value.type != "str":
        what = f"gives general.architecture as {value.spelling}, not as str"
    else:
        return
    yield malformed(parsed.path, f"{parsed.path} {what}: llama.cpp says unknown model architecture")


def _alignment(parsed: Parsed) -> Iterator[Fault]:
    value, path = parsed.values.get("general.alignment"), parsed.path
    if value is None:
        return
    if parsed.alignment is None:
        shown = printable(str(value.value), limit=40)
        yield malformed(path, f"{path} gives general.alignment as {shown}, which is no power of two")
    elif value.type != "u32":
        yield malformed(path, f"{path} gives general.alignment as {value.spelling}, llama.cpp takes u32 only")
    elif parsed.out_of_reach:
        yield malformed(
            path,
            f"{path} gives general.alignment as {parsed.alignment:,}, which puts the data behind the end "
            f"of the file of {parsed.size:,} bytes",
        )
    elif parsed.alignment < DEFAULT_ALIGNMENT and parsed.data % DEFAULT_ALIGNMENT:
        yield Fault(
            kind=FaultKind.ODD,
            file=path,
            message=f"{path} gives general.alignment as {parsed.alignment}, and its data begin at byte {parsed.data:,}, "
            f"no multiple of {DEFAULT_ALIGNMENT}: llama.cpp reads the file, its CPU back end then aborts "
            "(buffer pointer must be aligned)",
            cure=f"write the file again with general.alignment {DEFAULT_ALIGNMENT}",
        )


def _entries(parsed: Parsed) -> Iterator[Fault]:
    bad, path = parsed.tensors.bad, parsed.path
    for reason, names in list(bad.items())[:MAX_REASONS]:
        many = (
            f"{len(names):,} tensors of {path} have"
            if len(names) > 1
            else f"{_shown(names[0])} of {path} has"
        )
        yield malformed(path, f"{many} {reason}", names)
    rest = [name for names in list(bad.values())[MAX_REASONS:] for name in names]
    if rest:
        yield malformed(path, f"{len(rest):,} more tensors of {path} have broken entries", rest)


def _strange_names(parsed: Parsed) -> Iterator[Fault]:
    table = parsed.tensors
    names = [name for name in table.names if not name or printable(name, limit=len(name)) != name]
    names += table.garbled
    if names:
        yield Fault(
            kind=FaultKind.ODD,
            file=parsed.path,
            message=f"{parsed.path} has {counted(len(names), 'tensor name')} that do not print, are no UTF-8 or empty",
            tensors=tuple(patterns(names)),
            cure="no architecture has such names: write the file again",
        )


def _ik_types(parsed: Parsed) -> Iterator[Fault]:
    table, path = parsed.tensors, parsed.path
    types = dict.fromkeys(kind.dtype for kind in table.kinds if kind.dtype in IK_ONLY)
    if types:
        names = [name for name, kind in zip(table.names, table.kinds, strict=True) if kind.dtype in types]
        yield Fault(
            kind=FaultKind.ODD,
            file=path,
            message=f"{path} holds {counted(len(names), 'tensor')} of types that only ik_llama.cpp reads "
            f"({', '.join(map(str, types))}): llama.cpp says invalid ggml type",
            tensors=tuple(patterns(names)),
            cure="load the file with ik_llama.cpp, or take another quantisation",
        )


def _shown(name: str) -> str:
    return printable(name, limit=120) or "the tensor without a name"
