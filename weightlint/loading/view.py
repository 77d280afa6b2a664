"""What a load function sees of one rank: the parameters below its module, by names without the module's own."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from weightlint.loading.outcome import Failure, Outcome, Skip, together

if TYPE_CHECKING:
    from collections.abc import Collection

    from weightlint.loading.building import Built
    from weightlint.loading.family import Family
    from weightlint.loading.model import Model
    from weightlint.loading.param import Param
    from weightlint.loading.site import Site
    from weightlint.loading.steps import Tensor


LAYER = re.compile(r"layers\.(\d{1,9})\.")


@dataclass(frozen=True, slots=True)
class Alias:
    """A tied name: the parameter that it stands for, None where it is on another stage."""

    param: Param | None
    writes: bool

    def take(self, tensor: Tensor) -> Outcome:
        """Write the parameter that is shared."""
        return Skip("stage") if self.param is None else self.param.take(tensor.shape, dtype=tensor.dtype)


@dataclass(frozen=True)
class View:
    """One module's side of a rank.

    `holds` is the framework's class name of the module, `held` are tensors that wait for others, forgotten
    where one fails, `kept` those that wait whatever happens.
    """

    built: Built
    model: Model
    family: Family
    site: Site
    expert: re.Pattern[str]
    prefix: str = ""
    holds: str = ""
    held: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    kept: dict[str, dict[str, Tensor]] = field(default_factory=dict)

    @property
    def experts(self) -> int:
        """Number of experts that have a place in the stack, the shared one's among them."""
        return self.model.experts + self.built.shared

    @property
    def layers(self) -> Collection[int]:
        """Layers of the stage."""
        return self.site.layers

    def param(self, name: str) -> Param | None:
        """Return the parameter of a local name."""
        return self.built.params.get(self.prefix + name)

    def alias(self, name: str) -> Alias | None:
        """Return what a tied name stands for."""
        target = self.built.aliases.get(self.prefix + name)
        if target is None:
            return None
        return Alias(self.built.params.get(target), writes=self.family.tied == "write")

    def is_elsewhere(self, name: str) -> bool:
        """Tell whether the name belongs to a module that stands on another stage."""
        return (self.prefix + name).startswith(self.built.elsewhere) if self.built.elsewhere else False

    @cached_property
    def _modules(self) -> frozenset[str]:
        out: set[str] = set()
        for name in (*self.built.params, *self.built.aliases):
            path = name
            while "." in path:
                path = path.rpartition(".")[0]
                if path in out:
                    break
                out.add(path)
        return frozenset(out | self._hollow(out))

    def _hollow(self, modules: set[str]) -> set[str]:
        """Name the modules without parameters."""
        return {
            f"{module}.{name}" if module else name
            for end, names in self.family.modules.items()
            for module in (*modules, "")
            if (module.endswith(end) if end else not module)
            for name in names
        }

    def has_module(self, name: str) -> bool:
        """Tell whether there is a module of this local name."""
        return self.prefix + name in self._modules

    def key_error(self, name: str) -> Failure:
        """Return what a lookup of a name without parameter raises."""
        return Failure("KeyError", repr(name))

    def layer_number(self, name: str) -> int | None:
        """Return the number after `layers.`, as the framework reads it."""
        found = LAYER.search(name)
        return int(found[1]) if found else None

    def mtp_layers(self, field: str) -> range | tuple[int, ...]:
        """Return the numbers of the MTP layers, as the framework's config class tells."""
        if self.model.mtp or field in self.model.config:
            return self.model.mtp
        first = self.model.layers
        return range(first, first + self.family.defaults.get(field, 0))

    def copied(self, param: Param, tensor: Tensor, part: str = "") -> Outcome:
        """Copy a tensor into a parameter or a part of it."""
        if part not in param.parts:
            return param.take_fused(tensor.shape, tensor.dtype)
        return param.take(tensor.shape, part, tensor.dtype)

    def copied_expert(self, param: Param, tensor: Tensor, part: str, expert: int) -> Outcome:
        """Copy an expert's matrix into its places, if the rank has any."""
        slots = self.site.experts.get(expert, ())
        if not slots:
            return Skip("expert")
        places = slots if self.built.shared > 1 else slots[:1]
        return together(param.take_expert(tensor.shape, part, place) for place in places)
