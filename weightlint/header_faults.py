"""Why a safetensors table is not sound: one fault per cause, each with its tensors.

Runs only where the quick proof of `formats/safetensors.py` failed, so it may take its time.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weightlint.dtype import SAFETENSORS
from weightlint.errors import nearest
from weightlint.finding import printable
from weightlint.foreign import AGAIN
from weightlint.index import UNKNOWN, Fault, FaultKind, Header, Kind
from weightlint.layout import REWRITE, Layout, Span, layout_faults, shown
from weightlint.names import patterns
from weightlint.strict_json import Repeated, called, too_much

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from weightlint.dtype import Shape

FIELDS = ("dtype", "shape", "data_offsets")
MAX_RANK = 64
MAX_NAME = 1024
STRANGE = f"are empty, hold control characters or exceed {MAX_NAME:,} bytes"
MAX_GAP = 16
"""Causes of one sort that are told apart; more are counted."""

_U64 = 1 << 64


@dataclass(frozen=True, slots=True)
class Table:
    """The exactly parsed header and where its data lie; `data` and `size` are byte positions.

    `leads` tells that white space stands before the table, `padding` how much after it, in bytes.
    """

    parsed: Any
    path: str
    size: int
    data: int
    leads: bool
    padding: int

    @property
    def entries(self) -> list[tuple[str, Any]]:
        """Every entry as it stands there, names given twice included."""
        pairs = self.parsed.pairs if isinstance(self.parsed, Repeated) else self.parsed.items()
        return [(name, entry) for name, entry in pairs if name != "__metadata__"]


def explain(table: Table) -> Header:
    """List what can be listed and say what is wrong with the rest."""
    if not isinstance(table.parsed, dict):
        what = called(table.parsed)
        fault = _fault(table, f"the header of {table.path} is {what} where a table is needed", lost=True)
        return Header(size=table.size, faults=[fault])
    faults = [*_doubled(table), *_metadata_faults(table)]
    kinds: list[Kind] = []
    places: list[tuple[int, int]] = []
    bad: dict[str, list[str]] = defaultdict(list)
    for name, entry in table.entries:
        reason = _entry_reason(entry)
        if reason:
            bad[reason].append(name)
        kinds.append(UNKNOWN if reason else Kind(entry["dtype"], tuple(entry["shape"])))
        places.append((0, 0) if reason else (entry["data_offsets"][0], entry["data_offsets"][1]))
    faults += _grouped(table, bad)
    names = [name for name, _ in table.entries]
    spans = {
        Span(*place, name) for place, name, kind in zip(places, names, kinds, strict=True) if kind != UNKNOWN
    }
    layout = Layout(table.path, sorted(spans), table.data, table.size)
    faults += layout_faults(layout, explained=bool(bad or isinstance(table.parsed, Repeated)))
    faults += _oddities(table, names)
    return _header(table, faults, kinds=kinds, places=places)


def _header(table: Table, faults: list[Fault], *, kinds: list[Kind], places: list[tuple[int, int]]) -> Header:
    metadata = table.parsed.get("__metadata__")
    return Header(
        names=[name for name, _ in table.entries],
        kinds=kinds,
        starts=[table.data + start for start, _ in places],
        stops=[table.data + stop for _, stop in places],
        size=table.size,
        metadata=metadata if isinstance(metadata, dict) else {},
        faults=faults,
    )


def nbytes(dtype: str, shape: Shape) -> int | str:
    """Return the bytes of a tensor, or why there is no such tensor.

    As in safetensors' tensor.rs the product is taken from left to right, in 64 bits.
    """
    if dtype not in SAFETENSORS:
        return f"the unknown dtype {printable(dtype, limit=40)}{_dtype_hint(dtype)}"
    if len(shape) > MAX_RANK:
        return f"a shape of {len(shape):,} dimensions, the limit is {MAX_RANK}"
    bits = 1
    for dim in (*shape, SAFETENSORS[dtype].bits):
        if dim < 0:
            return f"a shape with the negative number {dim}"
        bits *= dim
        if bits >= _U64 or dim >= _U64:
            return f"{dtype} {list(shape)}, which takes more than 2^64 bits"
    return f"{dtype} {list(shape)}, which does not fill whole bytes" if bits % 8 else bits // 8


def _doubled(table: Table) -> Iterator[Fault]:
    """Tell of tensors that the header lists more than once."""
    if not isinstance(table.parsed, Repeated):
        return
    keys = table.parsed.keys_twice
    tensors = [key for key in keys if key != "__metadata__"]
    shown = ", ".join(patterns(keys)[:3])
    yield _fault(
        table,
        f"the header of {table.path} lists {shown} twice: readers keep the last one without a word, "
        "its other bytes are never read",
        tensors,
    )


def _metadata_faults(table: Table) -> Iterator[Fault]:
    metadata = table.parsed.get("__metadata__")
    if metadata is None:
        return
    if not isinstance(metadata, dict):
        yield _fault(table, f"__metadata__ of {table.path} is {called(metadata)}, not a table")
        return
    if isinstance(metadata, Repeated):
        shown = ", ".join(printable(key, limit=80) for key in metadata.keys_twice[:3])
        yield _fault(table, f"__metadata__ of {table.path} gives {shown} twice")
    wrong = sorted(key for key, value in metadata.items() if type(value) is not str)
    if wrong:
        shown = ", ".join(printable(key, limit=80) for key in wrong[:3])
        yield _fault(table, f"__metadata__ of {table.path} may hold texts only; {shown} is none")


def _entry_reason(entry: object) -> str | None:
    if not isinstance(entry, dict):
        return f"{called(entry)} where dtype, shape and data_offsets are needed"
    if isinstance(entry, Repeated):
        return (
            f"the field {printable(entry.keys_twice[0], limit=40)} twice, of which readers refuse the second"
        )
    absent = [key for key in FIELDS if key not in entry]
    if absent:
        return f"no {' and no '.join(absent)}"
    if type(entry["dtype"]) is not str:
        return f"{called(entry['dtype'])} as dtype"
    return _numbers_reason(entry) or _span_reason(entry) or _extra_reason(entry)


def _dtype_hint(dtype: str) -> str:
    return f" (meant {dtype.upper()}?)" if dtype.upper() in SAFETENSORS else nearest(dtype, SAFETENSORS)


def _numbers_reason(entry: Mapping[str, Any]) -> str | None:
    for field in ("shape", "data_offsets"):
        if not isinstance(entry[field], list):
            return f"{called(entry[field])} as {field}, not a list"
        wrong = next((number for number in entry[field] if type(number) is not int), None)
        if wrong is not None or None in entry[field]:
            return f"{field} with {called(wrong)}, which is no whole number"
    return None


def _span_reason(entry: Mapping[str, Any]) -> str | None:
    shape, offsets = entry["shape"], entry["data_offsets"]
    if len(offsets) != 2:
        return f"{len(offsets):,} data_offsets, not two"
    start, stop = offsets
    if start < 0 or stop < start:
        return f"data_offsets [{start}, {stop}], which end before they begin or begin below 0"
    if stop >= _U64 >> 1:
        return f"data_offsets [{start}, {stop}], beyond 2^63"
    total = nbytes(entry["dtype"], tuple(shape))
    if isinstance(total, str) or total == stop - start:
        return total if isinstance(total, str) else None
    return f"{stop - start:,} bytes for {entry['dtype']} {shape}, which takes {total:,}"


def _extra_reason(entry: Mapping[str, Any]) -> str | None:
    for field in set(entry) - set(FIELDS):
        if hostile := too_much(entry[field]):
            return f"a field {printable(field, limit=40)} that {hostile}"
    return None


def _grouped(table: Table, bad: Mapping[str, list[str]]) -> Iterator[Fault]:
    for reason, names in list(bad.items())[:MAX_GAP]:
        many = (
            f"{len(names):,} tensors of {table.path} have"
            if len(names) > 1
            else f"{shown(names[0])} of {table.path} has"
        )
        yield _fault(table, f"{many} {reason}", names)
    rest = list(bad.values())[MAX_GAP:]
    if rest:
        names = [name for group in rest for name in group]
        yield _fault(table, f"{len(names):,} more tensors of {table.path} have broken entries", names)


def _oddities(table: Table, names: Sequence[str]) -> Iterator[Fault]:
    if table.leads:
        yield _odd(table, f"the header of {table.path} begins with white space, not with a brace", [])
    if table.padding > 1 << 20:
        yield _odd(table, f"the header of {table.path} ends with {table.padding:,} bytes of white space", [])
    entries = {name: entry for name, entry in table.entries if isinstance(entry, dict)}
    fields = [
        name for name, entry in entries.items() if set(entry) - set(FIELDS) and not _entry_reason(entry)
    ]
    if fields:
        yield _odd(
            table,
            f"{len(fields):,} tensors of {table.path} have fields that the format does not know",
            fields,
        )
    odd = strange(names)
    if odd:
        yield _odd(table, f"{len(odd):,} tensor names of {table.path} {STRANGE}", odd)


def strange(names: Iterable[str]) -> list[str]:
    """Return the names that are empty, long, or could forge output."""
    return [name for name in names if not name or len(name.encode()) > MAX_NAME or not _is_plain(name)]


def _is_plain(name: str) -> bool:
    return printable(name, limit=len(name)) == name


def _odd(table: Table, message: str, names: Sequence[str]) -> Fault:
    cure = "harmless for the safetensors library; other readers may refuse it, so write the file again"
    return Fault(
        kind=FaultKind.ODD, file=table.path, message=message, tensors=tuple(patterns(names)), cure=cure
    )


def _fault(table: Table, message: str, names: Sequence[str] = (), *, lost: bool = False) -> Fault:
    return Fault(
        kind=FaultKind.MALFORMED,
        file=table.path,
        message=message,
        tensors=tuple(patterns(names)),
        cure=REWRITE if names else AGAIN,
        lost=lost,
    )
