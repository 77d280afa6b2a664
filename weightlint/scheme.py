"""What one quantisation table asks for: which weights take which form, and which stay plain."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from weightlint.modules import NONE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from weightlint.expected import Slot
    from weightlint.form import Form
    from weightlint.modules import Modules
    from weightlint.names import Coord

KINDS = frozenset({"linear", "expert"})
"""Kinds of weights that every scheme quantises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """A table, read.

    `groups` are modules with a form of their own, None where they stay plain; the first that names a module counts,
    all others take `default`. `kinds` are the kinds of weights that are meant, `free` those that exporters quantise or not as they like,
    whatever the table says; with `mtp` the layers for multi-token prediction are free as well, and `loose` modules, which one framework
    takes for plain and another does not. With `all` even those are meant that frameworks for GPUs never quantise. A `late` one is applied to
    names as they are spelt in the files: its writer converts first. `beside` are names of tensors that may stand beside (`*.k_scale`), with the
    reason. `alike` are schemes that the same table may mean as well, in the spelling of another framework: the tensors decide. `ways` are further forms of
    a weight that may be quantised or not.
    """

    default: Form | None
    groups: tuple[tuple[Modules, Form | None], ...] = ()
    kinds: frozenset[str] = KINDS
    free: frozenset[str] = frozenset()
    mtp: bool = True
    all: bool = False
    late: bool = False
    loose: Modules = NONE
    alike: tuple[Scheme, ...] = ()
    ways: tuple[Form, ...] = ()
    beside: Mapping[str, str] = field(default_factory=dict)

    @property
    def forms(self) -> tuple[Form, ...]:
        """Return every form that some weight takes."""
        every = (self.default, *self.ways, *(form for _, form in self.groups))
        return tuple(dict.fromkeys(form for form in every if form is not None))

    def excludes(self, slot: Slot) -> bool:
        """Tell whether the table names some of a weight's modules as plain."""
        return any(form is None and modules.of(slot) is not None for modules, form in self.groups)

    def shares(self, slot: Slot) -> Iterator[tuple[Form | None, Slot]]:
        """Yield what of a weight takes which form; together they are the weight."""
        rest: Slot | None = slot
        for modules, form in self.groups:
            test = modules.of(rest) if rest is not None else None
            if test is None or rest is None:
                continue
            kept = rest.where(test)
            if kept is not None:
                yield form, kept
                rest = rest.where(_not(test)) if kept is not rest else None
        if rest is not None:
            yield self.default, rest


def _not(test: Callable[[Coord], bool]) -> Callable[[Coord], bool]:
    return lambda coord: not test(coord)
