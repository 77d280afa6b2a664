"""One rank's load from beginning to end: every tensor in reading order, then what is left unwritten."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from weightlint.expected import Presence
from weightlint.loading.building import Built, build
from weightlint.loading.outcome import Failure, Outcome, Skip, written
from weightlint.loading.steps import Tensor, expert_name, made
from weightlint.loading.view import View

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from weightlint.loading.family import Family
    from weightlint.loading.model import Model
    from weightlint.loading.site import Site
    from weightlint.loading.steps import Step


class Loader:
    """A family's load function on one rank."""

    def __init__(self, model: Model, family: Family, site: Site) -> None:
        self.built: Built = build(model, family, site)
        experts = family.experts
        pattern = expert_name((experts.gate, experts.up, experts.down))
        whole = View(self.built, model, family, site, pattern)
        self._before = whole, [made(row) for row in family.before]
        self._scopes: list[tuple[View, list[Step]]] = [
            (
                replace(whole, prefix=scope.prefix, holds=_class_name(scope.holds, model, family), held={}),
                [made(row) for row in scope.steps if _applies(row, model)],
            )
            for scope in sorted(family.scopes, key=lambda it: -len(it.prefix))
        ]

    def feed(self, tensor: Tensor) -> Outcome:
        """Say what becomes of one tensor."""
        first = _walked(tensor, *self._before)
        if not isinstance(first, Tensor):
            return first
        for view, steps in self._scopes:
            if f"{first.name}.".startswith(view.prefix):
                result = _walked(replace(first, name=first.name[len(view.prefix) :]), view, steps)
                return Skip("unknown") if isinstance(result, Tensor) else result
        return Skip("unknown")

    def lost_alias(self, out: Load) -> Failure | None:
        """Return what is raised for a tied tensor that was passed over while the one that it is tied to never came."""
        holds = self._scopes[-1][0].holds
        for alias, name in self.built.aliases.items():
            if (
                isinstance(out.outcomes.get(alias), Skip)
                and name in self.built.params
                and name not in out.written
            ):
                text = (
                    f"{alias!r} was skipped because it is tied to {name!r} in {holds}, but {name!r} was not "
                    "found in the checkpoint, so the tied weight is uninitialized."
                )
                return Failure("ValueError", text)
        return None


def _walked(tensor: Tensor, view: View, steps: Sequence[Step]) -> Outcome | Tensor:
    """Go through steps until one knows what becomes of a tensor; else return it as they leave it."""
    for step in steps:
        result = step(tensor.name, tensor, view)
        if isinstance(result, str):
            tensor = replace(tensor, name=result) if result != tensor.name else tensor
        elif isinstance(result, Tensor):
            tensor = result
        else:
            return result
    return tensor


def _applies(row: Mapping[str, Any], model: Model) -> bool:
    """Tell whether a step is for such a model: `quantised`, `plain` or `tied`."""
    is_tied = any(slot.need is Presence.TIED for slot in model.expected.slots)
    truth = {"quantised": model.block is not None, "plain": model.block is None, "tied": is_tied}
    return truth.get(row.get("when", ""), True)


def _class_name(holds: str, model: Model, family: Family) -> str:
    """Write the framework's class of the whole model, which is that of the config but for a few."""
    listed = model.config.get("architectures")
    arch = listed[0] if isinstance(listed, list) and listed else ""
    return holds.replace("{arch}", family.classes.get(arch, str(arch)))


@dataclass
class Load:
    """What one rank ends up with.

    `outcomes` are in reading order, `written` are the regions of each parameter with their elements; `after` is what is
    raised when all is read.
    """

    built: Built
    after: Failure | None = None
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    written: dict[str, dict[tuple[tuple[int, ...], tuple[int, ...]], int]] = field(default_factory=dict)

    @property
    def errors(self) -> dict[str, Failure]:
        """What is raised, tensor by tensor, if the load went on after each."""
        return {name: it for name, it in self.outcomes.items() if isinstance(it, Failure)}

    @property
    def never_written(self) -> list[str]:
        """Parameters that no tensor fills and that have no sound default."""
        return [n for n, p in self.built.params.items() if n not in self.written and not p.default]

    @property
    def partly_written(self) -> dict[str, tuple[int, int]]:
        """Parameters of which some elements stay unwritten, with the numbers written and in all."""
        out: dict[str, tuple[int, int]] = {}
        for name, regions in self.written.items():
            got, total = sum(regions.values()), self.built.params[name].elements
            if got != total:
                out[name] = (got, total)
        return out


def load(model: Model, family: Family, site: Site, tensors: Iterable[Tensor]) -> Load:
    """Feed every tensor to the load function of one rank."""
    loader = Loader(model, family, site)
    out = Load(loader.built)
    if loader.built.error is not None:
        return out
    for tensor in tensors:
        outcome = loader.feed(tensor)
        out.outcomes[tensor.name] = outcome
        for fill in written(outcome):
            out.written.setdefault(fill.param, {})[fill.start, fill.shape] = fill.elements
    if "checks_aliases" in family.traits and not out.errors:
        out.after = loader.lost_alias(out)
    return out
