"""Magnitudes that no training and no quantiser gives, told from outliers that are real.

Real ones: a few weights of large models are a thousand times the mean of their tensor, norms differ by hundreds from layer to
layer, biases of keys reach hundreds (Qwen2). So what counts is a number beyond all of these.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from weightlint import dtype
from weightlint.names import fold
from weightlint.verifying.buffers import is_mask

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from weightlint.names import Template
    from weightlint.probe import Span, Stats
    from weightlint.verifying.tally import Tally

INSANE = 2.0**40
"""Magnitude that is an error by itself: ten digits beyond what float16 holds."""

TIMES, LARGE = 1000.0, 1000.0
"""A magnitude of at least `LARGE` is suspect if it is `TIMES` that of the other layers."""

BLOCK_TIMES, BLOCK_LARGE = 2.0**12, 1024.0
"""A block's scale is suspect if it is so many times the median of its tensor, or as large as this."""


@dataclass(frozen=True, slots=True)
class Extreme:
    """One tensor with a magnitude that cannot be: `usual` is what it should be like, of `whose`; `sure` if beyond doubt."""

    file: str
    span: Span
    stats: Stats
    usual: float
    whose: str
    sure: bool


def extremes(tally: Tally) -> Iterator[Extreme]:
    """Yield the tensors with a magnitude that cannot be."""
    usual = _usual(tally)
    for job, row in tally.entries():
        for span, stats in zip(job.spans, row.stats, strict=True):
            known = dtype.find(span.dtype or "")
            if known is None or not stats.absmax:
                continue
            if known.kind == "quant":
                yield from _block(job.file, span, stats)
            elif known.kind == "float" and not is_mask(span.name):
                yield from _plain(job.file, span, stats, usual)


def _block(file: str, span: Span, stats: Stats) -> Iterator[Extreme]:
    far = stats.median > 0 and stats.absmax >= BLOCK_TIMES * stats.median and stats.absmax > 1
    if far or stats.absmax >= BLOCK_LARGE:
        yield Extreme(
            file, span, stats, stats.median, "the median of its blocks", stats.absmax >= BLOCK_LARGE
        )


def _plain(file: str, span: Span, stats: Stats, usual: Mapping[Template, list[float]]) -> Iterator[Extreme]:
    if span.dtype == "F8_E8M0":
        return
    others = usual[fold(span.name)[0]]
    middle = median(others)
    if stats.absmax >= INSANE:
        yield Extreme(file, span, stats, middle if middle < INSANE else 0.0, "others of its kind", sure=True)
    elif len(others) > 3 and stats.absmax >= max(LARGE, TIMES * middle):
        yield Extreme(file, span, stats, middle, "others of its kind", sure=False)
    elif len(span.shape) > 1 and _is_alone(stats):
        mean = (stats.squares / stats.sampled) ** 0.5
        yield Extreme(file, span, stats, mean, "the root mean square of its sample", sure=False)


def _is_alone(stats: Stats) -> bool:
    """Tell whether the largest of a tensor is beyond every outlier that was ever trained."""
    mean = (stats.squares / stats.sampled) ** 0.5 if stats.sampled else 0.0
    return mean > 0 and stats.absmax >= max(LARGE, 2.0**14 * mean)


def _usual(tally: Tally) -> Mapping[Template, list[float]]:
    """Return the largest magnitudes of the tensors of each family."""
    out: dict[Template, list[float]] = defaultdict(list)
    for job, row in tally.entries():
        for span, stats in zip(job.spans, row.stats, strict=True):
            if span.dtype is not None and stats.absmax:
                out[fold(span.name)[0]].append(stats.absmax)
    return out
