"""A plan laid over what a model needs: who holds which tensor, and which slice of it.

Worked out per slot and per position in a group of ranks, never per rank: ranks with equal positions hold
the same. What is wrong with a plan is not said here but in `weightlint.limits`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from weightlint.expected import Presence
from weightlint.experts import Dealt, deal
from weightlint.kind import KINDS, Share
from weightlint.pipeline import SPLITS, ranges
from weightlint.plan_names import PlanNames
from weightlint.plan_rules import NEUTRAL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weightlint.expected import Expected, Layout, Slot
    from weightlint.loader import Release
    from weightlint.plan import Plan, Rank
    from weightlint.plan_rules import PlanRules

HEADS = "num_attention_heads"
KV_HEADS = "num_key_value_heads"


@dataclass
class Spread:
    """A plan, the rules by which it is read, and the expectation that it is laid over.

    `layouts` are other names that the same tensors may have, by which a plan may call them.
    """

    plan: Plan
    expected: Expected
    release: Release | None = None
    layouts: tuple[Layout, ...] = ()
    shared: dict[Slot, tuple[Share, ...]] = field(default_factory=dict)

    @cached_property
    def rules(self) -> PlanRules:
        """The loader's rules, or plain arithmetic."""
        return NEUTRAL if self.release is None else self.release.rules

    @cached_property
    def layers(self) -> int:
        """Number of decoder layers, MTP layers aside."""
        return len(self.expected.axes.get("layer", ()))

    @cached_property
    def experts(self) -> int:
        """Number of routed experts, 0 where there are none."""
        return len(self.expected.axes.get("expert", ()))

    @cached_property
    def heads(self) -> int:
        """Number of attention heads, 0 where the config does not tell."""
        return self.expected.sizes.get(HEADS, 0)

    @cached_property
    def kv_heads(self) -> int:
        """Number of heads of keys and values."""
        return self.expected.sizes.get(KV_HEADS, self.heads)

    @cached_property
    def ep(self) -> int:
        """Degree of expert parallelism, 1 where experts are cut like other matrices."""
        if not self.experts:
            return 1
        always = self.rules.experts.always and self.plan.ep == 1
        return self.plan.tp * self.plan.dp if always else self.plan.ep

    def degree(self, group: str) -> int:
        """Return how many positions a group of ranks has."""
        match group:
            case "pp":
                return self.plan.pp
            case "ep":
                return self.ep
            case "etp":
                return self._expert_slices
        return self.plan.tp

    @cached_property
    def _expert_slices(self) -> int:
        tp, ep, group = self.plan.tp, self.ep, self.rules.experts.group
        if group == "all":
            return 1 if ep > 1 else tp * self.plan.dp
        if self.rules.experts.never_cut and ep > 1:
            return 1
        return tp if group == "dp" else max(1, tp // ep)

    def position(self, group: str, rank: Rank) -> int:
        """Return where a rank stands in a group."""
        rules, ep, slices = self.rules.experts, self.ep, self._expert_slices
        flat = rank.tp + self.plan.tp * (rank.dp or 0)
        match group:
            case "pp":
                return rank.pp
            case "tp":
                return rank.tp
            case "ep" if rules.group == "dp":
                return (rank.dp or 0) % ep
            case "ep":
                return flat % ep if rules.inner or slices == 1 else rank.tp // slices
        if rules.group == "all":
            return flat if ep == 1 else 0
        return rank.tp // ep if rules.inner else rank.tp % slices

    @cached_property
    def stages(self) -> tuple[tuple[int, ...], ...]:
        """The layers of each pipeline rank; none at all where the loader has no split for so many."""
        plan = self.plan
        if plan.stages:
            return tuple(stage.layers for stage in plan.stages)
        if plan.pp_layers:
            backwards = self.rules.split.startswith("backwards")
            sizes = list(plan.pp_layers)
            dealt = ranges(sizes[::-1])[::-1] if backwards else ranges(sizes)
        else:
            dealt = SPLITS[self.rules.split](self.layers, plan.pp)
        return tuple(map(tuple, dealt))

    @cached_property
    def layer_owners(self) -> Mapping[int, frozenset[int]]:
        """The stages of each layer, MTP layers with them where the loader puts them on a stage."""
        owners: dict[int, set[int]] = {}
        for stage, layers in enumerate(self.stages):
            for layer in layers:
                owners.setdefault(layer, set()).add(stage)
        for layer in self.expected.axes.get("mtp", ()):
            if place := self._mtp_stages:
                owners[layer] = set(place)
        return {layer: frozenset(stages) for layer, stages in owners.items()}

    @cached_property
    def _mtp_stages(self) -> frozenset[int]:
        if self.plan.stages:
            return frozenset(at for at, stage in enumerate(self.plan.stages) if stage.mtp)
        return frozenset({self.plan.pp - 1}) if self.rules.mtp in {"last", "layer"} else frozenset()

    def is_aside(self, slot: Slot, coord: tuple[int, ...]) -> bool:
        """Tell whether a tensor is of an MTP layer that the loader leaves out or loads as a model of its own."""
        is_mtp = slot.is_draft or (self.is_layered(slot) and coord[0] >= self.layers)
        return is_mtp and self.rules.mtp in {"own", "dropped"}

    def is_layered(self, slot: Slot) -> bool:
        """Tell whether the first number of a name is that of a layer."""
        return slot.is_layered

    def is_expert(self, slot: Slot) -> bool:
        """Tell whether a slot is of routed experts, or a scale of theirs."""
        return self.weight(slot).kind == "expert"

    def weight(self, slot: Slot) -> Slot:
        """Return the weight that a companion belongs to, a weight itself; of a quantised one what it was before."""
        weight = self._weights.get(slot.of, slot) if slot.of else slot
        return weight.plain or weight

    @cached_property
    def _weights(self) -> Mapping[str, Slot]:
        return {slot.pattern: slot for slot in self.expected.slots}

    def place(self, slot: Slot) -> str:
        """Return where a tensor outside the layers is: `first`, `last`, `both`, `every` or `none`."""
        rules = self.rules
        places = rules.odd_places.get(self.expected.schema, rules.places)
        kind = slot.kind if slot.kind in places else "embedding" if slot.stage == "first" else "norm"
        if slot.kind == "embedding" and rules.tied_last and places[kind] == "first" and self.is_tied:
            return "both"
        return places[kind]

    @cached_property
    def is_tied(self) -> bool:
        """Tell whether the embedding is the head as well."""
        return any(slot.need is Presence.TIED for slot in self.expected.slots)

    def outer(self, slot: Slot) -> frozenset[int]:
        """Return the stages that hold a tensor outside the layers."""
        stages = self.plan.stages
        if slot.is_draft:
            return self._mtp_stages
        if stages and slot.kind in {"embedding", "head"}:
            flags = ((stage.embedding if slot.kind == "embedding" else stage.head) for stage in stages)
            return frozenset(at for at, flag in enumerate(flags) if flag)
        last = self.plan.pp - 1
        choices = {
            "first": {0},
            "last": {last},
            "both": {0, last},
            "none": set[int](),
            "every": set(range(last + 1)),
        }
        return frozenset(choices[self.place(slot)])

    @cached_property
    def dealt(self) -> Dealt:
        """The experts of each rank of the expert parallel group."""
        rules = self.rules.experts
        return self.plan.experts or deal(
            self.experts,
            self.ep,
            remainder=rules.remainder,
            redundant=self.plan.redundant,
            round_robin=self.plan.placement == "round_robin" and rules.round_robin,
        )

    @cached_property
    def names(self) -> PlanNames:
        """What the plan calls the tensors."""
        return PlanNames(self.expected, self.layouts, self.plan.assigned)

    def is_whole(self, slot: Slot) -> bool:
        """Tell whether the loader leaves a tensor whole that others cut."""
        return any(part in slot.pattern for part in self.rules.whole_names.get(self.expected.schema, ()))

    def shares(self, slot: Slot) -> tuple[Share, ...]:
        """Return what each group of ranks makes of a slot."""
        if slot not in self.shared:
            asked = (kind.share(slot, self) for kind in KINDS.values())
            self.shared[slot] = tuple(share for share in asked if share is not None)
        return self.shared[slot]

    def slices(
        self, slot: Slot, coord: tuple[int, ...], rank: Rank
    ) -> dict[int, tuple[tuple[int, int], ...]] | None:
        """Return the spans of each cut dimension that a rank holds of one tensor, None if it holds nothing of it."""
        out: dict[int, tuple[tuple[int, int], ...]] = {}
        for share in self.shares(slot):
            position = self.position(share.group, rank)
            holders = share.holders(coord) if share.cut is None else None
            if holders is not None and position not in holders:
                return None
            if share.cut is not None:
                out[share.cut.dim] = share.cut.at(position)
        return out
