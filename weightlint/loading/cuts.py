"""How a framework cuts one slot for a rank, and what it refuses to cut, in its own words."""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING

from weightlint.expr import ceil_div
from weightlint.loading.copying import Copy, Cutting, Expert, Sliced, Vocabulary, Whole
from weightlint.loading.model import EXPERT, module_of
from weightlint.loading.outcome import Failure
from weightlint.loading.pieces import Piece

if TYPE_CHECKING:
    from weightlint.dtype import Shape
    from weightlint.expected import Slot
    from weightlint.loading.family import Assertion, Family, Fuse
    from weightlint.loading.model import Model
    from weightlint.loading.site import Site
    from weightlint.loading.ways import Way

FP8 = frozenset({"F8_E4M3"})


class Refusal(Exception):  # noqa: N818 -- what the framework does, no error of ours
    """The framework's constructor raises."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


class Cutter:
    """Cuts slots for one rank.

    Raises:
        Refusal: in every method, where the framework does not build the module.
    """

    def __init__(self, model: Model, family: Family, site: Site) -> None:
        self.model = model
        self.family = family
        self.site = site

    def check(self, it: Assertion) -> Failure | None:
        """Return what the framework raises where it asserts a size of the config."""
        site, size = self.site, self.model.sizes.get(it.field)
        ways = {"tp": site.tp, "moe_tp": site.moe_tp, "ep": site.tp // site.moe_tp}[it.by]
        if size is None or (size >= ways if it.at_least else size % ways == 0):
            return None
        if it.replicates and size < ways and ways % size == 0:
            return None
        return Failure(it.kind, it.text.format(size=size, ways=ways))

    def piece(self, slot: Slot, part: str, fuse: Fuse | None) -> Piece:
        """Cut one slot."""
        is_expert, fused = EXPERT.search(slot.pattern) is not None, fuse is not None and not fuse.paired
        dim, ways, at = self._ways(slot, is_expert=is_expert)
        if slot.cut == "vocab" and slot.kind != "scale":
            return self._rows_of_table(slot)
        weight = self.model.weights.get(slot.of or "", slot)
        cut = self._share(weight.shape, dim, ways, fused=fused, is_expert=is_expert)
        quantised = slot.kind == "scale" or slot.dtypes == FP8
        block = self._block(cut, dim, is_expert=is_expert) if quantised else None
        if block and slot.kind != "scale":
            self._check_blocks(block, cut, dim, fused=fused, is_expert=is_expert)
        way = self._way(slot, dim, fuse)
        cutting = Cutting(0 if fuse and dim is None else dim, at, way.short if way else "error")
        in_blocks = block is not None and slot.kind == "scale"
        return Piece(
            part=part,
            slot=slot,
            room=_in_blocks(cut, block) if in_blocks and block else cut,
            cutting=cutting,
            copy=self._expert(slot, ways, block)
            if is_expert
            else self._copy(slot, dim, way, block, fused=fused),
            fuse=fuse,
            is_expert=is_expert,
            whole_rows=self._whole_rows(slot, weight, fuse),
            weight_rows=cut[0] if in_blocks else 0,
            block_rows=block[0] if in_blocks and block else 0,
        )

    def _whole_rows(self, slot: Slot, weight: Slot, fuse: Fuse | None) -> int:
        if fuse is None or not slot.shape:
            return 0
        return slot.shape[0] if fuse.blocks else weight.shape[0]

    def _ways(self, slot: Slot, *, is_expert: bool) -> tuple[int | None, int, int]:
        """Return the dimension that is cut, into how many, and which of these is the rank's."""
        kind, _, unit = (slot.cut or "").partition(":")
        dim = {"column": 0, "row": 1, "vocab": 0}.get(kind)
        if dim is None or dim >= len(slot.shape):
            return None, 1, 0
        if is_expert:
            return dim, self.site.moe_tp, self.site.moe_tp_rank
        tp, rank = self.site.tp, self.site.tp_rank
        heads = self.model.sizes.get("num_key_value_heads", tp) if unit == "kv_head" else tp
        if heads < tp:
            return dim, heads, rank // max(tp // heads, 1)
        return dim, tp, rank

    def _share(self, shape: Shape, dim: int | None, ways: int, *, fused: bool, is_expert: bool) -> Shape:
        if dim is None or ways == 1:
            return shape
        if shape[dim] % ways:
            uneven = self.family.experts.uneven if is_expert else "" if fused else None
            text = self.family.texts.divide if uneven is None else uneven
            raise Refusal(Failure("AssertionError", text.format(size=shape[dim], ways=ways)))
        return (*shape[:dim], shape[dim] // ways, *shape[dim + 1 :])

    def _block(self, cut: Shape, dim: int | None, *, is_expert: bool) -> tuple[int, int] | None:
        """Return the rows and columns under one scale in memory, refined where a rank's share ends inside a block."""
        block, least = self.model.block, self.family.experts.refine
        if block is None or not is_expert or not least or dim is None:
            return block
        share = cut[dim]
        if share % block[0] == 0 and (self.site.moe_tp == 1 or share % block[1] == 0):
            return block
        finer = gcd(*block, *cut[-2:])
        if finer < least or (share % block[0] == 0 and (self.site.tp == 1 or share % block[1] == 0)):
            return block
        return finer, finer

    def _rows_of_table(self, slot: Slot) -> Piece:
        """Cut a vocabulary after padding it."""
        rows, tp = slot.shape[0], self.site.tp
        padded = ceil_div(rows, self.family.vocab_pad) * self.family.vocab_pad
        if padded % tp and "pad_by_tp" in self.family.traits:
            padded = ceil_div(rows, self.family.vocab_pad * tp) * self.family.vocab_pad * tp
        room = self._share((padded, *slot.shape[1:]), 0, tp, fused=False, is_expert=False)
        copy = Vocabulary(rows, self.family.texts.vocabulary)
        return Piece(part="", slot=slot, room=room, cutting=Cutting(0, self.site.tp_rank), copy=copy)

    def _expert(self, slot: Slot, ways: int, block: tuple[int, int] | None) -> Copy:
        fits, old = self.family.experts.fits, self.model.block
        if slot.kind != "scale" or block is None or old is None:
            return Expert(fits, ways)
        return Expert(fits, ways, (old[0] // block[0], old[1] // block[1]))

    def _way(self, slot: Slot, dim: int | None, fuse: Fuse | None) -> Way | None:
        """Find what the contract says of the kind of module that a slot belongs to."""
        of = fuse.into if fuse and not fuse.paired else self._kind(slot, dim)
        quantised = slot.kind == "scale" or slot.dtypes == FP8
        fitting = (it for it in self.family.ways if of in it.of and it.quantised in (None, quantised))
        return next(fitting, None)

    def _kind(self, slot: Slot, dim: int | None) -> str:
        if dim is not None:
            return "row" if dim else "column"
        if slot.kind == "bias" and self._weight_kind(slot) == "linear":
            return "row"
        is_matrix = slot.kind in ("linear", "router", "scale") and len(slot.shape) > 1
        return "router" if slot.kind == "router" else "replicated" if is_matrix else "plain"

    def _copy(
        self, slot: Slot, dim: int | None, way: Way | None, block: tuple[int, int] | None, *, fused: bool
    ) -> Copy:
        texts = self.family.texts
        sliced, casts = (way.text, way.casts) if way else (texts.sliced, "any")
        if f"{module_of(slot.pattern)[0]}.".endswith(self.family.bare):
            return Whole(texts.plain)
        if fused:
            return Sliced(sliced, casts=casts)
        early = slot.kind != "bias" and (block is not None or "lifts_first" in self.family.traits)
        if dim is not None:
            return Sliced(sliced, "first" if early else "last", casts)
        if slot.kind == "bias" and self._weight_kind(slot) == "linear":
            return Sliced(sliced, "last", casts)
        if way is not None:
            return Whole(way.text, lifts_scalar=way.lifts)
        if slot.kind in ("linear", "router", "scale") and len(slot.shape) > 1:
            return Whole(texts.replicated, lifts_scalar=True)
        return Whole(texts.plain)

    def _weight_kind(self, bias: Slot) -> str:
        weight = self.model.weights.get(f"{module_of(bias.pattern)[0]}.weight")
        return weight.kind if weight else ""

    def _check_blocks(
        self, block: tuple[int, int], cut: Shape, dim: int | None, *, fused: bool, is_expert: bool
    ) -> None:
        """Refuse a share that ends inside a block of the quantisation."""
        texts, tp = self.family.texts, self.site.tp
        if is_expert:
            size = cut[dim] if dim is not None else 0
            if dim is not None and size % block[0]:
                raise Refusal(Failure("ValueError", texts.expert_rows.format(size=size, block=block[0])))
            if dim is not None and tp > 1 and size % block[1]:
                raise Refusal(Failure("ValueError", texts.expert_columns.format(size=size, block=block[1])))
            return
        if fused and "loose_merged_blocks" in self.family.traits:
            return
        if dim == 1 and tp > 1 and cut[1] % block[1]:
            raise Refusal(Failure("ValueError", texts.block_columns.format(size=cut[1], block=block[1])))
        if fused and "loose_merged_blocks" in self.family.traits:
            return
        if ((dim == 0 and tp > 1) or fused) and cut[0] % block[0]:
            raise Refusal(Failure("ValueError", texts.block_rows.format(size=cut[0], block=block[0])))


def _in_blocks(shape: Shape, block: tuple[int, int]) -> Shape:
    *outer, rows, columns = shape
    return (*outer, ceil_div(rows, block[0]), ceil_div(columns, block[1]))
