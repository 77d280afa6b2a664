"""Index files: the JSON that says which tensor is in which file.

An index is a claim, not a fact; what the headers say is compared with it elsewhere. No path from
an index is opened before `unsafe` has passed it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from weightlint import strict_json
from weightlint.finding import printable
from weightlint.foreign import AGAIN, HEAD, recognise
from weightlint.index import Fault, FaultKind
from weightlint.names import patterns
from weightlint.strict_json import BadJsonError, Repeated, called

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from weightlint.store import Blob

MAX_BYTES = 1 << 30
MAX_DIGITS = 4_300
"""Digits of a number, as Python converts; the largest total_size seen in the wild has 72."""

REBUILD = "rebuild the index from the shards, or download it again"


@dataclass(frozen=True, slots=True)
class WeightMap:
    """One index file: `entries` gives the file of each tensor, `total_size` is as declared."""

    path: str
    entries: Mapping[str, str]
    total_size: object = None


class Reading(NamedTuple):
    """A weight map if there is one, and what is wrong with its file."""

    map: WeightMap | None
    faults: list[Fault]


def is_index(name: str) -> bool:
    """Tell whether a file name is that of an index."""
    return name.endswith(".json") and ".index" in name


def read(blob: Blob, path: str) -> Reading:
    """Read one index file."""
    guess = recognise(blob.read(0, HEAD), blob.size, wanted="a JSON index")
    if guess is not None:
        message = f"{path} is no index but {guess.what}"
        return Reading(None, [_fault(FaultKind.FOREIGN, path, message, cure=guess.cure)])
    if blob.size > MAX_BYTES:
        message = f"{path} has {blob.size:,} bytes, the limit for an index is {MAX_BYTES:,}"
        return Reading(None, [_fault(FaultKind.MALFORMED, path, message)])
    return parse(blob.read(0, blob.size), path)


def parse(raw: bytes, path: str) -> Reading:
    """Read an index from its bytes."""
    try:
        table, doubled = _loads(raw)
    except ValueError as error:
        return Reading(None, [_fault(FaultKind.MALFORMED, path, f"{path} {error}")])
    entries = table.get("weight_map")
    if not isinstance(entries, dict):
        message = f"{path} has no table `weight_map` that gives the file of each tensor"
        return Reading(None, [_fault(FaultKind.MALFORMED, path, message)])
    if not entries:
        message = f"{path} names no tensor: its weight_map is empty"
        return Reading(None, [_fault(FaultKind.MALFORMED, path, message)])
    wrong = [] if set(map(type, entries.values())) == {str} else _not_texts(entries)
    if wrong:
        message = f"{path} gives {len(wrong):,} tensors a file name that is no text"
        return Reading(None, [_fault(FaultKind.MALFORMED, path, message, tensors=wrong)])
    faults = [*_unsafe(path, entries), *_odd_files(path, entries)]
    if doubled:
        message = f"{path} names {len(doubled):,} tensors twice; readers keep the last file"
        faults.append(_fault(FaultKind.MALFORMED, path, message, tensors=doubled))
    refused = {fault.found for fault in faults if fault.kind is FaultKind.UNSAFE}
    safe = {name: file for name, file in entries.items() if file not in refused} if refused else entries
    metadata = table.get("metadata")
    total = metadata.get("total_size") if isinstance(metadata, dict) else None
    return Reading(WeightMap(path, safe, total) if safe else None, faults)


def _loads(raw: bytes) -> tuple[dict[str, Any], list[str]]:
    """Parse JSON; return the table and the keys that come twice in it or in its tables.

    Raises:
        ValueError: with the place and, where it shows, the cause.
    """
    try:
        table = strict_json.parse(raw)
        if not _is_proven(raw, table):
            table = strict_json.parse_exactly(raw, max_digits=MAX_DIGITS)
    except BadJsonError as error:
        message = f"{error}, at line {error.line}, byte {error.at}"
        raise ValueError(message) from error
    if not isinstance(table, dict):
        message = f"is {called(table)} where a table is needed"
        raise ValueError(message)  # noqa: TRY004 -- one kind of error for every unusable text
    tables = [table, *table.values()]
    return table, [key for it in tables if isinstance(it, Repeated) for key in it.keys_twice]


def _is_proven(raw: bytes, table: object) -> bool:
    """Prove that no key stands twice; False is no disproof. Each key has a colon of its own."""
    if not isinstance(table, dict) or (b"\\" in raw and b"\\u" in raw):
        return False
    inner = [value for value in table.values() if isinstance(value, dict)]
    return raw.count(b":") == len(table) + sum(map(len, inner))


def _not_texts(entries: Mapping[str, object]) -> list[str]:
    return [name for name, file in entries.items() if type(file) is not str]


def _odd_files(path: str, entries: Mapping[str, str]) -> Iterator[Fault]:
    files = dict.fromkeys(entries.values())
    odd = [file for file in files if "\0" not in file and printable(file, limit=len(file)) != file]
    if odd:
        message = f"{path} names {len(odd):,} files with control characters, such as {printable(odd[0])}"
        names = [name for name, file in entries.items() if file in set(odd)]
        yield _fault(FaultKind.ODD, path, message, tensors=names, cure="rename these files")


def unsafe(file: str) -> str | None:
    """Say why a file name from an index must not be opened, under POSIX and Windows rules."""
    if not file or "\0" in file:
        return "is empty or holds a NUL character"
    if "://" in file:
        return "is an address"
    if "\\" in file or file[1:2] == ":":
        return "is a Windows path"
    if file.startswith("/"):
        return "is an absolute path"
    return "leads out of the folder" if ".." in file.split("/") else None


def _unsafe(path: str, entries: Mapping[str, str]) -> Iterator[Fault]:
    for file in dict.fromkeys(entries.values()):
        why = unsafe(file)
        if why is not None:
            names = [name for name, place in entries.items() if place == file]
            message = f"{path} places {len(names):,} tensors in {file!r}, which {why}; it was not opened"
            cure = "do not trust this checkpoint; if the shard is beside the index, name it without a path"
            fault = _fault(FaultKind.UNSAFE, path, message, tensors=names, cure=cure)
            yield Fault(
                kind=fault.kind, file=path, message=message, tensors=fault.tensors, found=file, cure=cure
            )


def by_file(entries: Mapping[str, str]) -> dict[str, list[str]]:
    """Turn a weight map around: the tensors of each file."""
    out: dict[str, list[str]] = defaultdict(list)
    for name, file in entries.items():
        out[file].append(name)
    return dict(out)


def headers(entries: Mapping[str, str]) -> dict[str, int]:
    """Return about how many bytes the headers of the safetensors files have of which an index names all tensors.

    An entry `"":{"dtype":"F8_E4M3","shape":[7168,18432],"data_offsets":[4241557944,4241557944]},` has 87 bytes beside
    its name; before them come 8 bytes of length and some metadata. A page is read of every file.
    """
    return {
        file: max(HEAD, 512 + sum(map(len, names)) + 90 * len(names))
        for file, names in by_file(entries).items()
        if file.endswith(".safetensors")
    }


def _fault(
    kind: FaultKind, path: str, message: str, *, tensors: list[str] | None = None, cure: str = REBUILD
) -> Fault:
    return Fault(
        kind=kind,
        file=path,
        message=message,
        tensors=tuple(patterns(tensors or ())),
        cure=AGAIN if kind is FaultKind.FOREIGN and cure == REBUILD else cure,
    )
