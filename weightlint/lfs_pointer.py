"""Git LFS pointers: the small text that stands in a repository for a large file.

Format: docs/spec.md in git-lfs/git-lfs. Knows nothing of repositories.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_BYTES = 1024
"""A pointer is shorter than this (docs/spec.md)."""

_VERSION = re.compile(rb"version https://(?:git-lfs|hawser)\.github\.com/spec/v1\s")
_OID = re.compile(rb"^oid sha256:([0-9a-f]{64})\r?$", re.MULTILINE)
_SIZE = re.compile(rb"^size (\d{1,20})\r?$", re.MULTILINE)


class Pointer(NamedTuple):
    """The sha256 of the real file and its size in bytes, None where a damaged pointer has none."""

    oid: str | None
    size: int | None


def parse(head: bytes) -> Pointer | None:
    """Read a pointer from its text; None if it is none."""
    if not _VERSION.match(head):
        return None
    oid, size = _OID.search(head), _SIZE.search(head)
    return Pointer(oid[1].decode() if oid else None, int(size[1]) if size else None)
