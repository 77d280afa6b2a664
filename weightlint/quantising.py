"""From a scheme and plain expectations to those of the quantised model."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from weightlint.expected import Expected, Ignore, Layout, Slot
from weightlint.form import Dim, named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from weightlint.form import Form, Part
    from weightlint.names import Coord
    from weightlint.scheme import Scheme

_PLACEHOLDER = re.compile(r"\{\w+\}")


def quantised(expected: Expected, scheme: Scheme) -> Expected:
    """Put the tensors of its form in the place of every weight that a scheme quantises.

    What may be quantised or not stays plain, with the quantised tensors as a layout beside.
    """
    work = _Work(scheme, expected)
    slots = tuple(new for slot in expected.slots for new in work.place(slot))
    stacks = [
        replace(layout, slots=tuple(new for slot in layout.slots for new in work.place(slot)))
        for layout in expected.layouts
    ]
    layouts = (replace(it, dropped=it.dropped | work.renamed(it.dropped)) for it in stacks)
    idle = {f"*.{part.end}": part.why or "" for form in scheme.forms for part in form.parts if part.idle}
    ignores = (*(Ignore(pattern, why) for pattern, why in {**scheme.beside, **idle}.items()), *work.idle)
    return replace(
        expected,
        slots=slots,
        layouts=(*layouts, *work.choices),
        ignores=(*expected.ignores, *ignores),
    )


class _Work:
    """Rewrites slots one by one; `choices` gathers the weights that may be quantised or not."""

    def __init__(self, scheme: Scheme, expected: Expected) -> None:
        self.scheme = scheme
        self.choices: list[Layout] = []
        self.idle: list[Ignore] = []
        self._mtp = frozenset(expected.axes.get("mtp", ()))
        self._names: dict[str, set[str]] = defaultdict(set)

    def renamed(self, patterns: frozenset[str]) -> frozenset[str]:
        """Return the patterns that stand in the place of these."""
        return frozenset(new for old in patterns for new in self._names[old])

    def place(self, slot: Slot) -> Iterator[Slot]:
        """Yield what stands in the place of one slot."""
        scheme = self.scheme
        if (
            len(slot.shape) < 2
            or slot.kind not in scheme.kinds | scheme.free
            or not (slot.quant or scheme.all)
        ):
            yield slot
            return
        for form, share in scheme.shares(slot):
            if form is None or (len(slot.shape) > 2 and not form.stack):
                yield replace(share, quant=False)
            else:
                yield from self._formed(share, form)

    def _formed(self, slot: Slot, form: Form) -> Iterator[Slot]:
        for end in form.beside:
            name = _PLACEHOLDER.sub("*", named(slot.pattern, end))
            self.idle.append(Ignore(name, f"{form.name} writes it for modules that have none"))
        free = self._free(slot)
        loose, bound = (slot.where(free), slot.where(lambda coord: not free(coord))) if free else (None, slot)
        if bound is not None:
            made = list(parts(bound, form))
            self._names[slot.pattern].add(made[0].pattern)
            yield from made
        if loose is not None:
            yield replace(loose, quant=False)
            self.choices += (self._choice(loose, it) for it in dict.fromkeys((form, *self.scheme.ways)))

    def _choice(self, slot: Slot, form: Form) -> Layout:
        """Return the layout of a weight in a form; where there are several forms, only names of parts tell them apart."""
        made = tuple(parts(slot, form))
        names = (named(slot.pattern, part.end) for part in form.parts if _is_needed(part))
        marks = frozenset(name for name in names if name != slot.pattern)
        only = not self.scheme.ways
        return Layout(
            f"{form.name} {slot.pattern}", frozenset({slot.pattern}), made, marks=marks, by_type=only
        )

    def _free(self, slot: Slot) -> Callable[[Coord], bool] | None:
        if slot.kind in self.scheme.free:
            return lambda coord: True  # noqa: ARG005 -- wherever it is
        loose = self.scheme.loose.of(slot)
        if loose is not None:
            return loose
        if not self.scheme.mtp:
            return None
        if slot.is_draft:
            return lambda coord: True  # noqa: ARG005 -- all of it
        if slot.axes and self._mtp and any(self._mtp & {*box[0]} for box in slot.boxes):
            return lambda coord: coord[0] in self._mtp
        return None


def parts(slot: Slot, form: Form) -> Iterator[Slot]:
    """Yield the tensors of a weight in a form, its main one first."""
    *outer, out, into = _dims(slot)
    main = named(slot.pattern, form.main.end)
    for part in form.parts:
        if part.idle:
            continue
        own = part.sides(out, into)
        dims = (*outer, *own) if part.stacked else own
        is_main = part is form.main
        yield Slot(
            pattern=named(slot.pattern, part.end),
            boxes=slot.boxes,
            shape=tuple(dim.size for dim in dims),
            formula=tuple(dim.text for dim in dims) if slot.formula else (),
            dtypes=part.dtypes,
            kind=slot.kind if is_main else "scale",
            need=slot.need if _is_needed(part) else part.need,
            why=slot.why if _is_needed(part) else part.why,
            tie=slot.tie if is_main else None,
            cut=slot.cut,
            stage=slot.stage,
            quant=is_main,
            of=None if is_main else main,
            origin=slot.origin if is_main else f"quants/{form.name} of {slot.origin}",
            outer_ones=slot.outer_ones,
            ones=part.ones,
            opaque=part.opaque,
            plain=slot if is_main else None,
            form=form if is_main else None,
            sides=tuple(dim.side for dim in dims),
        )


def _is_needed(part: Part) -> bool:
    return part.need == "required"


def _dims(slot: Slot) -> tuple[Dim, ...]:
    texts = slot.formula or tuple(map(str, slot.shape))
    sides = (*(None for _ in slot.shape[2:]), 0, 1)
    dims = tuple(Dim(size, text, side) for size, text, side in zip(slot.shape, texts, sides, strict=True))
    if slot.transposed:
        *outer, into, out = dims
        return (*outer, out._replace(side=0), into._replace(side=1))
    return dims
