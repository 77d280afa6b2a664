"""What a plan calls tensors: which of its patterns is for which slot.

Knows nothing of ranks; `weightlint.spread` asks it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weightlint.expected import Expected, Layout, Slot
    from weightlint.plan import Assigned

_NUMBER = re.compile(r"\{\w+\}")


@dataclass(frozen=True)
class PlanNames:
    """The cuts that a plan gives by name, and the names that it may use.

    `layouts` are other ways of holding the same tensors: a plan for stacked experts is one for single ones.
    """

    expected: Expected
    layouts: tuple[Layout, ...]
    given: tuple[Assigned, ...]

    def assigned(self, slot: Slot) -> Assigned | None:
        """Return the cut that the plan gives for a slot by name."""
        if not self.given:
            return None
        found = self._find(module_of(slot))
        other = self.others.get(slot.pattern)
        if found is None and other is not None and (found := self._find(other)):
            # gate and up lie in one tensor there and are two here
            return replace(found, parts=1)
        return found

    def _find(self, module: str) -> Assigned | None:
        return next((it for it in self.given if is_named(it, module)), None)

    @cached_property
    def others(self) -> Mapping[str, str]:
        """The module that holds a tensor in another layout, by the tensor's pattern: experts in one stack."""
        return {
            slot.pattern: module_of(stack)
            for layout in self.layouts
            for slot in self.expected.slots
            for stack in layout.slots
            if slot.pattern in layout.dropped and _side(slot) == _side(stack) and stack.of is None
        }

    @cached_property
    def modules(self) -> frozenset[str]:
        """The names of all tensors' modules and of the modules above them."""
        names = {*map(module_of, self.expected.slots), *self.others.values()}
        return frozenset(names | {name.rpartition(".")[0] for name in names})

    def lost(self, given: Assigned) -> bool:
        """Tell whether a pattern names no module of this model."""
        return not any(is_named(given, module) for module in self.modules)


def _side(slot: Slot) -> str:
    return (slot.cut or "").partition(":")[0]


def module_of(slot: Slot) -> str:
    """Return the module of a slot, numbers as `*`: `model.layers.*.mlp.down_proj`."""
    return re.sub(r"\.(weight|bias)$", "", _NUMBER.sub("*", slot.pattern))


def is_named(given: Assigned, module: str) -> bool:
    """Tell whether a pattern of a plan is for a module: its whole name, or in a plan of our own its end."""
    if module == given.pattern:
        return True
    return not given.whole and module.endswith("." + given.pattern)
