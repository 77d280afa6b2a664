"""From a tally to a profile: one line for each family, one value for each layer."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from sys import float_info
from typing import TYPE_CHECKING

from weightlint.names import expand, fold, natural
from weightlint.profile import Line, Profile
from weightlint.verifying.place import layer_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from weightlint.finding import Finding
    from weightlint.names import Template
    from weightlint.probe import Stats
    from weightlint.verifying.tally import Tally

MAX_CELLS = 1 << 18
"""Cells of a profile: a thousand layers of 262 families. Hostile names could ask for as many as their square."""


@dataclass(slots=True)
class _Cell:
    absmax: float = 0.0
    squares: float = 0.0
    sampled: int = 0
    codes: set[str] = field(default_factory=set)

    def add(self, stats: Stats) -> None:
        self.absmax = max(self.absmax, stats.absmax)
        self.squares = min(self.squares + stats.squares, float_info.max)
        self.sampled += stats.sampled

    @property
    def rms(self) -> float | None:
        """Return the root of the mean square, which is never above the largest magnitude even if the sum is infinite."""
        return min((self.squares / self.sampled) ** 0.5, self.absmax) if self.sampled else None


Family = tuple[tuple["Template", str], dict[int | None, _Cell]]
"""A template with its dtype, and what was seen of it by layer."""


def profile(tally: Tally, findings: Iterable[Finding]) -> Profile:
    """Return the profile of what was seen, with the codes of findings where they are."""
    codes = _codes(findings)
    table: dict[tuple[Template, str], dict[int | None, _Cell]] = defaultdict(lambda: defaultdict(_Cell))
    for job, row in tally.entries():
        for span, stats in zip(job.spans, row.stats, strict=True):
            if span.dtype is None or (not stats.sampled and span.name not in codes):
                continue
            cell = table[fold(span.name)[0], span.dtype][layer_of(span.name)]
            cell.add(stats)
            cell.codes |= codes.get(span.name, set())
    layers = sorted({layer for cells in table.values() for layer in cells if layer is not None})
    lines = _sorted({key: cells for key, cells in table.items() if None not in cells})
    beside = _sorted({key: cells for key, cells in table.items() if None in cells})
    kept = _fewer(lines, MAX_CELLS // max(1, len(layers)))
    return Profile(
        tuple(layers),
        tuple(_line(key, [cells.get(layer) for layer in layers]) for key, cells in kept),
        tuple(_line(key, [cells[None]]) for key, cells in beside),
        len(lines) - len(kept),
    )


def _fewer(lines: Sequence[Family], limit: int) -> Sequence[Family]:
    """Return at most `limit` families in their order, first of all those with findings."""
    codes = [any(cell.codes for cell in cells.values()) for _, cells in lines]
    keep = {*sorted(range(len(lines)), key=lambda at: not codes[at])[:limit]}
    return [line for at, line in enumerate(lines) if at in keep]


def _sorted(table: dict[tuple[Template, str], dict[int | None, _Cell]]) -> Sequence[Family]:
    return sorted(table.items(), key=lambda item: natural(str(item[0][0])))


def _line(key: tuple[Template, str], cells: Sequence[_Cell | None]) -> Line:
    template, dtype = key
    return Line(
        f"{template} {dtype}",
        tuple(cell.absmax if cell else None for cell in cells),
        tuple(cell.rms if cell else None for cell in cells),
        tuple(tuple(sorted(cell.codes)) if cell else () for cell in cells),
    )


def _codes(findings: Iterable[Finding]) -> dict[str, set[str]]:
    """Return the codes of the findings by the names of the tensors that they concern."""
    out: dict[str, set[str]] = defaultdict(set)
    for finding in findings:
        for pattern in finding.place.tensors:
            for name in expand(pattern):
                out[name].add(finding.code)
    return out
