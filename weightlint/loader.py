"""What a loader is: one framework and what is known of how its versions read a checkpoint.

Facts only; what follows from them for a plan is worked out in `weightlint.spread`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from weightlint.drawer import Drawer
from weightlint.errors import UsageError, nearest
from weightlint.version import split_spec, within

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from weightlint.dtype_limits import Limit
    from weightlint.plan_rules import PlanRules


@dataclass(frozen=True, slots=True, kw_only=True)
class Loader:
    """One framework.

    `says` is its name as its makers write it. `newest` is the last release that is known here, `since` the
    first. `revisions` are versions for states between releases, by the number of the pull request, `numbered` gives the release that carries a build. `recorded` are
    the releases of which the outcome of loading was recorded. `plan_rules` are its
    rules for plans by range of versions, the first range that holds a version counts. `dialects` are the
    spellings that it reads, `quants` the quantisations, `limits` element types that it cannot use.
    """

    name: str
    says: str
    since: str
    newest: str
    revisions: Mapping[str, str] = field(default_factory=dict)
    numbered: Callable[[str], str] | None = None
    recorded: tuple[str, ...] = ()
    plan_rules: tuple[tuple[str, PlanRules], ...]
    dialects: frozenset[str] = frozenset({"hf"})
    formats: frozenset[str] = frozenset({"safetensors", "torch"})
    only: Mapping[str, str] = field(default_factory=dict)
    brings: str = ""
    quants: frozenset[str] = frozenset()
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True)
class Release:
    """One version of a loader; `contract` is a file that stands in for what is known of it here."""

    loader: Loader
    version: str
    contract: Path | None = None

    def __str__(self) -> str:
        return f"{self.loader.name}@{self.version}"

    @property
    def name(self) -> str:
        """Return the loader's name."""
        return self.loader.name

    @cached_property
    def number(self) -> str:
        """The version to compare: of a build, the release that carries it."""
        return self.loader.numbered(self.version) if self.loader.numbered else self.version

    @property
    def says(self) -> str:
        """Return name and version as people write them: `vLLM 0.8.4`, `vLLM at PR #16383`."""
        _, pull, number = self.version.partition("+pr")
        return f"{self.loader.says} at PR #{number}" if pull else f"{self.loader.says} {self.version}"

    def within(self, span: str) -> bool:
        """Tell whether the version lies in a range such as `>=0.9,<0.11`."""
        return within(self.number, span)

    def reads(self, thing: str) -> bool:
        """Tell whether the version reads a dialect or a format."""
        held = thing in self.loader.dialects or thing in self.loader.formats
        return held and self.within(self.loader.only.get(thing, ""))

    @cached_property
    def rules(self) -> PlanRules:
        """The rules for plans that hold for this version."""
        return next(rules for span, rules in self.loader.plan_rules if self.within(span))


LOADERS: Drawer[Loader] = Drawer("loaders", "LOADER")


def release(spec: str) -> Release:
    """Find what `NAME` or `NAME@VERSION` stands for; without a version, the newest one known.

    Raises:
        UsageError: there is no such loader, no such version, or nothing is known of one so old.
    """
    name, version = split_spec(spec)
    known = name.lower().replace("-", "_").replace(".", "_")
    if known not in LOADERS:
        message = f"no loader {name!r}{nearest(known, LOADERS)}; there are {', '.join(LOADERS)}"
        raise UsageError(message)
    loader = LOADERS[known]
    if version is None:
        return Release(loader, loader.newest)
    version = loader.revisions.get(version.lower().replace("#", "").removeprefix("pr"), version)
    if not Release(loader, version).within(f">={loader.since}"):
        message = (
            f"{known}@{version}: nothing is known of {loader.says} before {loader.since}; "
            f"take {known}@{loader.since} if that is near enough"
        )
        raise UsageError(message)
    return Release(loader, version)
