"""Which quantisation the tensors themselves tell of, whatever the config says.

Weights are looked at by sample: a scheme is recognised if the tensors of a weight have all the names, shapes and dtypes that it gives.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from weightlint.config import BadFieldError
from weightlint.expected import Presence
from weightlint.form import named
from weightlint.join import fits
from weightlint.quantising import parts
from weightlint.scheme import KINDS, Scheme

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from weightlint.expected import Box, Expected, Slot
    from weightlint.form import Form
    from weightlint.index import Index
    from weightlint.quant import Quant, Table

PER_FAMILY = 3
"""Weights of each family that are looked at."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """A quantisation that tensors tell of: `table` is what a config would say, `scheme` that table read.

    `form` is that of most weights, `weights` the plain slots that it was seen in.
    """

    quant: Quant
    table: Table
    scheme: Scheme
    form: Form
    weights: tuple[Slot, ...]


def recognise(
    index: Index,
    plain: Expected,
    quants: Mapping[str, Quant],
    declared: tuple[Quant, Table] | None,
    scheme: Scheme | None,
) -> Recognised | None:
    """Return the quantisation of the tensors where it is another than what is declared, None where that fits.

    `scheme` is what the declared table gives.
    """
    if _is_all_plain(index, plain):
        return None
    sample = [share for slot in _weights(plain) for share in _sampled(slot)]
    other = [slot for slot in sample if not _is_plain(index, slot)]
    scheme = scheme or _NOTHING
    right = len(_right(index, other, scheme))
    if 2 * right >= len(other):
        return None
    ends = {part.end for quant in quants.values() for form in _forms(quant) for part in form.parts}
    odd = [slot for slot in other if _is_touched(index, slot, ends)]
    if 2 * right >= len(odd):
        return None
    best = max(_guesses(index, odd, quants, declared), key=lambda it: _worth(index, it), default=None)
    if best is None or 2 * len(best.weights) < len(odd) or _lossy(index, best, scheme):
        return None
    return best


def _is_all_plain(index: Index, plain: Expected) -> bool:
    """Tell whether every weight looked at is plain, as itself or in another layout: no scheme need be loaded then."""
    odd = {slot.pattern for slot in plain.slots if _is_weight(slot) and not _are_plain(index, slot)}
    for layout in plain.layouts:
        if odd & layout.dropped and all(_are_plain(index, slot) for slot in layout.slots if _is_weight(slot)):
            odd -= layout.dropped
    return not odd


def _are_plain(index: Index, slot: Slot) -> bool:
    return all(_is_plain(index, share) for share in _sampled(slot))


def _worth(index: Index, it: Recognised) -> tuple[int, int]:
    """Return the weights that a guess is right about, then the tensors that it explains."""
    return len(it.weights), sum(_explained(index, slot, it.scheme, whole=False) for slot in it.weights)


def _lossy(index: Index, best: Recognised, scheme: Scheme) -> bool:
    """Tell whether the declared scheme explains as many tensors as the best guess, only that it has lost some."""
    declared = sum(_explained(index, slot, scheme, whole=False) for slot in best.weights)
    return declared >= _worth(index, best)[1]


def _explained(index: Index, slot: Slot, scheme: Scheme, *, whole: bool = True) -> int:
    """Return the number of tensors in which one weight is there as a scheme has it."""
    return sum(
        max(found(index, share, way, whole=whole) for way in (form, *scheme.ways))
        for form, share in scheme.shares(slot)
        if form is not None
    )


_NOTHING = Scheme(default=None)


def settled(index: Index, plain: Expected, scheme: Scheme) -> Scheme:
    """Return the scheme or the one of its kind that fits most weights."""
    if not scheme.alike:
        return scheme
    sample = [share for slot in _weights(plain) for share in _sampled(slot)]
    return max((scheme, *scheme.alike), key=lambda it: len(_right(index, sample, it)))


def _right(index: Index, odd: Sequence[Slot], scheme: Scheme) -> list[Slot]:
    return [slot for slot in odd if _explained(index, slot, scheme)]


def found(index: Index, slot: Slot, form: Form, *, whole: bool = True) -> int:
    """Return the number of tensors in which the one weight of a slot is there in a form, 0 if it is not.

    With `whole` all parts that must be are there; else some may be lost, but not all of them.
    """
    rows = 0
    for part in parts(slot, form):
        row = index.rows.get(part.name(next(part.coords())))
        if row is None and part.need is Presence.REQUIRED and (whole or part.form is not None):
            return 0
        if row is not None and not fits(part, index.kind(row)):
            return 0
        rows += row is not None
    return rows if rows > 1 or len(form.parts) == 1 else 0


def _guesses(
    index: Index, odd: Sequence[Slot], quants: Mapping[str, Quant], declared: tuple[Quant, Table] | None
) -> Iterator[Recognised]:
    first = declared[0] if declared else None
    for quant in sorted(quants.values(), key=lambda quant: quant is not first):
        if quant.borrows and quant is not first:
            continue
        there = [slot for slot in odd if any(_has(index, slot, form) for form in _forms(quant))]
        for guess in quant.guesses if there else ():
            own = declared is not None and quant is first
            table = {**declared[1], **guess} if own and declared else guess
            try:
                scheme = quant.read(table)
            except BadFieldError:
                continue
            held = tuple(slot for slot in there if _explained(index, slot, scheme))
            if held and scheme.default is not None:
                yield Recognised(quant, table, scheme if own else _free(scheme), scheme.default, held)


def _free(scheme: Scheme) -> Scheme:
    """Return a scheme under which every weight may be quantised or not: nobody said which are."""
    every = KINDS | scheme.kinds | scheme.free | {"head", "embedding", "router"}
    groups = tuple((modules, form) for modules, form in scheme.groups if form is not None)
    return replace(scheme, kinds=frozenset(), free=every, groups=groups)


def _has(index: Index, slot: Slot, form: Form) -> bool:
    names = (part.name(next(part.coords())) for part in parts(slot, form))
    read = (part for part in form.parts if not part.idle)
    return all(name in index.rows for name, part in zip(names, read, strict=True) if part.need == "required")


def _is_touched(index: Index, slot: Slot, ends: Iterable[str]) -> bool:
    """Tell whether a weight that is not plain is there in any way at all."""
    stem = slot.name(next(slot.coords()))
    return any(named(stem, end) in index.rows for end in ends)


def _forms(quant: Quant) -> Iterable[Form]:
    """Return the forms that tables may ask for, one of those with the same names of parts."""
    forms = (form for guess in quant.guesses for form in quant.read(guess).forms)
    return {tuple((part.end, part.need) for part in form.parts): form for form in forms}.values()


def _weights(plain: Expected) -> Iterator[Slot]:
    every = (*plain.slots, *(slot for layout in plain.layouts for slot in layout.slots))
    return filter(_is_weight, every)


def _is_weight(slot: Slot) -> bool:
    return slot.quant and slot.kind in KINDS and len(slot.shape) > 1


def _sampled(slot: Slot) -> Iterator[Slot]:
    """Return some weights of a family, each as a slot of its own: from first to last, without listing the others."""
    singles = dict.fromkeys(_single(slot, part) for part in range(PER_FAMILY))
    return (replace(slot, boxes=(single,)) for single in singles)


def _single(slot: Slot, part: int) -> Box:
    box = slot.boxes[_nearest(len(slot.boxes), part)]
    return tuple((axis[_nearest(len(axis), part)],) for axis in box)


def _nearest(count: int, part: int) -> int:
    """Return the place of one of `PER_FAMILY` parts in a list, the first and the last among them."""
    return part * (count - 1) // (PER_FAMILY - 1)


def _is_plain(index: Index, slot: Slot) -> bool:
    row = index.rows.get(slot.name(next(slot.coords())))
    return row is not None and fits(slot, index.kind(row))
