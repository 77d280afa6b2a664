"""Small files of strangers, read whole: notes of download tools, lists of hashes, manifests.

Regular files up to a limit only; what is not there, too long or no JSON is None, never an error.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from weightlint.strict_json import BadJsonError, Repeated, Unfit, parse_exactly

if TYPE_CHECKING:
    from pathlib import Path

    from weightlint.store import Store

MAX_BYTES = 1 << 26
"""64 MiB: the tree listing of a repository with 100,000 files has about 30."""


def folder(path: Path) -> Store:
    """Return the files of a local folder."""
    from weightlint.stores.local import LocalStore

    return LocalStore(path)


def read(store: Store, path: str, *, limit: int = MAX_BYTES) -> bytes | None:
    """Return the bytes of a file of at most `limit` bytes."""
    try:
        with store.open(path) as blob:
            return blob.read(0, blob.size) if blob.size <= limit else None
    except OSError:
        return None


def read_path(path: Path, *, limit: int = MAX_BYTES) -> bytes | None:
    """Return the bytes of a local file of at most `limit` bytes."""
    return read(folder(path.parent), path.name, limit=limit)


def read_all(path: Path, *, limit: int) -> bytes:
    """Return the bytes of a local file that the user names.

    Raises:
        OSError: it is not there, no regular file, or has more than `limit` bytes.
    """
    with folder(path.parent).open(path.name) as blob:
        if blob.size > limit:
            raise OSError(errno.EFBIG, f"has {blob.size:,} bytes, more than the {limit:,} that are read")
        return blob.read(0, blob.size)


def table(raw: bytes | None) -> dict[str, Any] | None:
    """Return the JSON object in these bytes, None if it is none or gives a key twice."""
    if raw is None:
        return None
    try:
        return plain(parse_exactly(raw))
    except BadJsonError:
        return None


def text(value: object) -> str | None:
    """Return a value if it is a JSON text, which a number too long for one is not, though it is kept as written."""
    return value if isinstance(value, str) and not isinstance(value, Unfit) else None


def plain(value: object) -> dict[str, Any] | None:
    """Return a value if it is a JSON object that gives each key once."""
    return value if isinstance(value, dict) and not isinstance(value, Repeated) else None
