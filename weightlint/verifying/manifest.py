"""weightlint's own manifest: sha256 of every file, and of every tensor a hash that tells where bytes differ.

`schemas/_meta/manifest.schema.json` has its form. Experts that are stacked in one tensor have a hash each.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weightlint import small_file, strict_json
from weightlint.checkpoint import collector_off
from weightlint.digest import Digest
from weightlint.errors import UsageError
from weightlint.finding import printable
from weightlint.strict_json import BadJsonError, Repeated
from weightlint.verifying.spans import between, tensor
from weightlint.verifying.typed import lack, reader
from weightlint.weight_map import unsafe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from weightlint.probe import Job, Row, Span

VERSION = 1
MARK = "weightlint_manifest"
BEYOND = ("beyond the end",)
"""In place of a hash, of bytes that a manifest does not know."""

MAX_SIZE = 1 << 28
"""Bytes of a manifest that are read; one of a million tensors has about 1.7e8."""

_Piece = tuple[str, str | None, tuple[int, ...], int, int, tuple[str, ...]]
"""Name, dtype, shape, first byte, byte after the last, hashes."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Listed:
    """One file of a manifest: size in bytes, sha256, and its spans with their hashes."""

    size: int
    sha256: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a manifest says, by file; `path` is where it was read."""

    path: str
    files: Mapping[str, Listed]

    def digests(self) -> Iterator[Digest]:
        """Yield the sha256 of each file."""
        for file, listed in self.files.items():
            yield Digest(file=file, value=listed.sha256, size=listed.size, origin=f"the manifest {self.path}")

    def spans(self, file: str, size: int) -> tuple[Span, ...] | None:
        """Return the spans of a file as the manifest has them, and what lies beyond; None if it is not listed."""
        listed = self.files.get(file)
        if listed is None:
            return None
        beyond = between(listed.size, size)._replace(prints=BEYOND) if size > listed.size else None
        return (*listed.spans, beyond) if beyond else listed.spans


def written(entries: Iterable[tuple[Job, Row]], *, program: str) -> str:
    """Return the text of a manifest of whole files.

    Raises:
        UsageError: some bytes could not be read, or changed meanwhile.
    """
    files = {job.file: _described(job, row) for job, row in entries}
    table = {MARK: VERSION, "weightlint": program, "files": dict(sorted(files.items()))}
    return json.dumps(table, separators=(",", ":")).replace("\x7f", "\\u007f") + "\n"


def _described(job: Job, row: Row) -> dict[str, Any]:
    if row.errors:
        offset, *_, why = row.errors[0]
        message = f"{job.file} cannot be read at byte {offset:,}: {why}; a manifest needs all bytes"
        raise UsageError(message)
    if row.was_changed:
        message = f"{job.file} was written to while it was read; wait until it is whole, and begin again"
        raise UsageError(message)
    sha256 = row.digests[f"sha256:0-{job.size}"]
    pieces = [
        [span.name, span.dtype, list(span.shape), span.start, span.stop, list(stats.prints)]
        for span, stats in zip(job.spans, row.stats, strict=True)
    ]
    return {"size": job.size, "sha256": sha256, "pieces": pieces}


def is_manifest(head: bytes) -> bool:
    """Tell by its first bytes whether a JSON text is a manifest of ours."""
    return f'"{MARK}"'.encode() in head[:64]


def read(path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        UsageError: it cannot be read or is none.
    """
    try:
        return parse(_unpacked(small_file.read_all(path, limit=MAX_SIZE)), str(path))
    except (OSError, EOFError, zlib.error) as error:
        message = f"{path}: {getattr(error, 'strerror', None) or error}"
        raise UsageError(message) from error


def _unpacked(raw: bytes) -> bytes:
    """Return the text of a manifest that may be compressed, one byte more than is read of a larger one."""
    if raw[:2] != b"\x1f\x8b":
        return raw
    with gzip.open(io.BytesIO(raw)) as stream:
        return stream.read(MAX_SIZE + 1)


def parse(raw: bytes, path: str) -> Manifest:
    """Read the text of a manifest.

    Raises:
        UsageError: it is none.
    """
    try:
        _ask(len(raw) <= MAX_SIZE, f"it has more than {MAX_SIZE:,} bytes")
        with collector_off():
            return Manifest(path, _files(strict_json.parse_exactly(raw)))
    except (BadJsonError, TypeError, ValueError, KeyError) as error:
        message = f"{path} is no manifest of weightlint: {lack(error)}; `weightlint manifest` writes one"
        raise UsageError(message) from error


def _files(table: Any) -> dict[str, Listed]:
    _ask(isinstance(table, dict) and table.get(MARK) == VERSION, f"it does not say {MARK!r}: {VERSION}")
    files = table["files"]
    _ask(
        isinstance(files, dict) and not isinstance(files, Repeated),
        "`files` is no table, or names a file twice",
    )
    return {path: _listed(path, entry) for path, entry in files.items()}


def _listed(path: str, entry: Any) -> Listed:
    _ask(not unsafe(path), f"{printable(path)} leads out of the folder")
    _ask(isinstance(entry, dict), f"the entry of {printable(path)} is no table")
    size, sha256, listed = entry["size"], small_file.text(entry["sha256"]) or "", entry["pieces"]
    _ask(type(size) is int and size >= 0, f"the size of {printable(path)} is none")
    _ask(_SHA256.fullmatch(sha256) is not None, f"the sha256 of {printable(path)} is none")
    _ask(isinstance(listed, list), f"the pieces of {printable(path)} are no list")
    pieces = tuple(_span(piece) for piece in listed)
    ends = [0, *(piece.stop for piece in pieces)]
    covered = all(end == piece.start <= piece.stop for end, piece in zip(ends, pieces, strict=False))
    _ask(covered and ends[-1] == size, f"the pieces of {printable(path)} do not make up its {size:,} bytes")
    return Listed(size, sha256, pieces)


def _span(piece: Any) -> Span:
    name, dtype, shape, start, stop, prints = reader(_Piece)(piece)
    _ask(min((start, stop, *shape)) >= 0, f"the piece {printable(name)} has a number below 0")
    made = between(start, stop) if dtype is None else tensor(name, dtype, shape, start, stop)
    _ask(
        len(prints) == made.slices,
        f"the piece {printable(name)} has {len(prints):,} hashes, not {made.slices:,}",
    )
    return made._replace(prints=prints)


def _ask(sound: bool, why: str) -> None:  # noqa: FBT001 -- it is the one thing that is asked
    if not sound:
        raise ValueError(why)
