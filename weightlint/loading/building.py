"""The runtime parameters that a framework makes on one rank, from what the schema expects.

Frameworks build from the config alone, so the expectation in the schema's own names is all that is needed: each
slot becomes a parameter or a part of one, cut as its `tp` hint says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from weightlint.expected import Presence
from weightlint.loading.cuts import Cutter, Refusal
from weightlint.loading.model import EXPERT, TORCH, module_of
from weightlint.loading.param import Param
from weightlint.loading.pieces import Piece, joined, stacked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.expected import Slot
    from weightlint.loading.contract import Family, Fuse
    from weightlint.loading.model import Model
    from weightlint.loading.outcome import Failure
    from weightlint.loading.site import Site


@dataclass
class Built:
    """What one rank has: parameters by name, tied names with what they stand for, prefixes of other stages' modules.

    `error` is what the constructor raises; there are no parameters then.
    """

    params: dict[str, Param] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    elsewhere: tuple[str, ...] = ()
    error: Failure | None = None


def build(model: Model, family: Family, site: Site) -> Built:
    """Make the parameters of one rank."""
    builder = _Builder(model, family, site)
    try:
        return builder.build()
    except Refusal as refusal:
        return Built(error=refusal.failure)


class _Builder:
    def __init__(self, model: Model, family: Family, site: Site) -> None:
        self.model = model
        self.family = family
        self.site = site
        self.cutter = Cutter(model, family, site)

    def build(self) -> Built:
        out = Built()
        pieces: dict[str, list[Piece]] = {}
        missing: list[str] = []
        asserted = False
        for slot in self._ordered():
            if slot.axes and not asserted and self.site.layers:
                self.cutter.check_heads()
                asserted = True
            if not slot.axes and not self._is_here(slot):
                missing.append(module_of(slot.pattern)[0] + ".")
                continue
            if slot.need is Presence.TIED and self._is_shared():
                out.aliases[slot.pattern] = slot.tie or ""
                continue
            for piece in self._pieces(slot):
                pieces.setdefault(piece.param, []).append(piece)
        out.params = {name: self._assembled(name, parts) for name, parts in pieces.items()}
        out.params |= {param.name: param for param in self._own(out.params)}
        out.elsewhere = (*missing, *self._other_layers())
        return out

    def _is_shared(self) -> bool:
        tied = self.family.tied
        return tied in ("alias", "write") or (tied == "first" and self.site.first and self.site.last)

    def _ordered(self) -> list[Slot]:
        """Sort the slots as constructors go: the first stage's, the layers', the last stage's."""
        slots = [slot for slot in self.model.expected.slots if not EXPERT.search(slot.pattern) or slot.axes]
        rank = {"first": 0, "last": 2}
        return sorted(slots, key=lambda slot: 1 if slot.axes else rank.get(slot.stage or "last", 2))

    def _is_here(self, slot: Slot) -> bool:
        """Tell whether a module outside the layers is on this stage."""
        module = module_of(slot.pattern)[0]
        if not self.family.pipelined or module in self.family.everywhere:
            return True
        if slot.stage == "first":
            tied = "tied_last" in self.family.traits and self._has_tie(slot)
            return self.site.first or (self.site.last and tied)
        return self.site.last

    def _has_tie(self, slot: Slot) -> bool:
        slots = self.model.expected.slots
        return any(it.need is Presence.TIED and it.tie == slot.pattern for it in slots)

    def _other_layers(self) -> Iterator[str]:
        here = self.site.layers
        prefix = self.model.layer_prefix
        yield from (f"{prefix}{n}." for n in range(self.model.layers) if n not in here)

    def _pieces(self, slot: Slot) -> Iterator[Piece]:
        """Yield what a slot gives on this rank, the expert's number left open."""
        if not slot.axes:
            yield self._piece(slot, slot.pattern)
            return
        layers = {n for box in slot.boxes for n in box[0]}
        first = slot.axes[0]
        made: Piece | None = None
        for layer in sorted(layers.intersection(self.site.layers)):
            name = slot.pattern.replace(f"{{{first}}}", str(layer), 1)
            made = self._piece(slot, name) if made is None else made.moved(self._place(slot, name)[0])
            yield made

    def _piece(self, slot: Slot, name: str) -> Piece:
        param, part, fuse = self._place(slot, name)
        return self.cutter.piece(slot, param, part, fuse)

    def _place(self, slot: Slot, name: str) -> tuple[str, str, Fuse | None]:
        """Name the parameter and the part of it that a tensor is for."""
        experts = self.family.experts
        found = EXPERT.search(name)
        if found is not None:
            head, tail = name[: found.start()], name[found.end() :]
            projection, _, leaf = tail.partition(".")
            into = "w2" if projection == experts.down else "w13"
            return f"{head}experts.{experts.path}{into}_{leaf}", projection, None
        module, leaf = module_of(name)
        pattern = module_of(slot.pattern)[0]
        for fuse in self.family.fuse:
            head, _, last = module.rpartition(".")
            if last in fuse.parts and self._all_there(pattern, fuse):
                return f"{head}.{fuse.into}.{leaf}", last, fuse
        return name, "", None

    def _all_there(self, pattern: str, fuse: Fuse) -> bool:
        head = pattern.rpartition(".")[0]
        return all(f"{head}.{part}" in self.model.modules for part in fuse.parts)

    def _assembled(self, name: str, pieces: list[Piece]) -> Param:
        stack = pieces[0].is_expert
        shape, parts = (
            stacked(pieces, self.site.local_experts) if stack else joined(pieces, self._order(pieces))
        )
        return Param(
            name=name,
            shape=shape,
            dtype=self._dtype(name, pieces[0].slot),
            copy=pieces[0].copy,
            parts=parts,
            kind=pieces[0].slot.kind,
        )

    def _order(self, pieces: list[Piece]) -> tuple[str, ...]:
        fuse = pieces[0].fuse
        return fuse.parts if fuse else ("",)

    def _dtype(self, name: str, slot: Slot) -> str:
        for retype in self.family.dtypes:
            if name.endswith(retype.of):
                return retype.dtype
        if slot.kind == "scale":
            return "float32"
        if len(slot.dtypes) == 1:
            (only,) = slot.dtypes
            return TORCH.get(only, self.model.dtype)
        return self.model.dtype

    def _own(self, params: dict[str, Param]) -> Iterator[Param]:
        """Yield the parameters that the framework adds of its own."""
        from weightlint.loading.copying import Whole

        modules = dict.fromkeys(module_of(name)[0] for name in params)
        heads = dict.fromkeys(module.rpartition(".")[0] for module in modules)
        for own in self.family.own:
            if own.when == "quantised" and self.model.block is None:
                continue
            for head in (head for head in heads if head.endswith(own.module)):
                for leaf in own.names:
                    yield Param(
                        name=f"{head}.{leaf}",
                        shape=own.shape,
                        dtype=own.dtype,
                        copy=Whole(self.family.texts.plain),
                        parts={},
                        default=own.default,
                    )
