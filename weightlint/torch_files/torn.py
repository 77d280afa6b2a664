"""What an archive that lost its end was to hold: its pickle stands first and is still there.

The header before it has no sizes, so the pickle is read up to its own end.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from weightlint.pickling.machine import run
from weightlint.torch_files.storages import BadTensorError, storage
from weightlint.torch_files.types import INERT, KNOWN

if TYPE_CHECKING:
    from weightlint.store import Blob

_LOCAL = Struct("<4s5H3L2H")
_FIRST = 1 << 20
_LAST = 1 << 26
"""Bytes that are read at first and at most to find the end of the pickle."""


def announced(blob: Blob) -> int | None:
    """Return the bytes of all storages that the pickle of a torn archive names, None if it cannot be read."""
    start = _pickle_start(blob)
    room = _FIRST
    while start is not None:
        pickled = run(blob.read(start, start + room), KNOWN | INERT)
        if not pickled.cut or room >= min(blob.size, _LAST):
            sizes = dict(map(_size, pickled.persistents)) if pickled.broken is None else {}
            return sum(sizes.values()) or None
        room *= 4
    return None


def _pickle_start(blob: Blob) -> int | None:
    """Return where the bytes of data.pkl begin if it is the first record and not packed."""
    head = blob.read(0, _LOCAL.size + 1024)
    if len(head) < _LOCAL.size:
        return None
    _, _, _, method, _, _, _, _, _, names, extras = _LOCAL.unpack_from(head)
    name = head[_LOCAL.size : _LOCAL.size + names]
    return None if method or not name.endswith(b"/data.pkl") else _LOCAL.size + names + extras


def _size(outside: object) -> tuple[str, int]:
    try:
        held, _ = storage(outside)
    except BadTensorError:
        return "", 0
    return held.key, held.size
