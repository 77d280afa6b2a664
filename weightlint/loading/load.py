"""One rank's load from beginning to end: every tensor in reading order, then what is left unwritten."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from weightlint.expected import Presence
from weightlint.loading.building import Built, build
from weightlint.loading.gathering import missed, reordered
from weightlint.loading.outcome import Failure, Fill, Outcome, Skip, written
from weightlint.loading.site import placed, seated
from weightlint.loading.steps import Tensor, expert_name, made
from weightlint.loading.view import View

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from weightlint.loading.family import Family
    from weightlint.loading.model import Model
    from weightlint.loading.site import Site
    from weightlint.loading.steps import Step
    from weightlint.loading.ways import Shared


AFTER = "(after the last key)"
"""What stands for the tensor where the load function raises when all are read."""


class Loader:
    """A family's load function on one rank."""

    def __init__(self, model: Model, family: Family, site: Site) -> None:
        self.model = model
        site = seated(placed(site, model, family), model, family)
        self.built: Built = build(model, family, site)
        self.places = site.experts
        self.shared = family.experts.shared if self.built.shared else None
        self.last: Failure | None = None
        if family.after is not None and not (family.after.when == "stages" and site.first and site.last):
            self.last = Failure(family.after.kind, family.after.text)
        experts = family.experts
        pattern = expert_name((experts.gate, experts.up, experts.down))
        whole = View(self.built, model, family, site, pattern)
        self._before = whole, [made(row) for row in family.before]
        self._scopes: list[tuple[View, list[Step]]] = [
            (
                replace(
                    whole,
                    prefix=scope.prefix,
                    holds=_class_name(scope.holds, model, family),
                    held={},
                    kept={},
                ),
                [made(row) for row in scope.steps if _applies(row, model)],
            )
            for scope in sorted(family.scopes, key=lambda it: -len(it.prefix))
        ]

    def feed(self, tensor: Tensor) -> Outcome:
        """Say what becomes of one tensor; what waits for others is forgotten where one fails."""
        outcome = self.follow(tensor)
        if isinstance(outcome, Failure):
            self.forget()
        return outcome

    def forget(self) -> None:
        """Forget what waits for others."""
        for view, _ in self._scopes:
            view.held.clear()

    def follow(self, tensor: Tensor) -> Outcome:
        """Say what becomes of one tensor, with all that waits for others kept whatever happens."""
        name = tensor.name
        view, steps = self._before
        if steps:
            first = _walked(name, tensor, view, steps)
            if not isinstance(first, tuple):
                return first
            name, tensor = first
        for view, steps in self._scopes:
            if f"{name}.".startswith(view.prefix):
                result = _walked(name[len(view.prefix) :], tensor, view, steps)
                return Skip("unknown") if isinstance(result, tuple) else result
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


def _walked(name: str, tensor: Tensor, view: View, steps: Sequence[Step]) -> Outcome | tuple[str, Tensor]:
    """Go through steps until one knows what becomes of a tensor; else return its name and it as they leave them."""
    for step in steps:
        result = step(name, tensor, view)
        if isinstance(result, str):
            name = result
        elif isinstance(result, Tensor):
            name, tensor = result.name, result
        else:
            return result
    return name, tensor


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

    `outcomes` are in reading order, `written` are the regions of each parameter with their elements; `last` is what the load
    function raises when all is read, `after` what a check raises then.
    """

    built: Built
    after: Failure | None = None
    last: Failure | None = None
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    written: dict[str, dict[tuple[tuple[int, ...], tuple[int, ...]], int]] = field(default_factory=dict)

    def note(self, tensor: Tensor, outcome: Outcome) -> None:
        """Note what became of a tensor, and of those that waited for it."""
        self.outcomes[tensor.name] = outcome
        for fill in written(outcome):
            self.written.setdefault(fill.param, {})[fill.start, fill.shape] = fill.elements
        if isinstance(outcome, Fill):
            self.outcomes.update(dict.fromkeys(outcome.beside, outcome))

    @property
    def errors(self) -> dict[str, Failure]:
        """What is raised, tensor by tensor, if the load went on after each."""
        out = {name: it for name, it in self.outcomes.items() if isinstance(it, Failure)}
        return out if self.last is None else {**out, AFTER: self.last}

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
        for fill in (fill for it in self.outcomes.values() for fill in written(it)):
            if fill.padded:
                out[fill.param] = out.get(fill.param, 0) + fill.padded
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
    """Feed every tensor to the load function of one rank."""
    loader = Loader(model, family, site)
    out = Load(loader.built)
    if loader.built.error is not None:
        return out
    if loader.shared is not None and loader.shared.gathers:
        _gather(loader, loader.shared, list(tensors), out)
        return out
    outcome: Outcome | None = None
    for tensor in tensors:
        outcome = loader.feed(tensor)
        out.note(tensor, outcome)
    out.last = None if isinstance(outcome, Failure) else loader.last
    if "checks_aliases" in family.traits and not out.errors:
        out.after = loader.lost_alias(out)
    return out


def _gather(loader: Loader, shared: Shared, tensors: list[Tensor], out: Load) -> None:
    """Load a checkpoint that the framework reads as a whole first: it stops at what it does not find, and at the first failure."""
    out.outcomes.update({tensor.name: Skip("unread") for tensor in tensors})
    out.last = missed(shared, loader.model, out.outcomes.keys())
    if out.last is not None:
        return
    for tensor in reordered(shared, loader.model, tensors):
        outcome = loader.feed(tensor)
        out.note(tensor, outcome)
        if isinstance(outcome, Failure):
            return
