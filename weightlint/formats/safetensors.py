"""safetensors: 8 bytes of length, a JSON table, then the data without holes.

Layout and limits: safetensors/src/tensor.rs of release 0.8.0. The table is proven sound column by
column with built-ins that run in C; only where a proof fails does `explain` look at single tensors.
"""

from __future__ import annotations

import json
from operator import itemgetter, sub
from typing import TYPE_CHECKING, Any, NoReturn

from weightlint.dtype import SAFETENSORS
from weightlint.foreign import AGAIN, HEAD, recognise
from weightlint.header_faults import MAX_NAME, MAX_RANK, Table, explain
from weightlint.index import Fault, FaultKind, Header, Kind

if TYPE_CHECKING:
    from weightlint.store import Blob

MAX_HEADER = 100_000_000
"""Bytes, as the safetensors library allows."""

SUFFIXES = (".safetensors",)
MAX_PADDING = 1 << 20
FIELDS = 3
"""dtype, shape, data_offsets: an entry of this length that has all three has nothing else."""

UNPLAIN = (b"\\", b"\x7f", b"true", b"false")


class FloatSeenError(Exception):
    """A number of the header is no whole one."""


class NotJsonError(Exception):
    """The header text is no table; the message says why and where."""


def read(blob: Blob, path: str) -> Header:
    """Read the table of one file; whatever is wrong with it is among the faults."""
    head = blob.read(0, HEAD)
    length = int.from_bytes(head[:8], "little")
    if blob.size < 8 or length > MAX_HEADER or length == 0 or 8 + length > blob.size:
        return Header(size=blob.size, faults=[_no_header(head, length, blob.size, path)])
    raw = blob.read(8, 8 + length)
    if len(raw) < length:
        return Header(size=blob.size, faults=[_shrunk(path, length, len(raw))])
    return parse(raw, path, blob.size)


def parse(raw: bytes, path: str, size: int) -> Header:
    """Read the table from the header's bytes; `size` is that of the whole file."""
    text = raw.rstrip(b" \t\r\n")
    padding = len(raw) - len(text)
    data = 8 + len(raw)
    try:
        entries, plain = _loads(text)
    except NotJsonError as error:
        return Header(size=size, faults=[_malformed(path, str(error), raw)])
    metadata = entries.pop("__metadata__", None)
    columns = _columns(entries, size - data) if plain and padding <= MAX_PADDING else None
    if columns is None or not _sound_metadata(metadata) or not _single(text, entries, metadata):
        return explain(Table(text, entries, metadata, path, size, data, padding))
    kinds, kind_ids, starts, stops = columns
    return Header(
        names=list(entries),
        kinds=kinds,
        kind_ids=kind_ids,
        starts=starts,
        stops=stops,
        data=data,
        size=size,
        metadata=metadata or {},
    )


def _loads(text: bytes) -> tuple[dict[str, Any], bool]:
    """Parse the header text into its table.

    The second value tells that the text is plain: one object at once, ASCII without escapes or
    control characters, and every number in it a whole one, `true` and `false` among none of them.

    Raises:
        NotJsonError: with the place and the cause.
    """
    plain = text.startswith(b"{") and text.isascii() and not any(map(text.__contains__, UNPLAIN))
    try:
        return _table(json.loads(text.decode("utf-8"), parse_constant=_no_constant, parse_float=_no_float)), plain
    except FloatSeenError:
        return _table(json.loads(text.decode("utf-8"), parse_constant=_no_constant)), False
    except UnicodeDecodeError as error:
        message = f"not UTF-8 at byte {8 + error.start}"
    except UnicodeEncodeError:
        message = "a tensor name holds half a surrogate pair, which is not Unicode"
    except json.JSONDecodeError as error:
        message = f"not JSON at byte {8 + error.pos}: {error.msg}"
    except RecursionError:
        message = "JSON nested too deeply"
    except ValueError as error:
        message = f"JSON with an impossible number: {error}"
    raise NotJsonError(message)


def _table(entries: object) -> dict[str, Any]:
    if not isinstance(entries, dict):
        message = f"a JSON {type(entries).__name__} where a table is needed"
        raise NotJsonError(message)
    "".join(entries).encode("utf-8")
    return entries


def _no_constant(token: str) -> NoReturn:
    message = f"{token} is not JSON"
    raise ValueError(message)


def _no_float(token: str) -> NoReturn:
    raise FloatSeenError(token)


Columns = tuple[list[Kind], list[int], tuple[int, ...], tuple[int, ...]]


