"""weightlint's own manifest: sha256 of every file, and of every tensor a hash that tells where bytes differ.

`schemas/_meta/manifest.schema.json` has its form. Experts that are stacked in one tensor have a hash each.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weightlint import strict_json
from weightlint.errors import UsageError
from weightlint.strict_json import BadJsonError
from weightlint.verifying.spans import between, tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from weightlint.probe import Job, Row, Span

VERSION = 1
MARK = "weightlint_manifest"
MAX_SIZE = 1 << 30
"""Bytes of a manifest that are read."""


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

    def spans(self, file: str, size: int) -> tuple[Span, ...] | None:
        """Return the spans of a file as the manifest has them, and what lies beyond; None if it is not listed."""
        listed = self.files.get(file)
        if listed is None:
            return None
        beyond = between(listed.size, size)._replace(prints=("none",)) if size > listed.size else None
        return (*listed.spans, beyond) if beyond else listed.spans


def written(entries: Iterable[tuple[Job, Row]], *, program: str) -> str:
    """Return the text of a manifest of whole files.

    Raises:
        UsageError: some bytes could not be read.
    """
    files = {job.file: _described(job, row) for job, row in entries}
    table = {MARK: VERSION, "weightlint": program, "files": dict(sorted(files.items()))}
    return json.dumps(table, separators=(",", ":")).replace("\x7f", "\\u007f") + "\n"


def _described(job: Job, row: Row) -> dict[str, Any]:
    if row.errors:
        offset, *_, why = row.errors[0]
        message = f"{job.file} cannot be read at byte {offset:,}: {why}; a manifest needs all bytes"
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
        raw = path.read_bytes()[: MAX_SIZE + 1]
        if raw[:2] == b"\x1f\x8b":
            with gzip.open(path) as stream:
                raw = stream.read(MAX_SIZE + 1)
    except (OSError, EOFError) as error:
        message = f"{path}: {getattr(error, 'strerror', None) or error}"
        raise UsageError(message) from error
    try:
        if len(raw) > MAX_SIZE:
            raise _Malformed(f"it has more than {MAX_SIZE:,} bytes")
        return Manifest(str(path), _files(strict_json.parse(raw)))
    except (BadJsonError, _Malformed, TypeError, ValueError, KeyError) as error:
        message = f"{path} is no manifest of weightlint: {error}; `weightlint manifest` writes one"
        raise UsageError(message) from error


class _Malformed(ValueError):
    """What is wrong with a manifest."""


def _files(table: Any) -> dict[str, Listed]:
    if not isinstance(table, dict) or table.get(MARK) != VERSION:
        raise _Malformed(f"no {MARK!r}: {VERSION}")
    return {path: _listed(path, entry) for path, entry in table["files"].items()}


def _listed(path: str, entry: Any) -> Listed:
    from weightlint.weight_map import unsafe

    if unsafe(path):
        raise _Malformed(f"{path!r} leads out of the folder")
    size, sha256 = entry["size"], entry["sha256"]
    pieces = tuple(_span(*piece) for piece in entry["pieces"])
    ends = [0, *(piece.stop for piece in pieces)]
    ordered = all(end <= piece.start <= piece.stop <= size for end, piece in zip(ends, pieces, strict=False))
    if type(size) is not int or not isinstance(sha256, str) or not ordered:
        raise _Malformed(f"the entry of {path} does not add up")
    return Listed(size, sha256, pieces)


def _span(name: str, dtype: str | None, shape: list[int], start: int, stop: int, prints: list[str]) -> Span:
    whole = (name, dtype or "", *prints)
    if not all(isinstance(text, str) for text in whole) or not all(
        type(n) is int for n in (*shape, start, stop)
    ):
        raise _Malformed(f"the piece {name!r} is of other types")
    made = between(start, stop) if dtype is None else tensor(name, dtype, tuple(shape), start, stop)
    return made._replace(prints=tuple(prints))
