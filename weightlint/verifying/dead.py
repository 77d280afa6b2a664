"""Zero bytes where weights should be, told from zeros that mean something.

Zeros that mean something: rows of an embedding beyond the vocabulary and dead neurons are whole rows; columns that are padded are
at the same place of row after row; biases, zero points and low-rank adapters begin as zeros.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from weightlint import dtype

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weightlint.probe import Job, Row, Span

PAGE = 4096
_SLACK = 16
"""Bytes at the edge of a neighbouring row that may happen to be zero as well."""

_MEANT = re.compile(
    r"(bias|zeros?|zero_point|g_idx|mask|lora_B\.weight|lora_b|position_ids|inv_freq)$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Dead:
    """A run of zero bytes [start, stop) and the tensors that it lies in; `whole` of them are nothing else.

    `tail` tells that it reaches to the end of the file.
    """

    file: str
    start: int
    stop: int
    spans: tuple[Span, ...]
    whole: int
    tail: bool

    @property
    def is_paged(self) -> bool:
        """Tell whether the run is made of whole pages of the file, up to where the tensor or the file ends."""
        ends = {span.stop for span in self.spans}
        return self.start % PAGE == 0 and (self.stop % PAGE == 0 or self.stop in ends)


def dead(job: Job, row: Row) -> Iterator[Dead]:
    """Yield the runs of zeros of a job that cannot be meant."""
    for start, stop in row.zeros:
        hit = [
            span for span in job.spans if span.start < stop and start < span.stop and span.dtype is not None
        ]
        weights = [span for span in hit if _may_not_be_zero(span)]
        whole = [span for span in weights if start <= span.start and span.stop <= stop]
        parts = [
            span for span in weights if span not in whole and not _is_meant(span, start, stop, row.zeros)
        ]
        if whole or parts:
            yield Dead(job.file, start, stop, (*whole, *parts), len(whole), stop == job.size)


def zero_scales(job: Job, row: Row) -> Iterator[Span]:
    """Yield the scales of which every number is zero; they are too small to make a run of zeros."""
    for span, stats in zip(job.spans, row.stats, strict=True):
        small = span.stop - span.start < PAGE
        if span.scale and small and stats.sampled and not stats.absmax and not stats.counts:
            yield span


def _may_not_be_zero(span: Span) -> bool:
    known = dtype.find(span.dtype or "")
    numbers = known is None or known.kind in {"float", "quant"} or "weight" in span.name
    return len(span.shape) > 1 and span.stop - span.start >= PAGE and numbers and not _MEANT.search(span.name)


def _is_meant(span: Span, start: int, stop: int, runs: Sequence[tuple[int, int]]) -> bool:
    """Tell whether zeros within a tensor are whole rows, or at the same place of several rows."""
    rows = prod(span.shape[:-1])
    size = (span.stop - span.start) // rows if rows else 0
    if not size:
        return True
    first, last = max(start, span.start) - span.start, min(stop, span.stop) - span.start
    if _off(first, size) <= _SLACK and _off(last, size) <= _SLACK and last - first >= size:
        return True
    alike = [run for run in runs if span.start <= run[0] and run[1] <= span.stop]
    places = {((low - span.start) % size, high - low) for low, high in alike}
    return len(alike) > 2 and len(places) == 1


def _off(place: int, size: int) -> int:
    """Return how many bytes a place is away from where the nearest row begins."""
    return min(place % size, -place % size)
