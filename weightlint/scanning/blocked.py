"""Watching the scales of block types: not finite ones, negative ones, the largest and the median."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from weightlint.scanning.number import NUMBERS, UNSIGNED
from weightlint.scanning.wrong import INF, NAN, NEGATIVE, Wrong

if TYPE_CHECKING:
    from collections.abc import Callable

    from weightlint.probe import Span
    from weightlint.scanning.blocks import Field
    from weightlint.scanning.number import Bits, Bytes, Number

_SAMPLE = 16
"""Of so many blocks one counts for the median and the mean square."""

_KEPT = 256
"""Samples of chunks that are kept before they are weighed together."""


class Blocked:
    """Watches the scales of one tensor whose blocks, or rows with a scale of their own, take `span.unit` bytes."""

    def __init__(self, span: Span, fields: tuple[Field, ...]) -> None:
        self.fields = fields
        self.wrong = Wrong()
        self.peak = span.start
        self._unit = span.unit
        self._numbers = [NUMBERS[field.number] for field in fields]
        self._top = [0] * len(fields)
        self._kept: list[Bits] = []
        self.squares, self.sampled = 0.0, 0
        self._exponents = np.zeros(512, np.int64)

    @property
    def absmax(self) -> float:
        """Return the largest finite magnitude of a scale."""
        return max(number.value(top) for number, top in zip(self._numbers, self._top, strict=True))

    @property
    def median(self) -> float:
        """Return the median of the first scales that are not 0, to a power of two below it."""
        total = int(self._exponents.sum())
        place = int(np.searchsorted(np.cumsum(self._exponents), (total + 1) // 2))
        return float(2.0 ** (place - 256)) if total else 0.0

    def feed(self, data: Bytes, offset: int) -> None:
        """Look at the next blocks of the tensor, `offset` is that of the first one in the file."""
        if len(data) < self._unit:
            return
        for which, (field, number) in enumerate(zip(self.fields, self._numbers, strict=True)):
            bits = _column(data, self._unit, field)
            top = int(np.maximum.reduce(bits))
            if top > (0 if field.signed else number.largest):
                bits = self._judge(bits, number, field, offset)
                top = int(np.maximum.reduce(bits))
            if top > self._top[which]:
                self._raise(which, top, self._at(field, offset)(int(bits.argmax())))
            if not which:
                self._kept.append(bits[:: _SAMPLE * field.times].copy())
        if len(self._kept) > _KEPT:
            self.weigh()

    def sample(self, data: Bytes) -> None:
        """Take nothing: the scales are sampled as they come."""

    def _judge(self, bits: Bits, number: Number, field: Field, offset: int) -> Bits:
        """Note what is wrong and return the magnitudes of what is finite."""
        magnitude = number.magnitude(bits)
        at = self._at(field, offset)
        bad = magnitude > number.largest
        if not field.lax:
            infinite = bad & (magnitude == (number.infinity or 0))
            self.wrong.add(NAN, bad & ~infinite, at)
            self.wrong.add(INF, infinite, at)
        if not (field.signed or number.unsigned):
            self.wrong.add(NEGATIVE, (bits > number.sign) & (~bad | field.lax), at)
        return np.where(bad, np.zeros((), bits.dtype), magnitude)

    def _raise(self, which: int, top: int, peak: int) -> None:
        value = self._numbers[which].value(top)
        if value > self.absmax:
            self.peak = peak
        self._top[which] = top

    def _at(self, field: Field, offset: int) -> Callable[[int], int]:
        start, width = offset + field.at, field.width
        return lambda place: start + place // field.times * self._unit + place % field.times * width

    def weigh(self) -> None:
        """Add what was kept of the first field to the squares and the median."""
        if not self._kept:
            return
        values = self._numbers[0].values(np.concatenate(self._kept)).astype(np.float64)
        self._kept.clear()
        self.squares += float(np.add.reduce(np.square(values)))
        self.sampled += len(values)
        _, exponents = np.frexp(values[values > 0])
        self._exponents += np.bincount(np.clip(exponents - 1, -256, 255) + 256, minlength=512)


def _column(data: Bytes, unit: int, field: Field) -> Bits:
    """Return the bits of one field of every block, next to each other."""
    count = len(data) // unit
    if field.dtype == "NIBBLES":
        return _from_nibbles(data[: count * unit].reshape(count, unit)[:, field.at : field.at + 8])
    wide = UNSIGNED[field.width * field.times]
    strided: Bits = np.ndarray((count,), wide, data.data, offset=field.at, strides=(unit,))
    out: Bits = np.ascontiguousarray(strided).view(UNSIGNED[field.width])
    return out


def _from_nibbles(words: Bytes) -> Bits:
    """Put the F16 scale of IQ1_M blocks together (ggml/src/ggml-quants.c, `dequantize_row_iq1_m`)."""
    word = np.ascontiguousarray(words).view(np.uint16)
    first, second, third, fourth = (word[:, place] for place in range(4))
    out: Bits = (first >> 12) | ((second >> 8) & 0x00F0) | ((third >> 4) & 0x0F00) | (fourth & 0xF000)
    return out
