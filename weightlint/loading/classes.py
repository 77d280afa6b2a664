"""Which ranks of a plan fare alike, told without following a tensor on each of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from weightlint.loading.groups import Group
    from weightlint.loading.prediction import Prediction
    from weightlint.loading.site import Site
    from weightlint.plan import Rank


def alike(prediction: Prediction, *, exact: bool) -> Iterator[tuple[Site, list[Rank]]]:
    """Group the ranks of a plan: with `exact` by the same experts and rows, else by the same outcome."""
    return _Classes(prediction).each(exact=exact)


@dataclass
class _Classes:
    prediction: Prediction

    def each(self, *, exact: bool) -> Iterator[tuple[Site, list[Rank]]]:
        """Yield ranks that are alike, with where the first of them stands."""
        found: dict[Hashable, tuple[Site, list[Rank]]] = {}
        for rank in self.prediction.plan.ranks():
            key = self._key(rank, exact=exact)
            if key in found:
                found[key][1].append(rank)
            else:
                found[key] = (self.prediction.site(rank), [rank])
        yield from found.values()

    def _key(self, rank: Rank, *, exact: bool) -> Hashable:
        """Tell what an outcome can depend on, beside the stage."""
        spread, stage = self.prediction.spread, rank.pp
        experts: Hashable = rank.tp if self.prediction.family.experts.over == "tp" else None
        if self.prediction.family.experts.over == "tp":
            experts = rank.tp if exact or self._is_ragged(stage) else None
        elif spread.experts and spread.ep > 1:
            dealt = spread.dealt[spread.position("ep", rank)]
            experts = dealt if exact or self._is_ragged(stage) else len(dealt)
        tp: Hashable = (rank.tp, rank.dp) if self._is_odd(stage) else None
        if exact and tp is None:
            tp = self._rows(rank.tp)
        return stage, experts, tp

    def _rows(self, tp_rank: int) -> tuple[int, ...]:
        """Return how many rows of each vocabulary a rank has that are not padding."""
        out = []
        for rows, pad in self._vocabularies:
            share = -(-rows // pad) * pad // self.prediction.plan.tp
            out.append(max(0, min(rows - tp_rank * share, share)))
        return tuple(out)

    @cached_property
    def _vocabularies(self) -> list[tuple[int, int]]:
        slots = self.prediction.model.expected.slots
        return [(slot.shape[0], self.prediction.family.vocab_pad) for slot in slots if slot.cut == "vocab"]

    @cached_property
    def _layers_of_stages(self) -> Sequence[frozenset[int]]:
        return [frozenset(layers) for layers in self.prediction.spread.stages]

    def _stages(self, group: Group) -> frozenset[int]:
        """Return the stages that a group of tensors can matter to."""
        layers = group.by_layer
        if None in layers:
            return frozenset(range(self.prediction.plan.pp))
        if not self.prediction.family.pipelined:
            return frozenset(range(self.prediction.plan.pp))
        return frozenset(
            stage for stage, held in enumerate(self._layers_of_stages) if not held.isdisjoint(layers)
        )

    def _is_odd(self, stage: int) -> bool:
        return stage in self._odd

    @cached_property
    def _odd(self) -> frozenset[int]:
        """The stages with a tensor of another shape than the schema gives: there each slice counts."""
        expected = {
            template: {slot.shape for slot in slots}
            for template, slots in self.prediction.model.expected.by_template.items()
        }
        stages: set[int] = set()
        for group in self.prediction.groups:
            shapes = expected.get(group.template)
            if shapes is None or group.kind.shape not in shapes or len(shapes) > 1:
                stages |= self._stages(group)
        return frozenset(stages)

    def _is_ragged(self, stage: int) -> bool:
        return stage in self._ragged

    @cached_property
    def _ragged(self) -> frozenset[int]:
        """The stages in which some expert's tensors are not all there, or not of one kind."""
        stages: set[int] = set()
        count = self.prediction.model.experts
        for group in self.prediction.groups:
            if group.expert_at is not None and group.complete(count) != frozenset(group.by_layer):
                stages |= self._stages(group)
        return frozenset(stages)
