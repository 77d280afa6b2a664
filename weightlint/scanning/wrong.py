"""Wrong values as they are met: how many of each kind, and where the first ones are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from weightlint.probe import Spot

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

NAN, INF, NEGATIVE = "nan", "inf", "negative"
MAX_SPOTS = 8
"""Places that are kept of each kind of wrong value in one tensor."""


@dataclass(slots=True)
class Wrong:
    """What is wrong in one tensor."""

    counts: dict[str, int] = field(default_factory=dict)
    spots: list[Spot] = field(default_factory=list)

    def add(self, what: str, mask: NDArray[np.bool_], at: Callable[[int], int]) -> None:
        """Note the wrong ones of some values; `at` gives the byte in the file of each."""
        count = int(np.count_nonzero(mask))
        if not count:
            return
        known = self.counts.get(what, 0)
        self.counts[what] = known + count
        if known < MAX_SPOTS:
            places = np.flatnonzero(mask)[: MAX_SPOTS - known]
            self.spots += [Spot(what, at(int(place))) for place in places]