def _columns(entries: dict[str, Any], room: int) -> Columns | None:
    """Return kinds, their ids, starts and stops if every entry of a plain text is sound, else None.

    Offsets count from the start of the data. Sound: the three fields and no more, a known dtype,
    a span that fits dtype and shape, and all spans in a row from 0 to the end of the file.
    """
    values = list(entries.values())
    if not values:
        return ([], [], (), ()) if room == 0 else None
    try:
        if set(map(len, values)) != {FIELDS} or max(map(len, entries)) > MAX_NAME or "" in entries:
            return None
        keys = list(zip(map(itemgetter("dtype"), values), map(tuple, map(itemgetter("shape"), values)), strict=True))
        starts, stops = zip(*map(itemgetter("data_offsets"), values), strict=True)
        ids = {key: at for at, key in enumerate(dict.fromkeys(keys))}
        sizes = [_nbytes(*key) for key in ids]
        kind_ids = list(map(ids.__getitem__, keys))
        sound = list(map(sizes.__getitem__, kind_ids)) == list(map(sub, stops, starts))
    except (TypeError, ValueError, KeyError, AttributeError):
        return None
    if not sound or None in sizes or not _in_a_row(starts, stops, room):
        return None
    return [Kind(*key) for key in ids], kind_ids, starts, stops


def _nbytes(dtype: str, shape: tuple[int, ...]) -> int | None:
    known = SAFETENSORS.get(dtype)
    if known is None or len(shape) > MAX_RANK or any(size < 0 for size in shape):
        return None
    total = known.nbytes(shape)
    return total if total is not None and total < 2**63 else None


def _in_a_row(starts: tuple[int, ...], stops: tuple[int, ...], room: int) -> bool:
    if starts != (0, *stops[:-1]):
        order = sorted(zip(starts, stops, strict=True))
        starts = tuple(map(itemgetter(0), order))
        stops = tuple(map(itemgetter(1), order))
    return starts == (0, *stops[:-1]) and stops[-1] == room


def _sound_metadata(metadata: object) -> bool:
    if metadata is None:
        return True
    return isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values())


def _single(text: bytes, entries: dict[str, Any], metadata: dict[str, str] | None) -> bool:
    """Prove that no key of a plain text stands twice.

    Without escapes every string takes two quotes; an entry has five strings: its name, three
    fields and the dtype. If these account for all quotes, none is left for a second key.
    """
    strings = (FIELDS + 2) * len(entries) + (0 if metadata is None else 1 + 2 * len(metadata))
    return text.count(b'"') == 2 * strings


def _no_header(head: bytes, length: int, size: int, path: str) -> Fault:
    guess = recognise(head, size, wanted="safetensors")
    if guess is not None:
        message, cure = f"{path} is no safetensors file but {guess.what}", guess.cure
        return Fault(kind=FaultKind.FOREIGN, file=path, message=message, cure=cure, lost=True)
    if size < 8:
        message = f"{path} has {size} bytes, fewer than the 8 that give the header's length"
        return Fault(kind=FaultKind.FOREIGN, file=path, message=message, cure=AGAIN, lost=True)
    if 0 < length <= MAX_HEADER:
        return _shrunk(path, length, size - 8)
    message = (
        f"{path} is no safetensors file: its first 8 bytes give a header of {length:,} bytes, "
        f"the limit is {MAX_HEADER:,}"
    )
    if length == 0:
        message = f"{path} has a header of 0 bytes, so it lists no tensor"
    return Fault(kind=FaultKind.FOREIGN, file=path, message=message, cure=AGAIN, lost=True)


def _shrunk(path: str, length: int, there: int) -> Fault:
    return Fault(
        kind=FaultKind.TORN,
        file=path,
        message=f"{path} ends inside its header",
        expected=f"a header of {length:,} bytes",
        found=f"{there:,} bytes after the length",
        cure=AGAIN,
        lost=True,
    )


def _malformed(path: str, why: str, raw: bytes) -> Fault:
    guess = recognise((len(raw).to_bytes(8, "little") + raw)[:HEAD], len(raw) + 8, wanted="safetensors")
    if guess is not None:
        message = f"{path} is no safetensors file but {guess.what}"
        return Fault(kind=FaultKind.FOREIGN, file=path, message=message, cure=guess.cure, lost=True)
    hint = "; the header is padded with NUL bytes, only spaces are allowed" if raw.endswith(b"\0") else ""
    return Fault(
        kind=FaultKind.MALFORMED,
        file=path,
        message=f"the header of {path} cannot be read: {why}{hint}",
        cure=AGAIN,
        lost=True,
    )
