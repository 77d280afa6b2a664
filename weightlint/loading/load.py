"""One rank's load from beginning to end: every tensor in reading order, then what is left unwritten."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from weightlint.loading.building import Built, build
from weightlint.loading.outcome import Failure, Fill, Outcome, Skip
from weightlint.loading.steps import expert_name, made
from weightlint.loading.view import View

if TYPE_CHECKING:
    from collections.abc import Iterable

    from weightlint.loading.contract import Family
    from weightlint.loading.model import Model
    from weightlint.loading.site import Site
    from weightlint.loading.steps import Step, Tensor


class Loader:
    """A family's load function on one rank."""

    def __init__(self, model: Model, family: Family, site: Site) -> None:
        self.built: Built = build(model, family, site)
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
        """Say what becomes of one tensor."""
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
    """What one rank ends up with. `outcomes` are in reading order; `written` are the regions of each parameter."""

    built: Built
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
        if isinstance(outcome, Fill):
            regions = out.written.setdefault(outcome.param, {})
            regions[outcome.start, outcome.shape] = outcome.elements
    return out
