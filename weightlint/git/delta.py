"""Deltas of packs: copies from a base and bytes of their own, one after the other."""

from __future__ import annotations


def target_size(delta: bytes) -> int:
    """Return how many bytes the result of a delta has."""
    _, at = _number(delta, 0)
    return _number(delta, at)[0]


def apply(base: bytes, delta: bytes, *, limit: int) -> bytes:
    """Return the result of a delta on its base.

    Raises:
        ValueError, IndexError: they do not fit each other, or the result is longer than `limit` bytes.
    """
    source, at = _number(delta, 0)
    target, at = _number(delta, at)
    parts, length = [], 0
    while at < len(delta) and length <= target <= limit:
        part, at = _part(base, delta, at)
        parts.append(part)
        length += len(part)
    if source != len(base) or length != target:
        message = "a delta does not fit its base"
        raise ValueError(message)
    return b"".join(parts)


def _part(base: bytes, delta: bytes, at: int) -> tuple[bytes, int]:
    """Return what one instruction gives and where the next one begins."""
    order = delta[at]
    at += 1
    if not order & 0x80:
        if not order:
            message = "a delta has the reserved instruction 0"
            raise ValueError(message)
        return delta[at : at + order], at + order
    start, at = _bytes(delta, at, order & 0x0F)
    length, at = _bytes(delta, at, order >> 4 & 7)
    return base[start : start + (length or 0x10000)], at


def _bytes(delta: bytes, at: int, present: int) -> tuple[int, int]:
    """Read a little-endian number of which only the bytes in the mask are written."""
    number = 0
    for place in range(4):
        if present >> place & 1:
            number |= delta[at] << 8 * place
            at += 1
    return number, at


def _number(delta: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = delta[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80 or shift > 63:
            return number, at
