"""What a loader makes of the tensors that a finding names, in a sentence for people.

The findings themselves know of no loader; what it does with them is said after them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from weightlint.finding import counted, printable
from weightlint.loading.model import TORCH
from weightlint.loading.outcome import Failure, Fill, Skip
from weightlint.loading.steps import Tensor
from weightlint.names import expand, fold
from weightlint.plan import rank_patterns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from weightlint.expected import Slot
    from weightlint.loading.outcome import Outcome
    from weightlint.loading.prediction import Prediction, Sort
    from weightlint.plan import Rank

SAMPLE = 64
"""Tensors of one finding that are followed, each of another family or layer."""
WRONG = "it serves wrong results"


@dataclass(frozen=True, slots=True)
class Fate:
    """A sentence, the ranks that it holds for, and whether the loader stops."""

    sentence: str
    ranks: tuple[str, ...] = ()
    stops: bool = False
    params: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Fed:
    """One tensor, there or not, with its outcome on one sort of ranks."""

    tensor: Tensor
    is_there: bool
    sort: Sort
    outcome: Outcome


class Fates:
    """Answers what becomes of named tensors under one prediction."""

    def __init__(self, prediction: Prediction) -> None:
        self.prediction = prediction
        self.says = prediction.release.says

    def of(self, patterns: Iterable[str], *, whole: bool = False) -> Fate | None:
        """Say what becomes of tensors, given as exact patterns; None where that is nothing of note.

        With `whole` it is said what becomes of the checkpoint, if that stops the loader or leaves something unwritten.
        """
        if whole and (fate := self.whole()) is not None:
            return fate
        fed = [each for name in self._sample(patterns) for each in self._fed(name)]
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
        fate = self._raised(list(self._fed(name)))
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
        for name in self._sample(patterns, layers=False):
            slot = self._slot(name)
            if slot is None:
                continue
            for sort in self.prediction.sorts:
                outcome = self._outcome(sort, self._expected(name, slot))
                if isinstance(outcome, Fill):
                    out.add(outcome.param)
        return out

    def _sample(self, patterns: Iterable[str], *, layers: bool = True) -> Iterator[str]:
        """Yield names that between them show each family, and each of its layers unless those are all alike."""
        seen: set[tuple[str, int | None]] = set()
        for pattern in patterns:
            for name in expand(pattern):
                template, coord = fold(name)
                key = template, coord[0] if coord and layers else None
                if key not in seen:
                    seen.add(key)
                    yield name
                if layers and len(seen) >= SAMPLE:
                    return

    def _fed(self, name: str) -> Iterator[Fed]:
        index = self.prediction.case.index
        row = index.rows.get(name)
        if row is not None:
            kind = index.kind(row)
            tensor = Tensor(name, kind.shape or (), TORCH.get(kind.dtype or "", kind.dtype or ""))
        else:
            slot = self._slot(name)
            if slot is None:
                return
            tensor = self._expected(name, slot)
        for sort in self.prediction.sorts:
            if sort.survey.built.error is None:
                yield Fed(tensor, row is not None, sort, self._outcome(sort, tensor))

    def _outcome(self, sort: Sort, tensor: Tensor) -> Outcome:
        """Feed one tensor, and those that it waits for if it is held back until they come."""
        loader = sort.survey.loader
        loader.forget()
        outcome = loader.follow(tensor)
        if isinstance(outcome, Skip) and outcome.why == "half":
            more = (loader.follow(it) for it in self._siblings(tensor.name))
            outcome = next((it for it in more if isinstance(it, Fill) and tensor.name in it.beside), outcome)
        loader.forget()
        return outcome

    def _siblings(self, name: str) -> Iterator[Tensor]:
        """Yield the expected tensors of the modules beside that of a tensor."""
        _, coord = fold(name)
        module, _, leaf = name.rpartition(".")
        head = module.rpartition(".")[0]
        for slot in self.prediction.model.expected.slots:
            if slot.pattern.endswith(f".{leaf}") and _holds(slot, coord):
                beside = slot.name(coord)
                if beside != name and beside.startswith(f"{head}."):
                    yield self._expected(beside, slot)

    def _expected(self, name: str, slot: Slot) -> Tensor:
        """Return the tensor that the schema wants, in the dtype that the loader has a parameter for."""
        model = self.prediction.model
        only = next(iter(slot.dtypes)) if len(slot.dtypes) == 1 else ""
        return Tensor(name, slot.shape, TORCH.get(only, model.dtype))

    def _slot(self, name: str) -> Slot | None:
        """Return the slot of the schema that a missing tensor belongs to."""
        template, coord = fold(name)
        slots = self.prediction.model.expected.by_template.get(template, ())
        return next((slot for slot in slots if _holds(slot, coord)), None)

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
            slot = self._slot(it.tensor.name)
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


def _holds(slot: Slot, coord: tuple[int, ...]) -> bool:
    return any(
        all(n in axis for n, axis in zip(coord, box, strict=True))
        for box in slot.boxes
        if len(box) == len(coord)
    )


def ranks_of(sorts: Iterable[Sort]) -> tuple[str, ...]:
    """Write the ranks of some sorts as exact patterns."""
    ranks: dict[Rank, None] = {}
    for sort in sorts:
        ranks |= dict.fromkeys(sort.ranks)
    return rank_patterns(ranks)
