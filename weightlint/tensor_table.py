"""Why the entries of a tensor table cannot be right.

The slow, explaining twin of a reader's proof: it runs only where the proof has failed. An entry is
`{"dtype": ..., "shape": [...], "data_offsets": [start, stop]}` with offsets from the end of the
header; this room knows nothing of how it was read.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

from weightlint.dtype import SAFETENSORS
from weightlint.errors import nearest
from weightlint.finding import printable
from weightlint.index import UNKNOWN, Fault, FaultKind, Kind
from weightlint.names import patterns
from weightlint.strict_json import Repeated, Unfit, too_much

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from weightlint.dtype import Shape

FIELDS = ("dtype", "shape", "data_offsets")
MAX_RANK = 64
MAX_NAME = 1024
"""Bytes of a tensor name that loaders and tools are known to carry."""

_U64 = 1 << 64
_AGAIN = "download the file again, or write it again with safetensors' save_file"
_SORTS: Mapping[str, tuple[FaultKind, str]] = {
    "entry": (FaultKind.MALFORMED, "the entry of a tensor is not usable"),
    "dtype": (FaultKind.MALFORMED, "a dtype is unknown"),
    "shape": (FaultKind.MALFORMED, "a shape is impossible"),
    "offsets": (FaultKind.MALFORMED, "a byte range is impossible"),
    "span": (FaultKind.MALFORMED, "dtype and shape contradict the byte range"),
    "field": (FaultKind.ODD, "the entry of a tensor has a field that no loader reads"),
    "control": (FaultKind.ODD, "a tensor name has control characters"),
    "long": (FaultKind.ODD, f"a tensor name is longer than {MAX_NAME:,} bytes"),
    "empty": (FaultKind.ODD, "a tensor has the empty name"),
}


class Complaint(NamedTuple):
    """One thing wrong with one entry. `sort` is the key under which a file's are told together."""

    sort: str
    detail: str
    expected: str | None = None
    found: str | None = None
    cure: str = _AGAIN

    @property
    def blurs_range(self) -> bool:
        """Tell whether the byte range of the entry cannot be relied on."""
        return self.sort in {"entry", "offsets", "span"}


class Row(NamedTuple):
    """One entry as far as it can be used; `span` is its offsets, None where they cannot."""

    name: str
    kind: Kind
    span: tuple[int, int] | None
    complaint: Complaint | None


def judged(name: str, entry: object) -> Row:
    """Judge one entry by itself."""
    wrong = _build(entry)
    if wrong or not isinstance(entry, dict):
        return Row(name, UNKNOWN, None, wrong)
    dtype, shape, offsets = (entry[field] for field in FIELDS)
    wrong = _offsets(offsets)
    if wrong:
        return Row(name, UNKNOWN, None, wrong)
    start, stop = offsets
    wrong = _dtype(dtype) or _shape(shape)
    if wrong:
        return Row(name, UNKNOWN, (start, stop), wrong)
    kind = Kind(dtype, tuple(shape))
    wrong = _size(dtype, tuple(shape), stop - start) or _extra(entry)
    return Row(name, kind, (start, stop), wrong)


def nbytes(dtype: str, shape: Shape) -> int | str:
    """Return the bytes of a tensor of a known dtype, or what is wrong with its shape.

    As in safetensors' tensor.rs the product is taken from left to right, in 64 bits.
    """
    count = 1
    for dim in shape:
        count *= dim
        if count >= _U64:
            return f"has shape {list(shape)}, more than 2^64 elements"
    bits = count * SAFETENSORS[dtype].bits
    if bits >= _U64:
        return f"has shape {list(shape)}, more than 2^64 bits of {dtype}"
    return f"is {dtype} {list(shape)}, {bits} bits: no whole bytes" if bits % 8 else bits // 8


def entry_faults(path: str, rows: Sequence[Row]) -> Iterator[Fault]:
    """Tell what is wrong with single entries, one fault for all of a sort."""
    groups: dict[str, list[tuple[str, Complaint]]] = defaultdict(list)
    for row in rows:
        if row.complaint:
            groups[row.complaint.sort].append((row.name, row.complaint))
    for group in groups.values():
        yield _grouped(path, group)


def name_faults(path: str, names: Sequence[str]) -> Iterator[Fault]:
    """Tell of names that the format allows and that are trouble all the same."""
    checks: Mapping[str, Callable[[str], bool]] = {
        "empty": lambda name: not name,
        "long": lambda name: len(name.encode()) > MAX_NAME,
        "control": lambda name: printable(name, limit=len(name)) != name,
    }
    for sort, is_odd in checks.items():
        odd = [(name, Complaint(sort, "", cure="rename it")) for name in names if is_odd(name)]
        if odd:
            yield _grouped(path, odd)


