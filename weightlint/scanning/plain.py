"""Watching plain numbers: not finite ones, negative scales, the largest magnitude, a sampled mean square.

The quick look takes two maxima of a chunk and copies nothing; only where one of them is not finite is it looked at
number by number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from weightlint.probe import MOST_SQUARES
from weightlint.scanning.number import SIGNED
from weightlint.scanning.wrong import INF, NAN, NEGATIVE, Wrong

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from weightlint.probe import Span
    from weightlint.scanning.number import Bits, Bytes, Number

_KEPT = 8
"""Samples that are kept before they are weighed together; with more, what is allocated for it has to be mapped anew."""


class Plain:
    """Watches the numbers of one tensor."""

    def __init__(self, span: Span, number: Number) -> None:
        self.number = number
        self.scale = span.scale and not number.unsigned
        self.wrong = Wrong()
        self.median = 0.0
        self._squares, self._sampled = 0.0, 0
        self._kept: list[Bits] = []
        self._top, self._peak = 0, span.start

    @property
    def absmax(self) -> float:
        """Return the largest finite magnitude."""
        return self.number.value(self._top)

    @property
    def peak(self) -> int:
        """Return the byte in the file at which the largest finite magnitude stands."""
        return self._peak

    @property
    def squares(self) -> float:
        """Return the sum of the squares of what was sampled."""
        self._weigh()
        return self._squares

    @property
    def sampled(self) -> int:
        """Return how many finite numbers were sampled."""
        self._weigh()
        return self._sampled

    def feed(self, data: Bytes, offset: int) -> None:
        """Look at the next bytes of the tensor, `offset` is that of the first one in the file."""
        bits = self.number.bits(data)
        if not len(bits):
            # the file ends within a number
            return
        number, sign = self.number, self.number.sign
        # np.maximum.reduce is max() without the detour through Python
        top = below = int(np.maximum.reduce(bits))
        if not number.unsigned:
            signed = bits.view(SIGNED[number.width])
            below = max(below - sign, 0)
            top = max(below, int(np.maximum.reduce(signed)))
            if number.fnuz and int(np.minimum.reduce(signed)) == -sign:
                top = sign
        if top > number.largest:
            self._look_for_nan(bits, offset)
        elif top > self._top:
            self._raise(number.magnitude(bits), offset, top)
        if self.scale and below:
            self.wrong.add(NEGATIVE, (bits > sign) & ~self._bad(bits), self._at(offset))

    def sample(self, data: Bytes) -> None:
        """Take a few numbers for the mean square."""
        self._kept.append(self.number.bits(data).copy())
        if len(self._kept) >= _KEPT:
            self._weigh()

    def _weigh(self) -> None:
        """Add the squares of what was kept."""
        if not self._kept:
            return
        bits = np.concatenate(self._kept)
        self._kept.clear()
        bad = self._bad(bits)
        values = self.number.values(bits[~bad] if bad.any() else bits).astype(np.float64)
        with np.errstate(over="ignore"):
            # np.dot would wake the threads of its library, which then stand in the way of ours
            squares = float(np.add.reduce(np.square(values)))
        self._squares = min(self._squares + squares, MOST_SQUARES)
        self._sampled += len(values)

    def _look_for_nan(self, bits: Bits, offset: int) -> None:
        """Count what is not finite, and find the largest of the rest."""
        number = self.number
        magnitude, bad = number.magnitude(bits), self._bad(bits)
        if number.infinity is None:
            self.wrong.add(NAN, bad, self._at(offset))
        else:
            self.wrong.add(NAN, magnitude > number.infinity, self._at(offset))
            self.wrong.add(INF, magnitude == number.infinity, self._at(offset))
        rest = magnitude.copy() if number.unsigned else magnitude
        rest[bad] = 0
        top = int(np.maximum.reduce(rest))
        if top > self._top:
            self._raise(rest, offset, top)

    def _bad(self, bits: Bits) -> NDArray[np.bool_]:
        """Tell which numbers are not finite."""
        bad: NDArray[np.bool_] = (
            bits == self.number.sign
            if self.number.fnuz
            else self.number.magnitude(bits) > self.number.largest
        )
        return bad

    def _at(self, offset: int) -> Callable[[int], int]:
        return lambda place: offset + place * self.number.width

    def _raise(self, magnitude: Bits, offset: int, top: int) -> None:
        self._top = top
        self._peak = offset + int((magnitude == top).argmax()) * self.number.width
