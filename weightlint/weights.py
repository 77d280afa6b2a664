"""How many bytes of weights each pipeline stage puts on its heaviest rank, and what a token costs in the KV cache.

Sizes are those that are stored, quantisation included; what frameworks derive from the weights after loading
is not counted.
"""

from __future__ import annotations

from collections import defaultdict
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from weightlint import dtype
from weightlint.expected import Presence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from weightlint.expected import Expected, Slot
    from weightlint.index import Index, Kind
    from weightlint.spread import Spread

OUTSIDE = -1
"""Stands for the layer of a tensor outside the layers."""

KV_BYTES = 2
"""Bytes of one number in the cache: BF16, as frameworks do unless told otherwise."""

Masses = dict["Slot", dict[int, int]]
"""Bytes of each slot by layer, all experts together."""


def masses(index: Index, expected: Expected, rows: Mapping[Slot, Sequence[int]]) -> Masses:
    """Weigh every slot by layer: by the rows that fill it, else by its shape."""
    out: Masses = {}
    for slot in expected.slots:
        there = rows.get(slot, ())
        if slot.need is Presence.TIED or (slot.need is not Presence.REQUIRED and not there):
            continue
        kinds = {index.kind_ids[row] for row in there}
        if len(kinds) > 1 and len(there) == slot.count:
            sizes = {kind: _nbytes(index.kinds[kind]) or _planned(slot) for kind in kinds}
            out[slot] = _each(slot, [sizes[index.kind_ids[row]] for row in there])
        else:
            size = next((_nbytes(index.kinds[kind]) for kind in kinds), 0) or _planned(slot)
            out[slot] = {layer: size * count for layer, count in _counts(slot).items()}
    return out


def _each(slot: Slot, sizes: Sequence[int]) -> dict[int, int]:
    out: dict[int, int] = defaultdict(int)
    for coord, size in zip(slot.coords(), sizes, strict=True):
        out[_layer(slot, coord)] += size
    return dict(out)


def _counts(slot: Slot) -> dict[int, int]:
    """Count the tensors of a slot by layer, without naming them."""
    out: dict[int, int] = defaultdict(int)
    for box in slot.boxes:
        layered = slot.is_layered
        for layer in box[0] if layered else (OUTSIDE,):
            out[layer] += prod(map(len, box[layered:]))
    return dict(out)


def _layer(slot: Slot, coord: tuple[int, ...]) -> int:
    return coord[0] if coord and slot.is_layered else OUTSIDE


def _nbytes(kind: Kind) -> int:
    type_ = dtype.find(kind.dtype) if kind.dtype else None
    return (type_.nbytes(kind.shape) or 0) if type_ and kind.shape is not None else 0


def _planned(slot: Slot) -> int:
    """Weigh a tensor that is not there, or whose kind is not known: as BF16 where it may be that."""
    name = "BF16" if "BF16" in slot.dtypes else min(slot.dtypes, default="BF16")
    type_ = dtype.find(name)
    return (type_.nbytes(slot.shape) or 0) if type_ else 0


def stage_bytes(spread: Spread, weighed: Masses) -> list[int]:
    """Return the bytes of weights on the heaviest rank of each stage."""
    out = [0.0] * spread.plan.pp
    for slot, by_layer in weighed.items():
        share = _share(slot, spread)
        for layer, size in by_layer.items():
            for stage in _stages(slot, layer, spread):
                out[stage] += size * share
    return [round(size) for size in out]


def _stages(slot: Slot, layer: int, spread: Spread) -> frozenset[int]:
    if layer == OUTSIDE:
        return spread.outer(slot)
    if layer >= spread.layers and spread.rules.mtp in {"own", "dropped"}:
        return frozenset()
    return frozenset(stage for stage in spread.layer_owners.get(layer, ()) if stage < spread.plan.pp)


def _share(slot: Slot, spread: Spread) -> float:
    """Return which part of a slot's bytes the heaviest rank holds, copies and padding included."""
    share = 1.0
    for each in spread.shares(slot):
        cut = each.cut
        if cut is not None and each.group != "ep":
            positions = range(cut.pieces) if cut.spans else range(1)
            share *= max(cut.count(at * cut.replicas) for at in positions) / cut.size
    if spread.is_expert(slot) and spread.degree("ep") > 1:
        share *= max(map(len, spread.dealt)) / spread.experts
    return share


class Cache(NamedTuple):
    """Numbers that one token leaves in the cache of one layer on one rank, and what they are."""

    numbers: int
    what: str


def cache(spread: Spread) -> Cache | None:
    """Return what a token leaves in the cache of a layer, None where the config does not tell.

    Latent attention keeps the compressed vector and the rotated key on every rank (DeepSeek-V2,
    arXiv:2405.04434, section 2.1.4); other attention keys and values of the heads of the rank.
    """
    sizes = spread.expected.sizes
    if sizes.get("kv_lora_rank") and sizes.get("qk_rope_head_dim"):
        return Cache(sizes["kv_lora_rank"] + sizes["qk_rope_head_dim"], "kv_lora_rank + qk_rope_head_dim")
    heads, wide = spread.kv_heads, sizes.get("head_dim")
    if wide is None and spread.heads and "hidden_size" in sizes:
        wide = sizes["hidden_size"] // spread.heads
    if not heads or not wide:
        return None
    mine = -(-heads // spread.plan.tp)
    return Cache(2 * mine * wide, "2 x kv heads x head_dim")


def tokens(spread: Spread, left: Sequence[int]) -> int | None:
    """Return how many tokens the cache has room for, by the stage with the least; `left` is in bytes by stage."""
    each = cache(spread)
    if each is None:
        return None
    rooms = [
        max(0, room) // (KV_BYTES * each.numbers * len(layers))
        for room, layers in zip(left, spread.stages, strict=True)
        if layers
    ]
    return min(rooms, default=None)