def twice_faults(path: str, names: Sequence[str]) -> Iterator[Fault]:
    """Tell of names that the table gives more than once."""
    twice = {name: times for name, times in Counter(names).items() if times > 1}
    if twice:
        name, times = next(iter(twice.items()))
        more = f", and {len(twice) - 1:,} more names" if len(twice) > 1 else ""
        yield Fault(
            kind=FaultKind.MALFORMED,
            file=path,
            message=f"the header gives {shown(name)} {times} times{more}: loaders keep the last"
            " one without a word",
            tensors=tuple(patterns(twice)),
            expected="each tensor once",
            found=f"{sum(twice.values()):,} entries of {len(twice):,} names",
            cure="write the file again from the right tensors",
        )


def shown(text: str) -> str:
    """Return a text from a file as it stands in a message."""
    return printable(text, limit=120) or '""'


def _build(entry: object) -> Complaint | None:
    if not isinstance(entry, dict):
        return Complaint("entry", f"is {called(entry)}, not an object")
    if isinstance(entry, Repeated):
        return Complaint("entry", f"gives {', '.join(map(shown, entry.keys_twice))} twice")
    missing = [field for field in FIELDS if field not in entry]
    return Complaint("entry", f"has no {' and no '.join(missing)}") if missing else None


def _dtype(dtype: object) -> Complaint | None:
    if type(dtype) is not str:
        return Complaint("dtype", f"has {called(dtype)} as dtype, not a text")
    if dtype in SAFETENSORS:
        return None
    upper = dtype.upper() if dtype.upper() in SAFETENSORS else None
    hint = f" (upper case: {upper})" if upper else nearest(dtype, SAFETENSORS)
    cure = f"write it as {upper}" if upper else "convert it to a dtype that safetensors knows"
    return Complaint("dtype", f"has {shown(dtype)}{hint}", found=shown(dtype), cure=cure)


def _shape(shape: object) -> Complaint | None:
    if type(shape) is not list:
        return Complaint("shape", f"has {called(shape)} as shape, not a list")
    if len(shape) > MAX_RANK:
        return Complaint("shape", f"has {len(shape):,} dimensions, more than {MAX_RANK}")
    return next((_whole("shape", dim) for dim in shape if not _is_u64(dim)), None)


def _offsets(offsets: object) -> Complaint | None:
    if type(offsets) is not list:
        return Complaint("offsets", f"has {called(offsets)} as data_offsets, not a list")
    if len(offsets) != len(("start", "stop")):
        return Complaint("offsets", f"has {len(offsets):,} data_offsets, not two")
    wrong = next((_whole("offsets", offset) for offset in offsets if not _is_u64(offset)), None)
    if wrong or offsets[0] <= offsets[1]:
        return wrong
    return Complaint("offsets", f"has data_offsets {offsets}: it ends before it begins")


def _is_u64(number: object) -> bool:
    return type(number) is int and 0 <= number < _U64


def _whole(sort: str, number: object) -> Complaint:
    return Complaint(sort, f"has {called(number)} where a whole number from 0 to 2^64 - 1 belongs")


def _size(dtype: str, shape: Shape, span: int) -> Complaint | None:
    wanted = nbytes(dtype, shape)
    if isinstance(wanted, str):
        return Complaint("shape", wanted)
    if wanted == span:
        return None
    expected = f"{wanted:,} bytes = {dtype} {list(shape)}"
    detail = f"is {expected}, its data_offsets span {span:,} bytes"
    return Complaint("span", detail, expected=expected, found=f"{span:,} bytes")


def _extra(entry: Mapping[str, object]) -> Complaint | None:
    extra = [field for field in entry if field not in FIELDS]
    for field in extra:
        hostile = too_much(entry[field])
        if hostile:
            return Complaint("entry", f"has a field {shown(field)} that {hostile}")
    if not extra:
        return None
    return Complaint("field", f"has {', '.join(map(shown, extra))}", cure="leave the field out")


def called(value: object) -> str:
    """Return what a JSON value is, in words."""
    if isinstance(value, (Unfit, int, float)) and not isinstance(value, bool):
        return f"the number {printable(str(value), limit=24)}"
    names = {bool: str(value).lower(), type(None): "null", str: "a text", list: "a list"}
    return names.get(type(value), "an object")


def _grouped(path: str, group: Sequence[tuple[str, Complaint]]) -> Fault:
    name, first = group[0]
    kind, title = _SORTS[first.sort]
    more = f"; and {len(group) - 1:,} more" if len(group) > 1 else ""
    return Fault(
        kind=kind,
        file=path,
        message=f"{title}: {shown(name)} {first.detail}".rstrip() + more,
        tensors=tuple(patterns(name for name, _ in group)),
        expected=first.expected,
        found=first.found,
        cure=first.cure,
    )
