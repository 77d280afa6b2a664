"""From the table of one file to the spans of its bytes: tensors in the order of the file, and what lies between.

Names decide what the dtype alone does not tell: an E8M0 scale is stored as U8 where the writer knew no better.
"""

from __future__ import annotations

import re
from math import prod
from typing import TYPE_CHECKING

from weightlint import dtype
from weightlint.probe import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weightlint.dtype import Shape
    from weightlint.index import Header

_E8M0 = re.compile(r"(_scales|\.scales|\.weight_scale|\.weight_scale_inv|\.scale)$")
"""Scales of one byte: MXFP4 of gpt-oss (`_scales`), compressed-tensors, ModelOpt and Quark (`weight_scale`)."""

_POSITIVE = re.compile(
    r"\.(weight_scale_inv|weight_scale_2|(weight|input)_global_scale|input_scale|[qkv]_scale|SCB)$|\.absmax$"
)
"""Scales that are a largest magnitude over a constant, in every scheme that has them."""

_WITH_FP8 = re.compile(r"\.(weight_scale|scale)$")
"""Scales of which that holds where they are of an FP8 weight; of whole numbers they may be negative (AutoRound)."""

_STACKED = re.compile(r"(_exps|\.experts\.\w+)(\.\w+)?$")
MAX_SLICES, MIN_SLICE = 4096, 4096
"""Experts that are told apart in one tensor, and the bytes that each of them must have."""


def spans(header: Header) -> tuple[Span, ...]:
    """Return the spans of a file in order; where tensors share bytes, the first that is named has them."""
    held = {name for name, kind in zip(header.names, header.kinds, strict=True) if kind.dtype in dtype.FP8}
    rows = sorted(zip(header.starts, header.stops, header.names, header.kinds, strict=True))
    out: list[Span] = []
    at = 0
    for start, end, name, kind in rows:
        stop = min(end, header.size)
        if start < at or start >= stop:
            continue
        if start > at:
            out.append(between(at, start))
        out.append(tensor(name, kind.dtype, kind.shape or (), start, stop, fp8=_partner(name) in held))
        at = stop
    if at < header.size:
        out.append(between(at, header.size))
    return tuple(out)


def between(start: int, stop: int) -> Span:
    """Return the span of what is no tensor: a header, padding, what lies after the last one."""
    return Span("", None, start, stop)


def tensor(name: str, stored: str | None, shape: Shape, start: int, stop: int, *, fp8: bool = False) -> Span:
    """Return the span of one tensor; `fp8` tells that its weight is of eight-bit floats."""
    known = dtype.find(stored or "")
    single = "F8_E8M0" if stored in {"U8", "I8"} and _E8M0.search(name) and len(shape) > 1 else stored
    floats = known is not None and known.kind == "float"
    positive = floats and (_POSITIVE.search(name) or (fp8 and _WITH_FP8.search(name)))
    return Span(
        name,
        single or "?",
        start,
        stop,
        shape=shape,
        scale=bool(positive),
        unit=_unit(known, shape, stop - start),
        slices=_slices(name, shape, stop - start),
    )


def _slices(name: str, shape: Shape, size: int) -> int:
    """Return how many experts are stacked in a tensor, 1 where it is none of experts."""
    if len(shape) < 3 or not _STACKED.search(name) or not 0 < shape[0] <= MAX_SLICES:
        return 1
    return shape[0] if size % shape[0] == 0 and size // shape[0] >= MIN_SLICE else 1


def _unit(known: dtype.DType | None, shape: Shape, size: int) -> int:
    """Return the bytes that belong together."""
    if known is None:
        return 1
    if known.row:
        rows = prod(shape[:-1])
        return size // rows if rows and size % rows == 0 else 1
    return known.size


def _partner(name: str) -> str:
    """Return the weight that a scale is of."""
    return _WITH_FP8.sub(".weight", name)


def tensors(all_spans: Sequence[Span]) -> Iterator[Span]:
    """Yield the spans that are tensors."""
    return (span for span in all_spans if span.dtype is not None)
