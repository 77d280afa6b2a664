"""Why a safetensors table is not sound: one fault per cause, each with its tensors.

Runs only where the quick proof of `formats/safetensors.py` failed, so it may take its time.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from weightlint.dtype import SAFETENSORS
from weightlint.errors import nearest
from weightlint.foreign import AGAIN
from weightlint.index import UNKNOWN, Fault, FaultKind, Header, Kind
from weightlint.names import patterns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

REWRITE = "write the file again with the safetensors library, or download it again"
MAX_RANK = 64
MAX_NAME = 1024
MAX_GAP = 16
"""Causes of one sort that are told apart; more are counted."""


@dataclass(frozen=True, slots=True)
class Table:
    """The parsed header and where its data lie; `data` and `size` are byte positions."""

    text: bytes
    entries: dict[str, Any]
    metadata: object
    path: str
    size: int
    data: int
    padding: int

    @property
    def room(self) -> int:
        """Bytes after the header."""
        return self.size - self.data


class Span(NamedTuple):
    """Where one tensor lies, in bytes from the start of the data."""

    start: int
    stop: int
    name: str


def explain(table: Table) -> Header:
    """List what can be listed and say what is wrong with the rest."""
    doubled = _doubled(table)
    spans, kinds, faults = [], {}, list(_text_faults(table, doubled))
    bad: dict[str, list[str]] = defaultdict(list)
    for name, entry in table.entries.items():
        reason = _entry_reason(entry)
        if reason:
            bad[reason].append(name)
            kinds[name] = UNKNOWN
            continue
        kinds[name] = Kind(entry["dtype"], tuple(entry["shape"]))
        spans.append(Span(*entry["data_offsets"], name))
    faults += _grouped(table, bad)
    if not doubled and not bad:
        faults += _layout_faults(table, sorted(spans))
    faults += _oddities(table)
    at = {span.name: (span.start, span.stop) for span in spans}
    places = [at.get(name, (0, 0)) for name in kinds]
    ids = {kind: at for at, kind in enumerate(dict.fromkeys(kinds.values()))}
    return Header(
        names=list(kinds),
        kinds=list(ids),
        kind_ids=[ids[kind] for kind in kinds.values()],
        data=table.data,
        starts=[start for start, _ in places],
        stops=[stop for _, stop in places],
        size=table.size,
        metadata=table.metadata if isinstance(table.metadata, dict) else {},
        faults=faults,
    )


def _doubled(table: Table) -> list[tuple[str, int]]:
    """Return the keys that stand twice in one object of the header, with how often."""
    found: list[tuple[str, int]] = []

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        if len(set(keys)) != len(keys):
            found.extend((key, n) for key, n in _counts(keys).items() if n > 1)
        return dict(pairs)

    json.loads(table.text.decode("utf-8"), object_pairs_hook=look)
    return found


def _counts(keys: Sequence[str]) -> Mapping[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for key in keys:
        counts[key] += 1
    return counts


def _text_faults(table: Table, doubled: list[tuple[str, int]]) -> Iterator[Fault]:
    if doubled:
        keys = [key for key, _ in doubled]
        tensors = [key for key in keys if key in table.entries]
        what = "lists {} twice" if tensors else "holds the key {} twice"
        yield _fault(
            table,
            f"the header of {table.path} {what.format(', '.join(patterns(tensors or keys)[:3]))}: "
            "readers keep the last one without a word, its other bytes are never read",
            tensors,
        )
    metadata = table.metadata
    if metadata is not None and not isinstance(metadata, dict):
        yield _fault(table, f"__metadata__ of {table.path} is a {type(metadata).__name__}, not a table")
    elif metadata and not all(isinstance(value, str) for value in metadata.values()):
        wrong = sorted(key for key, value in metadata.items() if not isinstance(value, str))
        yield _fault(table, f"__metadata__ of {table.path} may hold texts only; {', '.join(wrong[:3])} is none")


def _entry_reason(entry: object) -> str | None:
    if not isinstance(entry, dict):
        return f"a {type(entry).__name__} where dtype, shape and data_offsets are needed"
    absent = [key for key in ("dtype", "shape", "data_offsets") if key not in entry]
    if absent:
        return f"no {' and no '.join(absent)}"
    dtype = entry["dtype"]
    if not isinstance(dtype, str) or dtype not in SAFETENSORS:
        return f"the unknown dtype {dtype!r}{_dtype_hint(dtype)}"
    return _shape_reason(entry["shape"]) or _span_reason(entry)


def _dtype_hint(dtype: object) -> str:
    if isinstance(dtype, str):
        return f" (meant {dtype.upper()}?)" if dtype.upper() in SAFETENSORS else nearest(dtype, SAFETENSORS)
    return ""


def _shape_reason(shape: object) -> str | None:
    if not isinstance(shape, list):
        return f"a shape that is a {type(shape).__name__}, not a list"
    if len(shape) > MAX_RANK:
        return f"a shape of {len(shape):,} dimensions, the limit is {MAX_RANK}"
    for size in shape:
        if type(size) is not int:
            return f"a shape with {json.dumps(size)[:40]}, which is no whole number"
        if size < 0:
            return f"a shape with the negative number {size}"
    return None


def _span_reason(entry: Mapping[str, Any]) -> str | None:
    offsets, shape, dtype = entry["data_offsets"], tuple(entry["shape"]), SAFETENSORS[entry["dtype"]]
    if not isinstance(offsets, list) or len(offsets) != 2 or any(type(at) is not int for at in offsets):
        return "data_offsets that are not two whole numbers"
    start, stop = offsets
    if start < 0 or stop < start:
        return f"data_offsets [{start}, {stop}], which end before they begin or begin below 0"
    if max(*offsets, *shape, 0) >= 2**63:
        return "data_offsets or a shape beyond 2^63"
    total = dtype.nbytes(shape)
    if total is None:
        return f"{dtype.name} {list(shape)}, which does not fill whole bytes"
    if total >= 2**63:
        return f"{dtype.name} {list(shape)}, which takes more than 2^63 bytes"
    if total != stop - start:
        return f"{stop - start:,} bytes for {dtype.name} {list(shape)}, which takes {total:,}"
    return None


def _grouped(table: Table, bad: Mapping[str, list[str]]) -> Iterator[Fault]:
    for reason, names in list(bad.items())[:MAX_GAP]:
        many = f"{len(names):,} tensors of {table.path} have" if len(names) > 1 else f"{_one(names)} of {table.path} has"
        yield _fault(table, f"{many} {reason}", names)
    rest = list(bad.values())[MAX_GAP:]
    if rest:
        names = [name for group in rest for name in group]
        yield _fault(table, f"{len(names):,} more tensors of {table.path} have broken entries", names)


def _one(names: Sequence[str]) -> str:
    return names[0] if names[0] else "the tensor without a name"


def _layout_faults(table: Table, spans: list[Span]) -> Iterator[Fault]:
    """Say where the spans leave the row from 0 to the end of the file."""
    end = max((span.stop for span in spans), default=0)
    overlaps = [(a, b) for a, b in zip(spans, spans[1:], strict=False) if b.start < a.stop]
    if overlaps:
        yield _overlap(table, overlaps)
    elif holes := list(_holes(spans)):
        missing = sum(size for size, _ in holes)
        names = [name for _, name in holes]
        yield _fault(table, f"{missing:,} bytes of {table.path} belong to no tensor, before {names[0]}", names)
    if end > table.room:
        yield _short(table, spans, end)
    elif end < table.room:
        yield _long(table, end)


def _holes(spans: Sequence[Span]) -> Iterator[tuple[int, str]]:
    at = 0
    for span in spans:
        if span.start > at:
            yield span.start - at, span.name
        at = max(at, span.stop)


def _overlap(table: Table, overlaps: list[tuple[Span, Span]]) -> Fault:
    a, b = overlaps[0]
    names = list(dict.fromkeys(span.name for pair in overlaps for span in pair))
    shared = min(a.stop, b.stop) - b.start
    message = f"{a.name} and {b.name} of {table.path} share {shared:,} bytes"
    more = f", and {len(overlaps) - 1:,} more pairs do" if len(overlaps) > 1 else ""
    return Fault(
        kind=FaultKind.MALFORMED,
        file=table.path,
        message=message + more + ": one of them holds the other's values",
        tensors=tuple(patterns(names)),
        expected="every byte belongs to one tensor",
        found=f"data_offsets [{a.start}, {a.stop}] and [{b.start}, {b.stop}]",
        cure=REWRITE,
    )


def _short(table: Table, spans: Sequence[Span], end: int) -> Fault:
    hit = [span.name for span in spans if span.stop > table.room]
    return Fault(
        kind=FaultKind.TORN,
        file=table.path,
        message=f"{table.path} ends {end - table.room:,} bytes too early; {len(hit):,} tensors are cut off or absent",
        tensors=tuple(patterns(hit)),
        expected=f"{table.data + end:,} bytes, as its header declares",
        found=f"{table.size:,} bytes",
        cure="download the file again: it was cut short",
    )


def _long(table: Table, end: int) -> Fault:
    return Fault(
        kind=FaultKind.TORN,
        file=table.path,
        message=f"{table.path} has {table.room - end:,} bytes after its last tensor",
        expected=f"{table.data + end:,} bytes, as its header declares",
        found=f"{table.size:,} bytes",
        cure="download the file again: something was appended to it, or two files were joined",
    )


def _oddities(table: Table) -> Iterator[Fault]:
    lead = len(table.text) - len(table.text.lstrip())
    if lead or table.padding > 1 << 20:
        message = f"the header of {table.path} holds {lead + table.padding:,} bytes of white space"
        yield _odd(table, message, [])
    entries = {name: entry for name, entry in table.entries.items() if isinstance(entry, dict)}
    fields = [name for name, entry in entries.items() if set(entry) - {"dtype", "shape", "data_offsets"}]
    if fields:
        yield _odd(table, f"{len(fields):,} tensors of {table.path} have fields that the format does not know", fields)
    strange = [name for name in table.entries if not name or not name.isprintable() or len(name) > MAX_NAME]
    if strange:
        what = f"are empty, hold control characters or exceed {MAX_NAME:,} characters"
        yield _odd(table, f"{len(strange):,} tensor names of {table.path} {what}", strange)


def _odd(table: Table, message: str, names: Sequence[str]) -> Fault:
    cure = "harmless for the safetensors library; other readers may refuse it, so write the file again"
    return Fault(kind=FaultKind.ODD, file=table.path, message=message, tensors=tuple(patterns(names)), cure=cure)


def _fault(table: Table, message: str, names: Sequence[str] = ()) -> Fault:
    return Fault(
        kind=FaultKind.MALFORMED,
        file=table.path,
        message=message,
        tensors=tuple(patterns(names)),
        cure=REWRITE if names else AGAIN,
    )
