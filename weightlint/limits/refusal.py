"""One reason why a plan does not hold, as rules and the table of plans show it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from weightlint.finding import Level

if TYPE_CHECKING:
    from weightlint.expected import Slot


class Refusal(NamedTuple):
    """A limit that a plan breaks.

    `what` is the dimension or thing, in the words of the config, `says` the sum with its numbers, `words`
    the loader's own message. `slots` are the tensors concerned, `stages` the pipeline ranks, all where
    None. `cure` is what to do, if it is more than to take other degrees.
    """

    code: str
    what: str
    says: str
    words: str = ""
    slots: tuple[Slot, ...] = ()
    stages: frozenset[int] | None = None
    level: Level = Level.ERROR
    cure: str = ""

    @property
    def line(self) -> str:
        """Return dimension and sum in one line."""
        return f"{self.what}: {self.says}" if self.what else self.says
