"""What a loader is: one framework and what is known of how its versions read a checkpoint.

Facts only; what follows from them for a plan is worked out in `weightlint.spread`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from weightlint.drawer import Drawer
from weightlint.errors import UsageError, nearest
from weightlint.version import split_spec, within

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from weightlint.dtype_limits import Limit
    from weightlint.methods import Methods
    from weightlint.plan_rules import PlanRules


@dataclass(frozen=True, slots=True, kw_only=True)
class Loader:
    """One framework.

    `says` is its name as its makers write it. `newest` is the last release that is known here, `since` the
    first. `revisions` are versions for states between releases, by the number of the pull request. `builds` are
    numbers of the maker's own builds with the releases that carry them, oldest first. `recorded` are the releases of which the outcome of loading was recorded. `plan_rules` are its
    rules for plans by range of versions, the first range that holds a version counts. `dialects` are the
    spellings that it reads, `quants` the quantisations of which each tensor is followed, `methods` those that it has, the first range
    that holds a version counts, `limits` element types that it cannot use.
    """

    name: str
    says: str
    since: str
    newest: str
    revisions: Mapping[str, str] = field(default_factory=dict)
    builds: tuple[tuple[int, str], ...] = ()
    recorded: tuple[str, ...] = ()
    plan_rules: tuple[tuple[str, PlanRules], ...]
    dialects: frozenset[str] = frozenset({"hf"})
    formats: frozenset[str] = frozenset({"safetensors", "torch"})
    only: Mapping[str, str] = field(default_factory=dict)
    brings: str = ""
    quants: frozenset[str] = frozenset()
    limits: tuple[Limit, ...] = ()
    methods: tuple[Methods, ...] = ()


@dataclass(frozen=True)
class Release:
    """One version of a loader; for a build, the last release that is not newer, or the oldest one known.

    `contract` is a file that stands in for what is known of it here.
    """

    loader: Loader
    version: str
    build: int | None = None
    contract: Path | None = None

    def __str__(self) -> str:
        return f"{self.loader.name}@{self.version if self.build is None else f'b{self.build}'}"

    @property
    def says(self) -> str:
        """Return name and version as people write them: `vLLM 0.8.4`, `vLLM at PR #16383`."""
        _, pull, number = self.version.partition("+pr")
        return f"{self.loader.says} at PR #{number}" if pull else f"{self.loader.says} {self.version}"

    @property
    def is_settled(self) -> bool:
        """Tell whether it is a release, or a build not older than the first one whose release is known."""
        return self.build is None or self.build >= self.loader.builds[0][0]

    def within(self, span: str) -> bool:
        """Tell whether the version lies in a range such as `>=0.9,<0.11`."""
        return within(self.version, span)

    def reads(self, thing: str) -> bool:
        """Tell whether the version reads a dialect or a format."""
        held = thing in self.loader.dialects or thing in self.loader.formats
        return held and self.within(self.loader.only.get(thing, ""))

    @property
    def methods(self) -> Methods | None:
        """The quantisations that this version has, None where that is not known."""
        return next((it for it in self.loader.methods if self.within(it.span)), None)

    @cached_property
    def rules(self) -> PlanRules:
        """The rules for plans that hold for this version."""
        return next(rules for span, rules in self.loader.plan_rules if self.within(span))


_BUILD = re.compile(r"b(\d{1,9})")
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
    if loader.builds and (number := _BUILD.fullmatch(version)):
        build = int(number[1])
        older = [carrier for first, carrier in loader.builds if first <= build]
        return Release(loader, older[-1] if older else loader.since, build)
    version = loader.revisions.get(version.lower().replace("#", "").removeprefix("pr"), version)
    if not within(version, f">={loader.since}"):
        message = (
            f"{known}@{version}: nothing is known of {loader.says} before {loader.since}; "
            f"take {known}@{loader.since} if that is near enough"
        )
        raise UsageError(message)
    return Release(loader, version)
