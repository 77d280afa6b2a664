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

_WEIGHED = 8192
"""Numbers of samples that are weighed together: with more, the memory for it is mapped anew each time."""

_BLOCK = 1 << 16
"""Numbers that are looked at one by one together."""


class Plain:
    """Watches the numbers of one tensor."""

    def __init__(self, span: Span, number: Number) -> None:
        self.number = number
        self.scale = span.scale and not number.unsigned
        self.wrong = Wrong()
        self.median = 0.0
        self.squares, self.sampled = 0.0, 0
        self._kept: list[Bits] = []
        self._room: tuple[Bits, NDArray[np.bool_]] | None = None
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
        if sum(map(len, self._kept)) >= _WEIGHED:
            self.weigh()

    def weigh(self) -> None:
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
        self.squares = min(self.squares + squares, MOST_SQUARES)
        self.sampled += len(values)

    def _look_for_nan(self, bits: Bits, offset: int) -> None:
        """Count what is not finite, and find the largest of the rest."""
        for at in range(0, len(bits), _BLOCK):
            part, place = bits[at : at + _BLOCK], offset + at * self.number.width
            if self.number.fnuz:
                self.wrong.add(NAN, self._bad(part), self._at(place))
                top = int(np.maximum.reduce(self.number.magnitude(part)))
            else:
                top = self._count(part, self._at(place))
            if top > self._top:
                self._raise(self.number.magnitude(part), place, top)

    def _count(self, bits: Bits, at: Callable[[int], int]) -> int:
        """Count NaN and infinities and return the largest magnitude of the rest, negative where there is none."""
        number, as_bits = self.number, bits.dtype.type
        wrapped, bad = self._rooms(bits)
        np.bitwise_and(bits, as_bits(number.mask), out=wrapped)
        # less what follows the largest, infinity is 0, NaN a little more, and what is finite wraps around beyond both
        np.subtract(wrapped, as_bits(number.largest + 1), out=wrapped)
        beyond = (1 << 8 * number.width) - (number.largest + 1)
        np.less(wrapped, as_bits(beyond), out=bad)
        infinite = len(bits) - int(np.count_nonzero(wrapped)) if number.infinity else 0
        nan = int(np.count_nonzero(bad)) - infinite
        self.wrong.note(NAN, nan, lambda: bad & (wrapped != 0) if number.infinity else bad, at)
        self.wrong.note(INF, infinite, lambda: wrapped == 0, at)
        return int(np.maximum.reduce(wrapped)) - beyond

    def _rooms(self, bits: Bits) -> tuple[Bits, NDArray[np.bool_]]:
        """Return room for what is made of some bits, and for what is told of them; the same each time."""
        if self._room is None:
            self._room = np.empty(_BLOCK, bits.dtype), np.empty(_BLOCK, np.bool_)
        return self._room[0][: len(bits)], self._room[1][: len(bits)]

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
