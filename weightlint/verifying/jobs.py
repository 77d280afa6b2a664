"""From a checkpoint to the jobs of a run: which bytes are read together, and what is asked of them.

A file whose hash is asked for is one job, because a hash takes its bytes in order; others are cut at tensors into runs of
about a gibibyte, so that every core has one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from weightlint.format import format_of
from weightlint.index import Header
from weightlint.probe import Crc, Hash, Job
from weightlint.verifying.advice import by_name, bytes_of
from weightlint.verifying.spans import spans

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from weightlint.checkpoint import Checkpoint
    from weightlint.digest import Digest
    from weightlint.index import Index
    from weightlint.probe import Span
    from weightlint.store import Blob, Store
    from weightlint.verifying.manifest import Manifest

RUN = 1 << 30
"""Bytes of a job, where a file may be cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a run is to find out. `digests` are by file; `sha256` asks for that of every file all the same."""

    values: bool = True
    prints: bool = False
    sha256: bool = False
    digests: Mapping[str, Sequence[Digest]] = field(default_factory=dict)
    manifest: Manifest | None = None


def jobs(checkpoint: Checkpoint, wanted: Wanted) -> tuple[Job, ...]:
    """Return the jobs of a checkpoint, in the order of its files."""
    store = checkpoint.store
    assert store is not None
    return tuple(
        job for file in files_of(checkpoint, wanted) for job in _of_file(store, checkpoint, file, wanted)
    )


def files_of(checkpoint: Checkpoint, wanted: Wanted) -> list[str]:
    """Return the files that are read: all that hold tensors, and those that somebody gives a hash for."""
    ranks = checkpoint.ranks.places if checkpoint.ranks is not None else ()
    models = (checkpoint, *checkpoint.others)
    held = [file.path for model in models for index in (model.index, model.strays) for file in index.files]
    broken = [fault.file for model in models for fault in model.faults if fault.lost]
    named = [*wanted.digests, *(wanted.manifest.files if wanted.manifest else ())]
    return list(dict.fromkeys((*held, *ranks, *broken, *named)))


def _of_file(store: Store, checkpoint: Checkpoint, file: str, wanted: Wanted) -> Iterator[Job]:
    try:
        with store.open(file) as blob:
            yield from _cut(file, blob, _spans(checkpoint, file, blob, wanted), _crcs(file, blob), wanted)
    except OSError:
        # that it cannot be opened is told by the reading of headers, that it is absent by who named it
        return


def _spans(checkpoint: Checkpoint, file: str, blob: Blob, wanted: Wanted) -> tuple[Span, ...]:
    known = wanted.manifest.spans(file, blob.size) if wanted.manifest else None
    return known if known is not None else spans(_header(checkpoint.index, file, blob))


def _header(index: Index, file: str, blob: Blob) -> Header:
    """Read the table of one file anew, or take it from the table that lies beside its files."""
    form = format_of(file)
    if form is not None:
        return form.read(blob, file)
    rows = [row for row in range(len(index)) if index.file(row) == file]
    return Header(
        names=[index.names[row] for row in rows],
        kinds=[index.kind(row) for row in rows],
        starts=[index.starts[row] for row in rows],
        stops=[index.stops[row] for row in rows],
        size=blob.size,
    )


def _crcs(file: str, blob: Blob) -> tuple[Crc, ...]:
    form = format_of(file)
    return tuple(form.checksums(blob)) if form is not None else ()


def _cut(
    file: str, blob: Blob, found: tuple[Span, ...], crcs: tuple[Crc, ...], wanted: Wanted
) -> Iterator[Job]:
    size = blob.size
    hashes = _hashes(file, found, size, wanted)
    whole = bool(hashes or crcs) or (wanted.manifest is not None and file in wanted.manifest.files)
    for start, stop, part in [(0, size, found)] if whole else _runs(found, size):
        yield _keyed(
            file=file,
            size=size,
            start=start,
            stop=stop,
            spans=part,
            crcs=crcs,
            hashes=hashes,
            prints=wanted.prints,
            values=wanted.values,
        )


def _keyed(**fields: object) -> Job:
    """Name a job by its place and by a hash of all that is asked for."""
    asked = hashlib.sha256(repr(sorted(fields.items())).encode()).hexdigest()[:16]
    return Job(key=f"{fields['file']}:{fields['start']}-{fields['stop']}:{asked}", **fields)  # type: ignore[arg-type] # the fields of a job, spelt out by the one caller


def _hashes(file: str, found: tuple[Span, ...], size: int, wanted: Wanted) -> tuple[Hash, ...]:
    spans_of = by_name(found)
    asked = {
        Hash(digest.algorithm, *place)
        for digest in wanted.digests.get(file, ())
        if digest.value is not None and (place := bytes_of(digest, spans_of, size)) is not None
    }
    listed = wanted.manifest.files.get(file) if wanted.manifest else None
    if wanted.sha256 or (listed is not None and listed.size == size):
        asked.add(Hash("sha256", 0, size))
    return tuple(sorted(asked))


def _runs(found: tuple[Span, ...], size: int) -> Iterator[tuple[int, int, tuple[Span, ...]]]:
    """Cut a file at spans into runs of about `RUN` bytes."""
    start = 0
    part: list[Span] = []
    for span in found:
        if part and span.stop - start > RUN:
            yield start, span.start, tuple(part)
            start, part = span.start, []
        part.append(span)
    if size:
        yield start, size, tuple(part)
