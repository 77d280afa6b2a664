"""The runtime parameters that a framework makes on one rank, from what the schema expects.

Frameworks build from the config alone, so the expectation in the schema's own names is all that is needed: each
slot becomes a parameter or a part of one, cut as its `tp` hint says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from weightlint.expected import Presence
from weightlint.loading.additions import own_params
from weightlint.loading.copying import Cutting
from weightlint.loading.cuts import Cutter, Refusal
from weightlint.loading.model import EXPERT, TORCH, module_of
from weightlint.loading.outcome import Failure
from weightlint.loading.param import Param, Part
from weightlint.loading.pieces import Piece, apart, joined, stacked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.dtype import Shape
    from weightlint.expected import Slot
    from weightlint.loading.family import Family, Fuse
    from weightlint.loading.model import Model
    from weightlint.loading.site import Site


@dataclass
class Built:
    """What one rank has: parameters by name, tied names with what they stand for, prefixes of other stages' modules.

    `shared` is the number of places in the stacks of experts that the shared one has. `error` is what the constructor
    raises; there are no parameters then.
    """

    params: dict[str, Param] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    elsewhere: tuple[str, ...] = ()
    shared: int = 0
    error: Failure | None = None


def build(model: Model, family: Family, site: Site) -> Built:
    """Make the parameters of one rank."""
    return _Builder(model, family, site).build()


class _Builder:
    def __init__(self, model: Model, family: Family, site: Site) -> None:
        self.model = model
        self.family = family
        self.site = site
        self.cutter = Cutter(model, family, site)
        self.places = site.local_experts
        self.refusals: list[tuple[tuple[int, ...], Failure]] = []
        self._held: dict[Slot, list[int]] = {}

    def build(self) -> Built:
        out = Built(shared=self.site.shared)
        pieces: dict[str, list[Piece]] = {}
        missing: list[str] = []
        for at, slot in enumerate(self._ordered()):
            if not slot.axes and not self._is_here(slot):
                missing.append(module_of(slot.pattern)[0] + ".")
                continue
            if slot.need is Presence.TIED and self._is_shared():
                out.aliases[slot.pattern] = slot.tie or ""
                continue
            for name, piece in self._allowed(at, slot):
                pieces.setdefault(name, []).append(piece)
        self._check_stage()
        if self.refusals:
            return Built(error=min(self.refusals, key=lambda it: it[0])[1])
        out.params = {param.name: param for param in self._assembled(pieces)}
        out.params |= {
            param.name: param for param in own_params(self.model, self.family, self.site, out.params)
        }
        out.elsewhere = (*missing, *self._other_layers())
        return out

    def _check_stage(self) -> None:
        """Note what the constructor refuses when the layers are there."""
        it = self.family.stages
        if not it.has:
            return
        slots = self.model.expected.slots
        if not any(it.has in slot.pattern and self._layers(slot) for slot in slots):
            self.refusals.append(((3,), Failure(it.kind, it.text)))

    def _allowed(self, at: int, slot: Slot) -> Iterator[tuple[str, Piece]]:
        """Yield a slot's pieces with the parameters that they are of, and note what the constructor refuses and where: it goes layer by layer."""
        phase = 1 if slot.axes else {"first": 0}.get(slot.stage or "last", 2)
        layer = min(self._layers(slot), default=0)
        if slot.axes and not self._layers(slot):
            return
        for it in self.family.asserts:
            if (
                slot.axes
                and (it.before == "layers" or it.before in slot.pattern)
                and (failure := self.cutter.check(it))
            ):
                self.refusals.append(((phase, layer, at, 0), failure))
        if self.family.refuses is not None and EXPERT.search(slot.pattern):
            raises = self.family.refuses
            self.refusals.append(((phase, layer, at, 1), Failure(raises.kind, raises.text)))
        for refused in self.model.refused:
            if refused.pattern == slot.pattern and refused.layer in self.site.layers:
                self.refusals.append(((phase, refused.layer, at, 1), refused.failure))
        try:
            yield from self._pieces(slot)
        except Refusal as refusal:
            self.refusals.append(((phase, layer, at, 2), refusal.failure))

    def _layers(self, slot: Slot) -> list[int]:
        """Return the stage's layers in which a slot has a tensor."""
        if slot not in self._held:
            here = self.model.mtp if self.family.draft else self.site.layers
            all_ = {n for box in slot.boxes for n in box[0]} if slot.axes else set()
            self._held[slot] = sorted(all_.intersection(here))
        return self._held[slot]

    def _is_shared(self) -> bool:
        tied = self.family.tied
        return tied in ("alias", "write") or (tied == "first" and self.site.first and self.site.last)

    def _ordered(self) -> list[Slot]:
        """Sort the slots as constructors go: the first stage's, the layers', the last stage's."""
        rank, order = {"first": 0, "last": 2}, self.family.order

        def place(slot: Slot) -> tuple[int, int]:
            if not slot.axes:
                return rank.get(slot.stage or "last", 2), 0
            return 1, next((n for n, text in enumerate(order) if text in slot.pattern), len(order))

        return sorted((it for it in self.model.expected.slots if not self._is_stacked(it)), key=place)

    def _is_stacked(self, slot: Slot) -> bool:
        """Tell whether a slot of the shared expert is one more place in the stack."""
        shared = self.family.experts.shared
        return shared is not None and self.site.shared > 0 and f"{shared.module}." in slot.pattern

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

    def _pieces(self, slot: Slot) -> Iterator[tuple[str, Piece]]:
        """Yield what a slot gives on this rank, one piece for all layers, the expert's number left open."""
        param, part, fuse = self._place(slot, self._nested(slot.pattern))
        piece = self.cutter.piece(slot, part, fuse)
        if not slot.axes:
            yield param, piece
            return
        before, _, behind = param.partition(f"{{{slot.axes[0]}}}")
        for layer in self._layers(slot):
            yield f"{before}{layer}{behind}", piece

    def _nested(self, name: str) -> str:
        """Put what belongs to a decoder layer into the module that a draft model has for it."""
        draft = self.family.draft
        if draft is None or any(text in name for text in draft.unless):
            return name
        head, found, tail = name.partition(".layers.")
        number, _, rest = tail.partition(".")
        return f"{head}{found}{number}.{draft.into}.{rest}"

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
        whole = next((it for it in self.family.fuse if it.whole and module.endswith(f".{it.into}")), None)
        if whole is not None:
            return name, "", whole
        pattern = module_of(slot.pattern)[0]
        for fuse in self.family.fuse:
            head, _, last = module.rpartition(".")
            if not fuse.whole and last in fuse.parts and self._all_there(pattern, fuse):
                return f"{head}.{fuse.into}.{leaf}", last, fuse
        return name, "", None

    def _all_there(self, pattern: str, fuse: Fuse) -> bool:
        head = pattern.rpartition(".")[0]
        return all(f"{head}.{part}" in self.model.modules for part in fuse.parts)

    def _assembled(self, made_of: dict[str, list[Piece]]) -> Iterator[Param]:
        """Put pieces together; layers with the same pieces have the same parameters but for the names."""
        shaped: dict[tuple[int, ...], tuple[Shape, dict[str, Part]]] = {}
        for name, pieces in made_of.items():
            same = tuple(map(id, pieces))
            if same not in shaped:
                shaped[same] = self._shaped(pieces)
            shape, parts = shaped[same]
            slot = pieces[0].slot
            yield Param(
                name=name,
                shape=shape,
                dtype=self._dtype(name, slot),
                copy=pieces[0].copy,
                parts=parts,
                kind=slot.kind,
            )

    def _shaped(self, pieces: list[Piece]) -> tuple[Shape, dict[str, Part]]:
        stack = pieces[0].is_expert
        if pieces[0].fuse is not None and pieces[0].fuse.whole:
            pieces = apart(pieces[0], pieces[0].fuse.parts)
        shape, parts = stacked(pieces, self.places) if stack else joined(pieces, self._order(pieces))
        if pieces[0].fuse is not None and pieces[0].fuse.paired:
            parts = {"": Part((0,) * len(shape), shape, Cutting())}
        return shape, parts

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
