"""Watching plain numbers: not finite ones, negative scales, the largest magnitude, a sampled mean square."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np

from weightlint.scanning.number import SIGNED
from weightlint.scanning.wrong import INF, NAN, NEGATIVE, Wrong

if TYPE_CHECKING:
    from collections.abc import Callable

    from weightlint.probe import Span
    from weightlint.scanning.number import Bits, Bytes, Number


class Plain:
    """Watches the numbers of one tensor."""

    def __init__(self, span: Span, number: Number) -> None:
        self.number = number
        self.scale = span.scale
        self.wrong = Wrong()
        self.squares, self.sampled = 0.0, 0
        self.median = 0.0
        self._top, self._peak = 0, span.start

    @property
    def absmax(self) -> float:
        """Return the largest finite magnitude."""
        return self.number.value(self._top)

    @property
    def peak(self) -> int:
        """Return the byte in the file at which the largest finite magnitude stands."""
        return self._peak

    def feed(self, data: Bytes, offset: int) -> None:
        """Look at the next bytes of the tensor, `offset` is that of the first one in the file."""
        bits = self.number.bits(data)
        if not len(bits):
            # the file ends within a number
            return
        number = self.number
        # np.maximum.reduce is max() without the detour through Python
        high = int(np.maximum.reduce(bits))
        low = int(np.maximum.reduce(bits.view(SIGNED[number.width])))
        if number.unsigned:
            below, above = high, high
        else:
            below, above = high - number.sign if high >= number.sign else 0, max(low, 0)
        if max(below, above) > number.largest or (number.fnuz and high >= number.sign):
            self._look_for_nan(bits, offset)
        elif max(below, above) > self._top:
            self._raise(bits, offset, max(below, above))
        if self.scale and below and not number.unsigned:
            finite = (bits & (number.sign - 1)) <= number.largest
            self.wrong.add(NEGATIVE, (bits > number.sign) & finite, self._at(offset))

    def sample(self, data: Bytes) -> None:
        """Add the squares of a few numbers."""
        bits = self.number.bits(data)
        magnitude = self.number.magnitude(bits)
        values = self.number.values(bits[magnitude <= self.number.largest]).astype(np.float64)
        # squares of 64-bit numbers may be too large for one; JSON, in which results are kept, has no infinity
        with np.errstate(over="ignore"):
            self.squares = min(self.squares + float(np.dot(values, values)), sys.float_info.max)
        self.sampled += len(values)

    def _look_for_nan(self, bits: Bits, offset: int) -> None:
        """Count what is not finite, and find the largest of the rest."""
        number = self.number
        magnitude = number.magnitude(bits)
        bad = magnitude > number.largest
        infinite = bad & (magnitude == number.infinity) if number.infinity is not None else np.zeros_like(bad)
        nan = bad & ~infinite if not number.fnuz else bits == number.sign
        self.wrong.add(NAN, nan, self._at(offset))
        self.wrong.add(INF, infinite, self._at(offset))
        rest = np.where(nan | infinite, 0, magnitude)
        top = int(rest.max())
        if top > self._top:
            self._top, self._peak = top, offset + int(rest.argmax()) * number.width

    def _at(self, offset: int) -> Callable[[int], int]:
        return lambda place: offset + place * self.number.width

    def _raise(self, bits: Bits, offset: int, top: int) -> None:
        self._top = top
        magnitude = self.number.magnitude(bits)
        self._peak = offset + int((magnitude == top).argmax()) * self.number.width
