"""What a loader does with the checkpoint of a case, from the rows of its contract, in sentences for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weightlint.finding import printable
from weightlint.loading.defects import defect_of, sample, slot_of
from weightlint.loading.fate import WRONG, Fate
from weightlint.loading.manner import Facts, chosen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weightlint.case import Case
    from weightlint.finding import Finding
    from weightlint.loader import Release
    from weightlint.loading.contract import Contract
    from weightlint.loading.manner import Manner


@dataclass(frozen=True)
class Manners:
    """A case, the release that is to read it and its contract."""

    case: Case
    release: Release
    contract: Contract

    def of(self, finding: Finding) -> Fate | None:
        """Say what the loader does with what a finding tells; None where that is not known."""
        defect = defect_of(finding, self.case)
        names = sample(finding)
        manner = self.manner(defect, names)
        return self.fate(manner, names, finding.count) if manner is not None else None

    def manner(self, defect: str, names: Sequence[str] = ()) -> Manner | None:
        """Return the row for a kind of defect."""
        spelling = self.case.spelling
        facts = Facts(
            arch=self.case.arch or "",
            dialect=spelling.dialect.name if spelling is not None else "",
            format=self.case.checkpoint.format,
            names=names,
        )
        return chosen(self.contract.strictness, defect, facts, self.release.version)

    def fate(self, manner: Manner, names: Sequence[str] = (), count: int = 1) -> Fate | None:
        """Write a row as a sentence."""
        who, words = self.release.says, self._words(manner, names, count)
        why = f" ({manner.says})" if manner.says else ""
        match manner.does:
            case "raises":
                text = f"{who} raises {words}{why}"
            case "warns":
                text = f'{who} warns "{words}" and {manner.says}'
            case "silent" if manner.wrong:
                text = f"{who} will not notice: {WRONG}{why}"
            case "silent":
                text = f"{who} {manner.says} without a word"
            case _ if not manner.says:
                return None
            case _:
                text = f"{who} {manner.says}"
        return Fate(text, stops=manner.stops or manner.wrong)

    def _words(self, manner: Manner, names: Sequence[str], count: int) -> str:
        """Fill in names and shapes; braces of other text stay."""
        name = names[0] if names else ""
        row = self.case.index.rows.get(name)
        slot = slot_of(self.case, name)
        values = {
            "name": printable(name),
            "count": f"{count}",
            "found": _sizes(self.case.index.kind(row).shape if row is not None else None),
            "wanted": _sizes(slot.shape if slot is not None else None),
        }
        words = manner.words
        for key, value in values.items():
            words = words.replace(f"{{{key}}}", value)
        return words.rstrip(".")


def _sizes(shape: Sequence[int] | None) -> str:
    return ", ".join(map(str, shape)) if shape is not None else "..."
