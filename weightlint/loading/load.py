"""One rank's load from beginning to end: every tensor in reading order, then what is left unwritten."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from weightlint.loading.building import Built, build
from weightlint.loading.gathering import missed, reordered
from weightlint.loading.outcome import Failure, Fill, Outcome, Skip
from weightlint.loading.site import placed, seated
from weightlint.loading.steps import expert_name, made
from weightlint.loading.view import View

if TYPE_CHECKING:
    from collections.abc import Iterable

    from weightlint.loading.family import Family, Shared
    from weightlint.loading.model import Model
    from weightlint.loading.site import Site
    from weightlint.loading.steps import Step, Tensor


AFTER = "(after the last key)"
"""What stands for the tensor where the loader raises when all are read."""


class Loader:
    """A family's load function on one rank."""

    def __init__(self, model: Model, family: Family, site: Site) -> None:
        self.model = model
        site = seated(placed(site, model, family), model, family)
        self.built: Built = build(model, family, site)
        self.after: Failure | None = None
        if family.after is not None and not (family.after.when == "stages" and site.first and site.last):
            self.after = Failure(family.after.kind, family.after.text)
        experts = family.experts
        pattern = expert_name((experts.gate, experts.up, experts.down))
        self._scopes: list[tuple[View, list[Step]]] = [
            (
                View(self.built, model, family, site, pattern, scope.prefix, scope.holds),
                [made(row) for row in scope.steps],
            )
            for scope in sorted(family.scopes, key=lambda it: -len(it.prefix))
        ]

    def feed(self, tensor: Tensor) -> Outcome:
        """Say what becomes of one tensor; what waits for others is forgotten where one fails."""
        outcome = self._fed(tensor)
        if isinstance(outcome, Failure):
            for view, _ in self._scopes:
                view.held.clear()
        return outcome

    def _fed(self, tensor: Tensor) -> Outcome:
        for view, steps in self._scopes:
            if not tensor.name.startswith(view.prefix):
                continue
            name = tensor.name[len(view.prefix) :]
            for step in steps:
                result = step(name, tensor, view)
                if not isinstance(result, str):
                    return result
                name = result
            return Skip("unknown")
        return Skip("unknown")


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

    def note(self, tensor: Tensor, outcome: Outcome) -> None:
        """Note what became of a tensor, and of those that waited for it."""
        self.outcomes[tensor.name] = outcome
        if isinstance(outcome, Fill):
            self.written.setdefault(outcome.param, {}).update(outcome.regions)
            self.outcomes.update(dict.fromkeys(outcome.beside, outcome))

    @property
    def errors(self) -> dict[str, Failure]:
        """What is raised, tensor by tensor, if the load went on after each."""
        out = {name: it for name, it in self.outcomes.items() if isinstance(it, Failure)}
        return out if self.after is None else {**out, AFTER: self.after}

    @property
    def never_written(self) -> list[str]:
        """Parameters that no tensor fills, without those that are not asked for."""
        return [n for n, p in self.built.params.items() if n not in self.written and not p.default]

    @property
    def uninitialised(self) -> list[str]:
        """Those of the parameters never written whose values serve for nothing."""
        return [name for name in self.never_written if not self.built.params[name].sound]

    @property
    def zeroed(self) -> dict[str, int]:
        """Elements that the loader sets to zero because a tensor ends before them, by parameter."""
        out: dict[str, int] = {}
        for it in self.outcomes.values():
            if isinstance(it, Fill) and it.padded:
                out[it.param] = out.get(it.param, 0) + it.padded * it.copies
        return out

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
    """Feed every tensor to the load function of one rank; one that gathers them first stops at what it does not find."""
    loader = Loader(model, family, site)
    out = Load(loader.built)
    if loader.built.error is not None:
        return out
    shared = family.experts.shared if loader.built.shared else None
    if shared is not None and shared.gathers:
        _gather(loader, shared, list(tensors), out)
        return out
    outcome: Outcome | None = None
    for tensor in tensors:
        outcome = loader.feed(tensor)
        out.note(tensor, outcome)
    out.after = None if isinstance(outcome, Failure) else loader.after
    return out


def _gather(loader: Loader, shared: Shared, tensors: list[Tensor], out: Load) -> None:
    out.outcomes.update({tensor.name: Skip("unread") for tensor in tensors})
    out.after = missed(shared, loader.model, out.outcomes.keys())
    if out.after is not None:
        return
    for tensor in reordered(shared, loader.model, tensors):
        outcome = loader.feed(tensor)
        out.note(tensor, outcome)
        if isinstance(outcome, Failure):
            return
