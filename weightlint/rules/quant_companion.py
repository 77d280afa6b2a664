"""A quantised weight lacks its scale, or a scale has no weight to go with.

Checks: every companion that the quant appends to a weight: present for each quantised weight, absent elsewhere.
Matters: SGLang and quantised vLLM leave a missing scale at its initial value and serve garbage with green health.
Example: o_proj.weight of layer 2 is F8_E4M3 and no o_proj.weight_scale_inv is in any shard.
Cure: download the shard that holds the scale; if it was lost in a conversion, convert again from the original.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from weightlint.dtype import FP8
from weightlint.expected import Presence
from weightlint.finding import Level, Place
from weightlint.packing import states
from weightlint.rule import Need, Rule
from weightlint.scale_names import weight_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.expected import Slot
    from weightlint.finding import Finding
    from weightlint.names import Coord


def check(case: Case) -> Iterator[Finding]:
    """Look for weights without scale, then for scales without weight."""
    yield from _without_scale(case)
    yield from _bare(case)
    yield from _orphans(case)


def _without_scale(case: Case) -> Iterator[Finding]:
    """Report expected scales that are missing although their weight is there."""
    slots = case.joined.expected.slots
    # a name may be plain in some layers and of several forms in others
    weights = {slot.pattern: slot for slot in sorted(slots, key=lambda slot: slot.form is not None)}
    missing: dict[str, set[Coord]] = defaultdict(set)
    for slot in case.ledger.missing:
        missing[slot.pattern] |= case.ledger.missing[slot]
    hits: dict[Slot, set[Coord]] = {}
    for scale in [slot for slot in case.ledger.missing if slot.of and slot.need is Presence.REQUIRED]:
        taken = case.ledger.take_missing(scale, case.ledger.missing[scale] - missing[scale.of or ""])
        if taken:
            hits[scale] = taken
    if not hits:
        return
    count = sum(map(len, hits.values()))
    scale, coords = next(iter(hits.items()))
    form = weights[scale.of or ""].form
    what = _called(hits)
    bare = len({(slot.of, coord) for slot, coords in hits.items() for coord in coords})
    yield RULE.finding(
        f"{bare:,} {form.name if form else 'quantised'} weights have no {what}"
        if bare > 1
        else f"{weights[scale.of or ''].name(min(coords))} has no {what}",
        place=Place(
            tensors=tuple(pattern for slot, coords in hits.items() for pattern in slot.patterns(coords)),
            files=case.sibling_files(scale, coords),
        ),
        count=count,
        expected=f"{scale.patterns(coords)[0]} {list(scale.shape)}",
        found="no such tensor",
        cure=_UNMEASURED if all(map(_is_of_inputs, hits)) else _LOST,
    )


_LOST = (
    "download the shard that holds the scales again; if a conversion lost them, convert again: "
    "without scales the weights mean nothing"
)
_UNMEASURED = (
    "download the shard that holds the scales again; if the quantiser wrote none, quantise again with data that reaches every "
    "expert, or without scales of inputs: vLLM divides by a scale that was never set, and some prompts become NaN"
)


def _is_of_inputs(scale: Slot) -> bool:
    """Tell whether a scale is that of a weight's inputs, which is measured while data run through the model."""
    return scale.pattern.endswith(("input_scale", "input_global_scale", "activation_scale"))


def _called(hits: dict[Slot, set[Coord]]) -> str:
    """Name the parts that are missing; a scale is called so."""
    if all(map(_is_of_inputs, hits)):
        return "scale for their inputs" if sum(map(len, hits.values())) > 1 else "scale for its inputs"
    ends = {
        re.split(r"[._](?=[^._]*$)", slot.pattern)[-1] if "scale" not in slot.pattern else "scale"
        for slot in hits
    }
    return " and no ".join(sorted(ends))


def _bare(case: Case) -> Iterator[Finding]:
    """Report FP8 weights where nothing is declared and no scale is there."""
    rows: list[int] = []
    for slot in list(case.ledger.misfits):
        for kind in list(case.ledger.misfits[slot]):
            if (
                kind.dtype in FP8
                and kind.shape == slot.shape
                and slot.kind != "scale"
                and not slot.dtypes & FP8
            ):
                rows += case.ledger.take_misfits(slot, kind)
    if not rows:
        return

    names = [case.index.names[row] for row in rows]
    dtype = case.index.kind(rows[0]).dtype
    yield RULE.finding(
        f"{names[0] if len(rows) == 1 else f'{len(rows):,} weights'} {'is' if len(rows) == 1 else 'are'} {dtype} without "
        f"a scale, and {case.checkpoint.config_path} declares no quantisation of it",
        place=case.place(rows),
        count=len(rows),
        expected="BF16, F16 or F32; or a tensor with the name + _scale_inv and a quantization_config",
        found=f"{dtype} alone",
        cure="take the plain weight of the original, or its quantised export with scales and config",
    )


def _orphans(case: Case) -> Iterator[Finding]:
    """Report scales beside weights that are not quantised."""
    rows: list[int] = []
    left = {template for families in states(case).values() for template, _ in families}
    for template in [t for t in case.ledger.extra if weight_names(t) and t not in left]:
        found = case.ledger.extra[template].items()
        coords = [coord for coord, row in found if _weight(case, row) is not None]
        rows += case.ledger.take_extra(template, coords).values()
    if not rows:
        return

    names = [case.index.names[row] for row in rows]
    weight = _weight(case, rows[0])
    dtype = case.index.kind(weight).dtype if weight is not None else None
    yield RULE.finding(
        f"{names[0] if len(rows) == 1 else f'{len(rows):,} scales'} {'stands' if len(rows) == 1 else 'stand'} beside weights that are not quantised",
        level=Level.WARNING,
        place=case.place(rows),
        count=len(rows),
        expected="no scale",
        found=f"a scale, and {dtype or 'its weight'}",
        cure="remove the scales if the weights were converted back; else restore the quantised weights",
    )


def _weight(case: Case, row: int) -> int | None:
    """Return the row of a scale's weight, if there is one."""
    rows = case.index.rows
    return next((rows[name] for name in weight_names(case.index.names[row]) if name in rows), None)


RULE = Rule(
    code="WL402",
    name="quant-companion",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    needs=frozenset({Need.TABLE, Need.EXPECTED}),
    turn=32,
)
