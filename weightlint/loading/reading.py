"""What a framework makes of a config: which of the schema's tensors it has parameters for, and which it quantises."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from weightlint.expectation import QUANTS
from weightlint.loading.model import Model, Refused, module_of
from weightlint.loading.outcome import Failure
from weightlint.quant import declared
from weightlint.quantising import quantised

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from weightlint.config import Config
    from weightlint.expected import Expected, Slot
    from weightlint.loading.family import Draft, Family, Omit
    from weightlint.names import Coord


def read(expected: Expected, config: Config, family: Family, *, dtype: str = "bfloat16") -> Model:
    """Work out what a framework builds from a config, of which `expected` is the schema's expansion, not quantised.

    `dtype` is torch's name of the dtype of plain weights.

    Only the quantisations of the drawer are known; with another one the model is taken as if it had none.
    """
    draft = family.draft
    drafted = expected.replace(lambda slot: _drafted(slot, draft, expected)) if draft else expected
    kept = drafted.replace(
        lambda slot: () if any(_is_omitted(slot, it, config.data) for it in family.omit) else (slot,)
    )
    table = config.quantization
    quant = declared(QUANTS, table) if table else None
    if quant is None or table is None or quant.name != "fp8_block":
        return Model(kept, dtype=dtype, config=config.data)
    chosen = _Chosen(family, table, config.data)
    marked = kept.replace(chosen.marked)
    bare = {key: value for key, value in table.items() if key not in LISTS}
    scheme = quant.read(bare)
    return Model(
        quantised(marked, scheme),
        dtype=dtype,
        block=scheme.default.block if scheme.default is not None else None,
        config=config.data,
        refused=tuple(chosen.refused),
    )


def as_taken(config: Config, family: Family) -> Config:
    """Return a config with the values that the framework takes some fields for, whatever is written there."""
    for name, value in family.pretends.items():
        config = config.with_change(name, value)
    return config


LISTS = ("modules_to_not_convert", "ignored_layers")
"""Keys under which a quantisation table lists the modules that are left plain."""


def _drafted(slot: Slot, draft: Draft, expected: Expected) -> Iterator[Slot]:
    """Leave of a slot what a draft model has of it."""
    mtp = frozenset(expected.axes.get("mtp", ()))
    kept = (
        slot.where(lambda coord: coord[0] in mtp)
        if slot.axes
        else slot
        if slot.pattern in draft.keeps
        else None
    )
    if kept is not None:
        yield kept


def _is_omitted(slot: Slot, omit: Omit, config: Mapping[str, Any]) -> bool:
    if not slot.pattern.endswith(omit.ends):
        return False
    return not any(config.get(field) == value for field, value in (omit.unless or {}).items())


class _Chosen:
    """Which weights are quantised; `refused` gathers what the framework raises over it."""

    def __init__(self, family: Family, table: Mapping[str, Any], config: Mapping[str, Any]) -> None:
        self.rule = rule = family.quantised
        self.fuse = {part: it for it in family.fuse for part in it.parts if not it.whole}
        lists = (table.get(key) for key in rule.lists)
        self.plain: tuple[str, ...] = tuple(
            entry for entry in next((it for it in lists if it), ()) if isinstance(entry, str)
        )
        self.names = frozenset(self.plain)
        self.fused = {
            *rule.fused,
            *(
                into
                for into, fields in (rule.fused_if or {}).items()
                if any(map(config.get, fields.split("|")))
            ),
        }
        self.refused: list[Refused] = []

    def marked(self, slot: Slot) -> Iterator[Slot]:
        """Give a slot with `quant` as the framework decides it, split where its layers differ."""
        if slot.kind == "router" and self.rule.routers and len(slot.shape) == 2 and slot.shape[0] > 1:
            slot = replace(slot, kind="linear", quant=True)
        if not slot.quant or slot.kind not in ("linear", "expert"):
            yield slot
            return
        if slot.pattern.endswith(self.rule.never):
            yield replace(slot, quant=False)
            return
        plain = {coord for coord in self._listed(slot) if self._is_plain(slot, coord)}
        if not plain:
            yield slot
            return
        kept = slot.where(plain.__contains__)
        rest = slot.where(lambda coord: coord not in plain)
        if kept is not None:
            yield replace(kept, quant=False)
        if rest is not None:
            yield rest

    def _listed(self, slot: Slot) -> Iterator[Coord]:
        """Yield the coordinates to look up."""
        if not self.plain or module_of(slot.pattern)[0].endswith(self.rule.nameless):
            return
        if slot.kind != "expert" or self.rule.experts:
            yield from slot.coords()

    def _has(self, module: str) -> bool:
        """Tell whether the list names a module, or with `paths` what it lies in or a part of its path."""
        if module in self.names or not self.rule.paths:
            return module in self.names
        return any(f".{entry.rstrip('.')}." in f".{module}." for entry in self.plain)

    def _is_plain(self, slot: Slot, coord: Coord) -> bool:
        module = module_of(slot.name(coord))[0]
        if slot.kind == "expert":
            stack = module.partition(".experts.")[0] + ".experts"
            return self._has(stack) or any(stack in entry for entry in self.plain if "experts" in entry)
        head, _, last = module.rpartition(".")
        fuse = self.fuse.get(last)
        if fuse is None:
            if "experts" in module and self.rule.experts:
                return any(module in entry for entry in self.plain if "experts" in entry)
            return self._has(module)
        if f"{head}.{fuse.into}" in self.names:
            return True
        if fuse.into not in self.fused:
            return False
        parts = [self._has(f"{head}.{part}") for part in fuse.parts]
        if any(parts) and not all(parts):
            text = self.rule.text.replace("{module}", f"{head}.{fuse.into}")
            self.refused.append(Refused(coord[0], slot.pattern, Failure("ValueError", text)))
        return all(parts)
