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
from weightlint.weight_map import unsafe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from weightlint.probe import Job, Row, Span

VERSION = 1
MARK = "weightlint_manifest"
BEYOND = ("beyond the end",)
"""In place of a hash, of bytes that a manifest does not know."""

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
        beyond = between(listed.size, size)._replace(prints=BEYOND) if size > listed.size else None
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
    return parse(raw, str(path))


def parse(raw: bytes, path: str) -> Manifest:
    """Read the text of a manifest.

    Raises:
        UsageError: it is none.
    """
    try:
        return Manifest(path, _files(strict_json.parse(raw) if len(raw) <= MAX_SIZE else None))
    except (BadJsonError, TypeError, ValueError, KeyError) as error:
        message = f"{path} is no manifest of weightlint: {error}; `weightlint manifest` writes one"
        raise UsageError(message) from error


def _files(table: Any) -> dict[str, Listed]:
    _ask(isinstance(table, dict) and table.get(MARK) == VERSION, f"it does not say {MARK!r}: {VERSION}")
    return {path: _listed(path, entry) for path, entry in table["files"].items()}


def _listed(path: str, entry: Any) -> Listed:
    _ask(not unsafe(path), f"{path!r} leads out of the folder")
    size, sha256 = entry["size"], entry["sha256"]
    pieces = tuple(_span(piece) for piece in entry["pieces"])
    ends = [0, *(piece.stop for piece in pieces)]
    ordered = all(end <= piece.start <= piece.stop <= size for end, piece in zip(ends, pieces, strict=False))
    _ask(type(size) is int and isinstance(sha256, str) and ordered, f"the entry of {path} does not add up")
    return Listed(size, sha256, pieces)


def _span(piece: list[Any]) -> Span:
    name, dtype, shape, start, stop, prints = piece
    texts, numbers = (name, dtype or "", *prints), (*shape, start, stop)
    sound = all(isinstance(text, str) for text in texts) and all(type(number) is int for number in numbers)
    _ask(sound and min(numbers) >= 0, f"the piece {name!r} is of other types")
    made = between(start, stop) if dtype is None else tensor(name, dtype, tuple(shape), start, stop)
    return made._replace(prints=tuple(prints))


def _ask(sound: bool, why: str) -> None:  # noqa: FBT001 -- it is the one thing that is asked
    if not sound:
        raise ValueError(why)
