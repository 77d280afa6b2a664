"""Runs of zero bytes, found by looking at one word in each half page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from weightlint.scanning.number import Bytes

PAGE = 4096
"""Bytes of the shortest run that is told: what a file system or a downloader leaves out at a time."""

MAX_RUNS = 10_000
"""Runs that are kept of one job."""

_WINDOW = PAGE // 2
"""A run of a page holds one of these windows whole, wherever it begins."""


class ZeroRuns:
    """Follows the bytes of a job and keeps where at least a page of them is zero."""

    def __init__(self) -> None:
        self.runs: list[tuple[int, int]] = []
        self._open: tuple[int, int] | None = None

    def feed(self, data: Bytes, offset: int) -> None:
        """Look at the next bytes; `offset` is that of the first one in the file."""
        found = [(offset + start, offset + stop) for start, stop in _runs(data, joins=self._open is not None)]
        if self._open is not None:
            if found and found[0][0] == offset == self._open[1]:
                found[0] = (self._open[0], found[0][1])
            else:
                self._keep(self._open)
            self._open = None
        if found and found[-1][1] == offset + len(data):
            self._open = found.pop()
        for run in found:
            self._keep(run)

    def close(self) -> tuple[tuple[int, int], ...]:
        """Return all runs."""
        if self._open is not None:
            self._keep(self._open)
            self._open = None
        return tuple(self.runs)

    def _keep(self, run: tuple[int, int]) -> None:
        if run[1] - run[0] >= PAGE and len(self.runs) < MAX_RUNS:
            self.runs.append(run)


def _runs(data: Bytes, *, joins: bool) -> list[tuple[int, int]]:
    """Return the runs of at least half a page and those at the edges, as places in the data."""
    if not data[0] and not data[-1] and not data.any():
        return [(0, len(data))]
    runs: list[tuple[int, int]] = []
    if joins and not data[0]:
        runs.append((0, _leading(data, 0)))
    for window in _zero_windows(data):
        if runs and runs[-1][1] > window * _WINDOW:
            continue
        start = _leading_back(data, window * _WINDOW)
        stop = _leading(data, (window + 1) * _WINDOW)
        if runs and start <= runs[-1][1]:
            runs[-1] = (runs[-1][0], stop)
        else:
            runs.append((start, stop))
    if not data[-1] and not (runs and runs[-1][1] == len(data)):
        runs.append((_leading_back(data, len(data)), len(data)))
    return runs


def _zero_windows(data: Bytes) -> list[int]:
    """Return the windows that are zero as a whole."""
    count = len(data) // _WINDOW
    if not count:
        return []
    rows = data[: count * _WINDOW].reshape(count, _WINDOW)
    first: NDArray[np.uint64] = np.ndarray((count,), np.uint64, data.data, strides=(_WINDOW,))
    if np.count_nonzero(first) == count:
        return []
    suspects = np.flatnonzero(first == 0)
    return [int(place) for place in suspects[~rows[suspects].any(axis=1)]]


def _leading(data: Bytes, at: int) -> int:
    """Return where the zeros that begin at `at` end."""
    while at < len(data):
        part = data[at : at + 64 * PAGE]
        places = np.flatnonzero(part)
        if len(places):
            return at + int(places[0])
        at += len(part)
    return at


def _leading_back(data: Bytes, at: int) -> int:
    """Return where the zeros that end before `at` begin."""
    while at > 0:
        part = data[max(0, at - _WINDOW) : at]
        places = np.flatnonzero(part)
        if len(places):
            return at - len(part) + int(places[-1]) + 1
        at -= len(part)
    return at
