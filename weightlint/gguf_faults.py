"""What is wrong with a GGUF header that could be read to its end: one fault per cause."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weightlint.finding import counted, printable
from weightlint.ggml import COUNT, GGML, IK_ONLY
from weightlint.gguf_bytes import BadGgufError
from weightlint.gguf_keys import REWRITE
from weightlint.gguf_layout import GgufLayout, layout_fault, padded, torn
from weightlint.index import Fault, FaultKind, Header
from weightlint.names import patterns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from weightlint.gguf_keys import Keys
    from weightlint.gguf_tensors import Tensors
    from weightlint.metadata import Value

DEFAULT_ALIGNMENT = 32
MAX_REASONS = 16
"""Causes of one sort that are told apart; more are counted."""

_U64 = 1 << 64


@dataclass(frozen=True, slots=True)
class Parsed:
    """A header read to its end.

    `stop` is the byte after its table, `size` are the bytes of the whole file. `early` says why
    llama.cpp does not read so far.
    """

    path: str
    keys: Keys
    tensors: Tensors
    stop: int
    size: int
    early: Fault | None = None

    @property
    def values(self) -> Mapping[str, Value]:
        """Key-values of the file."""
        return self.keys.values

    @property
    def alignment(self) -> int | None:
        """Bytes to which data are padded, None where the file gives none that there can be."""
        value = self.values.get("general.alignment")
        if value is None:
            return DEFAULT_ALIGNMENT
        number = value.value
        sound = type(number) is int and number > 0 and number & (number - 1) == 0
        return number if sound else None

    @property
    def data(self) -> int:
        """Byte at which the data begin."""
        return padded(self.stop, self.alignment or DEFAULT_ALIGNMENT)

    def layout(self) -> GgufLayout:
        """Return the places of the tensors whose bytes are known."""
        table = self.tensors
        rows = [at for at, size in enumerate(table.sizes) if size is not None]
        return GgufLayout(
            path=self.path,
            names=[table.names[at] for at in rows],
            kinds=[table.kinds[at] for at in rows],
            offsets=[table.offsets[at] for at in rows],
            sizes=[size for size in table.sizes if size is not None],
            alignment=self.alignment or DEFAULT_ALIGNMENT,
            data=self.data,
            size=self.size,
        )


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
    yield from before or _architecture(parsed)
    yield from _alignment(parsed)
    yield from _entries(parsed)
    yield from _places(parsed)
    yield from _oddities(parsed)


def _places(parsed: Parsed) -> Iterator[Fault]:
    """Judge the offsets, unless entries are wrong by themselves: then only the end of the file."""
    if parsed.alignment is None or not parsed.tensors.names:
        return
    if parsed.alignment > DEFAULT_ALIGNMENT << 12 and parsed.data > parsed.size:
        return
    uncounted = _uncounted(parsed)
    fault = torn(parsed.layout()) if parsed.tensors.bad else layout_fault(parsed.layout())
    yield from (it for it in (uncounted or fault,) if it is not None)


def _uncounted(parsed: Parsed) -> Fault | None:
    """Tell of an entry behind the table: then the count of tensors is too small."""
    table = parsed.tensors
    due = sum(padded(size or 0, parsed.alignment or 1) for size in table.sizes)
    try:
        raw, words = table.entry()
    except BadGgufError:
        return None
    name = raw.decode(errors="replace")
    if not raw or not name.isprintable() or len(words) > 6 or words[-2] not in GGML or words[-1] != due:
        return None
    return _malformed(
        parsed.path,
        f"{parsed.path} counts {counted(len(table.names), 'tensor')}, but an entry for one more stands at byte "
        f"{parsed.stop:,}: {printable(name, limit=80)}",
        [name],
    )


def _architecture(parsed: Parsed) -> Iterator[Fault]:
    """Demand an architecture of every file that is no later part and no importance matrix."""
    values = parsed.values
    value, number, type_ = (values.get(key) for key in ("general.architecture", "split.no", "general.type"))
    later = number is not None and number.value != 0
    if later or (type_ is not None and type_.value == "imatrix"):
        return
    if value is None:
        what = "has no key general.architecture"
    elif value.type != "str":
        what = f"gives general.architecture as {value.spelling}, not as str"
    else:
        return
    yield _malformed(parsed.path, f"{parsed.path} {what}: llama.cpp says unknown model architecture")


def _alignment(parsed: Parsed) -> Iterator[Fault]:
    value, path = parsed.values.get("general.alignment"), parsed.path
    if value is None:
        return
    if parsed.alignment is None:
        shown = printable(str(value.value), limit=40)
        yield _malformed(path, f"{path} gives general.alignment as {shown}, which is no power of two")
    elif value.type != "u32":
        yield _malformed(
            path, f"{path} gives general.alignment as {value.spelling}, llama.cpp takes u32 only"
        )
    elif parsed.alignment > DEFAULT_ALIGNMENT << 12 and parsed.data > parsed.size:
        yield _malformed(
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
        yield _malformed(path, f"{many} {reason}", names)
    rest = [name for names in list(bad.values())[MAX_REASONS:] for name in names]
    if rest:
        yield _malformed(path, f"{len(rest):,} more tensors of {path} have broken entries", rest)


def _oddities(parsed: Parsed) -> Iterator[Fault]:
    table, path = parsed.tensors, parsed.path
    strange = [name for name in table.names if not name or printable(name, limit=len(name)) != name]
    if strange:
        yield Fault(
            kind=FaultKind.ODD,
            file=path,
            message=f"{path} has {counted(len(strange), 'tensor name')} with control characters, or empty",
            tensors=tuple(patterns(strange)),
            cure="no architecture has such names: write the file again",
        )
    types = dict.fromkeys(kind.dtype for kind in table.kinds if kind.dtype in IK_ONLY)
    if types:
        names = [name for name, kind in zip(table.names, table.kinds, strict=True) if kind.dtype in types]
        yield Fault(
            kind=FaultKind.ODD,
            file=path,
            message=f"{counted(len(names), 'tensor')} of {path} are of types that only ik_llama.cpp reads "
            f"({', '.join(map(str, types))})",
            tensors=tuple(patterns(names)),
            expected=f"types below {COUNT} for llama.cpp, which refuses the file",
            cure="load the file with ik_llama.cpp, or take another quantisation",
        )


def _shown(name: str) -> str:
    return printable(name, limit=120) or "the tensor without a name"


def _malformed(path: str, message: str, names: Sequence[str] = ()) -> Fault:
    return Fault(
        kind=FaultKind.MALFORMED, file=path, message=message, tensors=tuple(patterns(names)), cure=REWRITE
    )
