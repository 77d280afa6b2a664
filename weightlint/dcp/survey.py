"""The tables of a folder of torch.distributed.checkpoint, put together and compared with its files.

Without coordination each rank writes a `__<rank>.metadata` of its own. Of the files only the size is asked.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from weightlint.dcp.faults import file_faults, left_over, no_table, stranger, table_faults, unsafe_files
from weightlint.dcp.files import RANK_TABLE, SUFFIX, TABLE, is_table
from weightlint.dcp.metadata import SAFE, Contents, NotMetadataError, contents
from weightlint.foreign import AGAIN, HEAD, recognise
from weightlint.format import Survey
from weightlint.index import UNKNOWN, Header, Index, Kind
from weightlint.names import natural
from weightlint.pickling.machine import run
from weightlint.reader import unreadable
from weightlint.torch_files.archive import MAX_PICKLE
from weightlint.torch_files.faults import malformed, untrusted
from weightlint.torch_files.state_dict import is_beside
from weightlint.weight_map import WeightMap, by_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from weightlint.dcp.metadata import Place, Tensor
    from weightlint.index import Fault
    from weightlint.pickling.machine import Pickled
    from weightlint.store import Blob, Store


def survey(store: Store, names: Sequence[str]) -> Survey:
    """Read the table of a folder, or those of all its ranks."""
    tables = [TABLE] if TABLE in names else sorted(filter(RANK_TABLE.fullmatch, names), key=natural)
    if not tables:
        return Survey(Index(), None, [], [no_table(TABLE, [name for name in names if name.endswith(SUFFIX)])])
    found, faults = _contents(store, tables)
    chunks = _by_file(found)
    refused = list(
        unsafe_files(tables[0], {file: [name for name, _ in there] for file, there in chunks.items()})
    )
    files = _Files(store, [file for file in chunks if file not in {fault.found for fault in refused}])
    faults += [*table_faults(tables[0], found), *refused, *files.faults, *file_faults(chunks, files.sizes)]
    if chunks and not any(fault.lost for fault in faults):
        faults += left_over(
            [name for name in names if name.endswith(SUFFIX) and name not in chunks], tables[0]
        )
    homes = {name: _home(it, files, tables[0]) for name, it in found.tensors.items() if not _beside(name)}
    homes |= {name: tables[0] for names in found.bad.values() for name in names if not _beside(name)}
    return Survey(
        _index(found, homes, files), WeightMap(tables[0], homes) if homes else None, files.absent, faults
    )


def _beside(name: str) -> bool:
    return is_beside(name.partition(".")[0])


def _contents(store: Store, tables: Sequence[str]) -> tuple[Contents, list[Fault]]:
    """Read the tables and put their chunks together."""
    whole = Contents()
    faults: list[Fault] = []
    for path in tables:
        try:
            with store.open(path) as blob:
                faults += _read(blob, path, whole)
        except OSError as error:
            faults.append(unreadable(store, path, error))
    return whole, faults


def _read(blob: Blob, path: str, whole: Contents) -> Iterator[Fault]:
    """Add what one table lists; tell what cannot be read of it."""
    head = blob.read(0, HEAD)
    guess = recognise(head, blob.size, wanted="torch")
    if guess is not None or not head.startswith(b"\x80"):
        yield stranger(path, *(guess or ("no pickle", AGAIN)))
        return
    if blob.size > MAX_PICKLE:
        yield malformed(path, f"has {blob.size:,} bytes, the limit is {MAX_PICKLE:,}", lost=True)
        return
    pickled = run(blob.read(0, blob.size), SAFE)
    yield from _listed(pickled, path, whole)


def _listed(pickled: Pickled, path: str, whole: Contents) -> Iterator[Fault]:
    told = list(untrusted(path, pickled))
    why = pickled.broken or "; ".join(pickled.wrong)
    try:
        if why:
            yield from told
            yield malformed(path, f"is a pickle that {why}", lost=True)
        else:
            whole.merge(contents(pickled.value))
            yield from told
    except NotMetadataError as error:
        lost = [replace(fault, lost=True) for fault in told]
        yield from lost or [malformed(path, f"holds {error}", lost=True)]


def _by_file(found: Contents) -> dict[str, list[tuple[str, Place]]]:
    """Return the chunks of each file: name and place."""
    chunks: dict[str, list[tuple[str, Place]]] = defaultdict(list)
    for name, tensor in found.tensors.items():
        for chunk in tensor.chunks:
            if chunk.place is not None:
                chunks[chunk.place.file].append((name, chunk.place))
    for name, place in found.objects.items():
        if place is not None:
            chunks[place.file].append((name, place))
    return chunks


class _Files:
    """The files that the table names: their sizes in bytes, which are absent, which cannot be read."""

    def __init__(self, store: Store, files: Sequence[str]) -> None:
        self.sizes: dict[str, int] = {}
        self.absent: list[str] = []
        self.faults: list[Fault] = []
        for file in sorted(files, key=natural):
            try:
                with store.open(file) as blob:
                    self.sizes[file] = blob.size
            except FileNotFoundError:
                self.absent.append(file)
            except OSError as error:
                self.faults.append(unreadable(store, file, error))


def _home(tensor: Tensor, files: _Files, table: str) -> str:
    """Return the file that a tensor is said to be in: one that is not there, else that of its first chunk."""
    homes = [chunk.place.file for chunk in tensor.chunks if chunk.place is not None]
    return next((file for file in homes if file not in files.sizes), homes[0] if homes else table)


def _index(found: Contents, homes: Mapping[str, str], files: _Files) -> Index:
    """Make the rows of all tensors whose files are there."""
    index = Index()
    groups = by_file(homes)
    known: dict[tuple[object, ...], Kind] = {}
    for file in sorted({*files.sizes, *(file for file in groups if is_table(file))}, key=natural):
        names = groups.get(file, [])
        tensors = [found.tensors.get(name) for name in names]
        kinds = [known.setdefault(it[:2], Kind(*it[:2])) if it else UNKNOWN for it in tensors]
        spans = [_span(it) for it in tensors]
        starts, stops = [start for start, _ in spans], [stop for _, stop in spans]
        index.add(file, Header(names, kinds, starts, stops, size=files.sizes.get(file, 0)))
    return index


def _span(tensor: Tensor | None) -> tuple[int, int]:
    """Return where the bytes of a tensor of one chunk are, in their envelope; 0 and 0 for one of several."""
    place = tensor.chunks[0].place if tensor and len(tensor.chunks) == 1 else None
    return (place.offset, place.offset + place.length) if place else (0, 0)
