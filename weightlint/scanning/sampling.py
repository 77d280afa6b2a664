"""A sample of a tensor: the first page of every megabyte of it, counted from its own start.

Equal tensors have equal samples wherever they lie in their files, so that a hash of the sample tells at next to no cost
which tensors may be copies. Experts that are stacked in one tensor are sampled apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.probe import Span
    from weightlint.scanning.number import Bytes

EVERY, PAGE = 1 << 20, 4096
"""Bytes from one sample to the next, and of one sample."""


class Samples:
    """The hashes of the samples of the slices of one span."""

    def __init__(self, span: Span) -> None:
        import xxhash

        self._new = xxhash.xxh3_64
        self._span = span
        self._slice = max(1, (span.stop - span.start) // span.slices)
        self._states: dict[int, Any] = {}
        self._varied: set[int] = set()

    def feed(self, data: Bytes, offset: int) -> Iterator[Bytes]:
        """Take the next bytes of the span and yield those of them that are in a sample."""
        at, end = offset - self._span.start, offset - self._span.start + len(data)
        for which in range(at // self._slice, -(-end // self._slice)):
            first = which * self._slice
            for part in _samples(data, at, max(at, first), min(end, first + self._slice), first):
                state = self._states.get(which) or self._states.setdefault(which, self._new())
                state.update(part)
                # one number of up to 8 bytes again and again says nothing: ones of a norm, zero points
                if which not in self._varied and not np.array_equal(part[8:], part[:-8]):
                    self._varied.add(which)
                yield part

    def close(self) -> tuple[str, ...]:
        """Return the hash of each slice, "" for one that is the same number throughout."""
        states = sorted(self._states.items())
        return tuple(state.hexdigest() if which in self._varied else "" for which, state in states)


def _samples(data: Bytes, at: int, start: int, stop: int, first: int) -> Iterator[Bytes]:
    """Yield the samples in [start, stop) of a slice that begins at `first`; `at` is the place of the data."""
    page = start - (start - first) % EVERY
    while page < stop:
        low, high = max(page, start), min(page + PAGE, stop)
        if low < high:
            yield data[low - at : high - at]
        page += EVERY
