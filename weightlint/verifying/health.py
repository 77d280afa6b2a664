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
    lines = {key: cells for key, cells in table.items() if None not in cells}
    return Profile(
        tuple(layers),
        tuple(_line(key, [cells.get(layer) for layer in layers]) for key, cells in _sorted(lines)),
        tuple(_line(key, [cells[None]]) for key, cells in _sorted(table) if None in cells),
    )


def _sorted(
    table: dict[tuple[Template, str], dict[int | None, _Cell]],
) -> Sequence[tuple[tuple[Template, str], dict[int | None, _Cell]]]:
    return sorted(table.items(), key=lambda item: natural(str(item[0][0])))


def _line(key: tuple[Template, str], cells: Sequence[_Cell | None]) -> Line:
    template, dtype = key
    return Line(
        f"{template} {dtype}",
        tuple(cell.absmax if cell else None for cell in cells),
        tuple((cell.squares / cell.sampled) ** 0.5 if cell and cell.sampled else None for cell in cells),
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
