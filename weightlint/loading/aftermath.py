"""What follows from findings under a loader: each gets a sentence, and what none explains is told apart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from weightlint.finding import Level
from weightlint.names import expand, fold
from weightlint.plan import rank_patterns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weightlint.case import Case
    from weightlint.finding import Finding
    from weightlint.loading.fate import Fate
    from weightlint.loading.outcome import Failure
    from weightlint.loading.prediction import Prediction, Sort
    from weightlint.loading.survey import Alike
    from weightlint.names import Coord
    from weightlint.plan import Rank

FOLLOWED = ("WL2", "WL3", "WL4")
"""Beginnings of the codes of findings that a loader has its way with."""
WHOLE = frozenset({"WL203", "WL205", "WL303", "WL401"})
"""Findings about names, layout, config or quantisation as a whole, from which all else that a loader meets may follow."""


def with_fates(case: Case, findings: Sequence[Finding]) -> Iterator[Finding]:
    """Yield the findings, each with what the loader makes of it.

    What it does with the tensors themselves counts first, then what is known of how it takes such defects.
    """
    from weightlint.loading.fate import Fates
    from weightlint.loading.manners import Manners

    fates = None if isinstance(case.prediction, str) else Fates(case.prediction)
    manners = Manners(case, case.loader, case.contract) if case.loader and case.contract else None
    for finding in findings:
        fate = None
        if fates is not None and finding.code.startswith(FOLLOWED):
            fate = fates.of(finding.place.tensors, whole=finding.code in WHOLE)
        if fate is None and manners is not None:
            fate = manners.of(finding)
        yield finding if fate is None else _followed(finding, fate)


def _followed(finding: Finding, fate: Fate) -> Finding:
    place = finding.place if finding.place.ranks else replace(finding.place, ranks=fate.ranks)
    level = Level.ERROR if fate.stops else finding.level
    return replace(finding, message=f"{finding.message}; {fate.sentence}", place=place, level=level)


def is_moot(told: Sequence[Finding]) -> bool:
    """Tell whether a finding of files, config or plan stands before all that a loader could meet."""
    early = (it for it in told if it.level is Level.ERROR)
    return any(it.code.startswith(("WL1", "WL5")) or it.code in WHOLE for it in early)


@dataclass(frozen=True)
class Rest:
    """What a prediction shows and no finding explains."""

    prediction: Prediction
    told: Sequence[Finding]

    @cached_property
    def is_moot(self) -> bool:
        """Tell whether a finding of files, config or plan stands before all that a loader could meet."""
        return is_moot(self.told)

    @cached_property
    def _names(self) -> frozenset[str]:
        patterns = (pattern for finding in self.told for pattern in finding.place.tensors)
        return frozenset(name for pattern in patterns for name in expand(pattern))

    @cached_property
    def _params(self) -> frozenset[str]:
        """Folded names of the parameters that lack something because of a finding."""
        followed = [it for it in self.told if it.code.startswith(FOLLOWED)]
        if not followed:
            return frozenset()
        from weightlint.loading.fate import Fates

        fates = Fates(self.prediction)
        return frozenset(fold(name)[0] for it in followed for name in fates.params_of(it.place.tensors))

    def failures(self) -> Iterator[tuple[Sort, Alike, list[Coord]]]:
        """Yield what raises though nothing is wrong with the tensors."""
        for sort in self.prediction.sorts:
            for alike in sort.survey.failures:
                coords = [it for it in alike.coords if alike.group.name(it) not in self._names]
                if coords:
                    yield sort, alike, coords

    def ends(self) -> dict[Failure, tuple[str, ...]]:
        """Return what is raised when all tensors are read, with the ranks, but for a tensor that is known to be missing."""
        found: dict[Failure, list[Rank]] = {}
        for sort in self.prediction.sorts:
            last = sort.survey.last
            if last is not None and last.text.strip("'") not in self._names:
                found.setdefault(last, []).extend(sort.ranks)
        return {failure: rank_patterns(ranks) for failure, ranks in found.items()}

    def lacking(self) -> Iterator[tuple[Sort, dict[str, tuple[int, int]]]]:
        """Yield parameters that stay unwritten though no tensor is missing."""
        for sort in self.prediction.sorts:
            lacks = {
                name: sizes
                for name, sizes in sort.survey.lacking.items()
                if fold(name)[0] not in self._params
            }
            if lacks:
                yield sort, lacks
