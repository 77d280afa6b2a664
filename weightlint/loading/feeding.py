"""Feeding single tensors, there or not, to the load functions of a prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weightlint.loading.model import TORCH
from weightlint.loading.outcome import Fill, Skip
from weightlint.loading.steps import Tensor
from weightlint.names import expand, fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from weightlint.expected import Slot
    from weightlint.loading.outcome import Outcome
    from weightlint.loading.prediction import Prediction, Sort

SAMPLE = 64
"""Tensors of one finding that are followed, each of another family or layer."""


@dataclass(frozen=True, slots=True)
class Fed:
    """One tensor, there or not, with its outcome on one sort of ranks."""

    tensor: Tensor
    is_there: bool
    sort: Sort
    outcome: Outcome


class Feeder:
    """Feeds tensors of one prediction."""

    def __init__(self, prediction: Prediction) -> None:
        self.prediction = prediction

    def sample(self, patterns: Iterable[str], *, layers: bool = True) -> Iterator[str]:
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

    def fed(self, name: str) -> Iterator[Fed]:
        """Feed a tensor by its name on every sort of ranks, as the schema wants it where it is not there."""
        index = self.prediction.case.index
        row = index.rows.get(name)
        if row is not None:
            kind = index.kind(row)
            tensor = Tensor(name, kind.shape or (), TORCH.get(kind.dtype or "", kind.dtype or ""))
        else:
            slot = self.slot(name)
            if slot is None:
                return
            tensor = self.expected(name, slot)
        for sort in self.prediction.sorts:
            if sort.survey.built.error is None:
                yield Fed(tensor, row is not None, sort, self.outcome(sort, tensor))

    def outcome(self, sort: Sort, tensor: Tensor) -> Outcome:
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
                    yield self.expected(beside, slot)

    def expected(self, name: str, slot: Slot) -> Tensor:
        """Return the tensor that the schema wants, in the dtype that the loader has a parameter for."""
        model = self.prediction.model
        only = next(iter(slot.dtypes)) if len(slot.dtypes) == 1 else ""
        return Tensor(name, slot.shape, TORCH.get(only, model.dtype))

    def slot(self, name: str) -> Slot | None:
        """Return the slot of the schema that a missing tensor belongs to."""
        template, coord = fold(name)
        slots = self.prediction.model.expected.by_template.get(template, ())
        return next((slot for slot in slots if _holds(slot, coord)), None)


def _holds(slot: Slot, coord: tuple[int, ...]) -> bool:
    return any(
        all(n in axis for n, axis in zip(coord, box, strict=True))
        for box in slot.boxes
        if len(box) == len(coord)
    )
