"""What a loader makes of the tensors that a finding names, in a sentence for people.

The findings themselves know of no loader; what it does with them is said after them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from weightlint.finding import counted, printable
from weightlint.loading.feeding import Fed, Feeder
from weightlint.loading.outcome import Failure, Fill, Skip
from weightlint.plan import rank_patterns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from weightlint.expected import Slot
    from weightlint.loading.prediction import Prediction, Sort
    from weightlint.plan import Rank

WRONG = "it serves wrong results"


@dataclass(frozen=True, slots=True)
class Fate:
    """A sentence, the ranks that it holds for, and whether the loader stops."""

    sentence: str
    ranks: tuple[str, ...] = ()
    stops: bool = False
    params: frozenset[str] = frozenset()


class Fates:
    """Answers what becomes of named tensors under one prediction."""

    def __init__(self, prediction: Prediction) -> None:
        self.prediction = prediction
        self.feeder = Feeder(prediction)
        self.says = prediction.release.says

    def of(self, patterns: Iterable[str], *, whole: bool = False) -> Fate | None:
        """Say what becomes of tensors, given as exact patterns; None where that is nothing of note.

        With `whole` it is said what becomes of the checkpoint, if that stops the loader or leaves something unwritten.
        """
        if whole and (fate := self.whole()) is not None:
            return fate
        fed = [each for name in self.feeder.sample(patterns) for each in self.feeder.fed(name)]
        return self._raised(fed) or self._lacking(fed) or self._wrongly_filled(fed) or self._passed(fed)

    def whole(self) -> Fate | None:
        """Say what becomes of the checkpoint as a whole: what raises first, else what stays unwritten."""
        firsts = [first for sort in self.prediction.sorts if (first := sort.survey.first_failure)]
        if firsts:
            (_, name), _ = min(firsts, key=lambda first: first[0])
            return self._stopped(name)
        gone: dict[str, list[Sort]] = defaultdict(list)
        for sort in self.prediction.sorts:
            for name in sort.survey.lacking:
                gone[name].append(sort)
        if not gone:
            return None
        ranks = ranks_of(sort for sorts in gone.values() for sort in sorts)
        return Fate(self.lack_text(gone, ranks), ranks, stops=self._notices(gone))

    def _stopped(self, name: str) -> Fate | None:
        """Tell of the first tensor that raises, for all ranks on which any does."""
        fate = self._raised(list(self.feeder.fed(name)))
        if fate is None:
            return None
        ranks = ranks_of(sort for sort in self.prediction.sorts if sort.survey.failures)
        words = fate.sentence.partition(" on ranks ")[0]
        return replace(
            fate, ranks=ranks, sentence=f"{words}, at {printable(name)}; ranks {' '.join(ranks)} stop"
        )

    def params_of(self, patterns: Iterable[str]) -> set[str]:
        """Return the parameters that tensors are for, whether they are there, whole, or not."""
        out: set[str] = set()
        for name in self.feeder.sample(patterns, layers=False):
            slot = self.feeder.slot(name)
            if slot is None:
                continue
            for sort in self.prediction.sorts:
                outcome = self.feeder.outcome(sort, self.feeder.expected(name, slot))
                if isinstance(outcome, Fill):
                    out.add(outcome.param)
        return out

    def _raised(self, fed: Sequence[Fed]) -> Fate | None:
        raised = [it for it in fed if isinstance(it.outcome, Failure) and it.is_there]
        if not raised:
            return None
        ranks = ranks_of(it.sort for it in raised)
        first = str(raised[0].outcome).rstrip(".")
        return Fate(f"{self.says} raises {first} on ranks {' '.join(ranks)}", ranks, stops=True)

    def _lacking(self, fed: Sequence[Fed]) -> Fate | None:
        """Tell what stays unwritten because tensors are missing."""
        gone: dict[str, list[Sort]] = defaultdict(list)
        for it in fed:
            if (
                not it.is_there
                and isinstance(it.outcome, Fill)
                and it.outcome.param in it.sort.survey.lacking
            ):
                gone[it.outcome.param].append(it.sort)
        if not gone:
            return None
        ranks = ranks_of(sort for sorts in gone.values() for sort in sorts)
        return Fate(self.lack_text(gone, ranks), ranks, params=frozenset(gone), stops=self._notices(gone))

    def _notices(self, gone: dict[str, list[Sort]]) -> bool:
        return any(
            self.prediction.notices(sort.survey.built, [name])
            for name, sorts in gone.items()
            for sort in sorts[:1]
            if not sort.survey.lacking[name][0]
        )

    def lack_text(self, gone: dict[str, list[Sort]], ranks: Sequence[str]) -> str:
        """Say which parameter stays unwritten, and whether the framework will notice."""
        name = next(iter(gone))
        got, total = gone[name][0].survey.lacking[name]
        share = "is never written" if not got else f"gets {got:,} of {total:,} elements"
        more = f", as {counted(len(gone) - 1, 'parameter')} more" if len(gone) > 1 else ""
        where = f"{name} {share} on ranks {' '.join(ranks)}{more}"
        if self._notices(gone):
            said = self.prediction.family.completeness.text.replace("{names}", "{" + repr(name) + "}")
            return f"{self.says} stops after loading: {said or 'a parameter was not loaded'}; {where}"
        return f"{self.says} will not notice: {WRONG}, {where}"

    def _wrongly_filled(self, fed: Sequence[Fed]) -> Fate | None:
        """Tell of tensors of another shape or dtype that are copied without a word."""
        for it in fed:
            if not it.is_there or not isinstance(it.outcome, Fill):
                continue
            slot = self.feeder.slot(it.tensor.name)
            if slot is None:
                return Fate(f"{self.says} writes it into {it.outcome.param}")
            if slot.shape != it.tensor.shape:
                return self._misshaped(it, slot, fed)
            param = it.sort.survey.built.params[it.outcome.param]
            if it.tensor.dtype and it.tensor.dtype != param.dtype:
                return Fate(
                    f"{self.says} will not notice: it casts {it.tensor.dtype} to {param.dtype} without a word"
                )
        return None

    def _misshaped(self, it: Fed, slot: Slot, fed: Sequence[Fed]) -> Fate:
        outcome = it.outcome
        ranks = ranks_of(
            each.sort for each in fed if each.tensor.name == it.tensor.name and isinstance(each.outcome, Fill)
        )
        param = outcome.param if isinstance(outcome, Fill) else ""
        lacks = it.sort.survey.lacking.get(param)
        if lacks:
            got, total = lacks
            what = f"{param} gets {got:,} of {total:,} elements, the others stay as they were"
        elif it.tensor.shape > slot.shape:
            what = f"it takes what fits into {param} and drops the rest"
        else:
            what = f"it fills {param} up with zeros or copies"
        return Fate(f"{self.says} will not notice: {WRONG}, {what}, on ranks {' '.join(ranks)}", ranks)

    def _passed(self, fed: Sequence[Fed]) -> Fate | None:
        there = [it for it in fed if it.is_there]
        if not there or not all(isinstance(it.outcome, Skip) for it in there):
            return None
        warned = next(
            (it.outcome.warns for it in there if isinstance(it.outcome, Skip) and it.outcome.warns), ""
        )
        if warned:
            return Fate(f"{self.says} passes over it with a warning: {warned}")
        return Fate(f"{self.says} passes over it without a word")


def ranks_of(sorts: Iterable[Sort]) -> tuple[str, ...]:
    """Write the ranks of some sorts as exact patterns."""
    ranks: dict[Rank, None] = {}
    for sort in sorts:
        ranks |= dict.fromkeys(sort.ranks)
    return rank_patterns(ranks)
