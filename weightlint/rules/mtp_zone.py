"""The layers for multi-token prediction do not agree with the config.

Checks: layer numbers in names against num_hidden_layers and the announced MTP layers: decoder, MTP, beyond both.
Matters: a loader skips MTP layers by number; one that is not announced ends in a KeyError (vLLM #16450 is its kin).
Example: the config announces no MTP layer and model.layers.61.eh_proj.weight is there.
Cure: set num_nextn_predict_layers to the number of MTP layers that the files hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.draft_layers import remarks
from weightlint.expected import Presence
from weightlint.finding import Level, Place, counted
from weightlint.keys import Keys
from weightlint.mtp_layers import (
    announced_layers,
    at,
    beyond,
    heads_of,
    is_draft_only,
    is_passed_over,
    is_present,
    last_layer,
)
from weightlint.names import fold, span
from weightlint.rule import Need, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.case import Case
    from weightlint.expected import Slot
    from weightlint.finding import Finding
    from weightlint.names import Coord, Template


MARKS = ("enorm", "hnorm", "eh_proj", "shared_head")
"""Modules that only MTP layers have; source: vLLM, model_executor/models/deepseek_mtp.py."""


def check(case: Case) -> Iterator[Finding]:
    """Look at the layers that the config announces, then at those behind it."""
    if is_draft_only(case):
        yield _draft_only(case)
    yield from _announced(case)
    yield from (RULE.finding(**remark) for remark in remarks(case))
    zones = beyond(case)
    marked = {n: rows for n, rows in zones.items() if any(_is_mark(case.index.names[row]) for row in rows)}
    other = {n: rows for n, rows in zones.items() if n not in marked}
    yield from _strangers(case)
    if marked:
        yield _stray(case, marked, is_mtp=True)
    if other:
        yield _stray(case, other, is_mtp=False)


def _is_mark(name: str) -> bool:
    return any(mark in name.split(".") for mark in MARKS)


def _announced(case: Case) -> Iterator[Finding]:
    """Say when announced layers are wholly absent, or stand under another prefix."""
    heads = heads_of(case)
    for number in sorted(announced_layers(case)):
        wanted = {slot: at(slot, coords, number, heads) for slot, coords in case.ledger.missing.items()}
        wanted = {slot: coords for slot, coords in wanted.items() if coords}
        if wanted and is_passed_over(case, number, wanted):
            yield _left_out(case, number, wanted)
            continue
        if not wanted or is_present(case, number):
            continue
        other = _elsewhere(case, wanted)
        for slot, coords in wanted.items():
            case.ledger.take_missing(slot, coords)
        patterns = [
            pattern
            for slot, coords in wanted.items()
            if slot.need is Presence.REQUIRED
            for pattern in slot.patterns(coords)
        ]
        count = sum(len(coords) for slot, coords in wanted.items() if slot.need is Presence.REQUIRED)
        if other and count:
            yield _prefix(case, number, other, patterns, count)
        elif count:
            yield _absent(case, number, patterns, count)


def _strangers(case: Case) -> Iterator[Finding]:
    """Report tensors of an MTP layer that is complete, of which the schema knows nothing (vLLM #52111)."""
    lacking = {coord[0] for coords in case.ledger.missing.values() for coord in coords if coord}
    whole = announced_layers(case) - lacking
    heads = tuple(f"{head}*." for head in heads_of(case))
    rows: list[int] = []
    for template in [template for template in case.ledger.extra if template.startswith(heads)]:
        coords = [coord for coord in case.ledger.extra[template] if coord[0] in whole]
        rows += case.ledger.take_extra(template, coords).values()
    if rows:
        yield RULE.finding(
            f"MTP layer {span({fold(case.index.names[row])[1][0] for row in rows})} holds "
            f"{counted(len(rows), 'tensor')} that {case.arch} does not have: the model itself loads, its draft stops with "
            "a KeyError or drafts without them",
            level=Level.WARNING,
            place=case.place(rows),
            count=len(rows),
            expected=f"the tensors of an MTP layer of {case.arch}",
            found=case.index.names[min(rows)],
            cure="use a release that knows this revision of the MTP layer, or run without speculative decoding",
        )


def _draft_only(case: Case) -> Finding:
    decoder = [slot for slot in case.ledger.missing if slot.axes]
    lost = {
        slot: [coord for coord in case.ledger.missing[slot] if coord[0] not in announced_layers(case)]
        for slot in decoder
    }
    count = sum(len(case.ledger.take_missing(slot, coords)) for slot, coords in lost.items())
    return RULE.finding(
        "the file holds draft layers only: llama.cpp loads it as the draft of another model, and dies where it is "
        "to answer alone",
        level=Level.INFO,
        place=Place(files=(case.checkpoint.config_path,)),
        count=count,
        expected=f"{count:,} tensors of the decoder",
        found="none",
        cure="nothing, if it is used beside the model that it belongs to",
    )


def _left_out(case: Case, number: int, wanted: dict[Slot, set[Coord]]) -> Finding:
    assert case.schema is not None
    patterns = [
        pattern
        for slot, coords in wanted.items()
        if slot.need is Presence.REQUIRED
        for pattern in slot.patterns(coords)
    ]
    for slot, coords in wanted.items():
        case.ledger.take_missing(slot, coords)
    return RULE.finding(
        f"draft layer {number} lacks {case.schema.probe}, and without it llama.cpp leaves the layer out: generation "
        "works, speculative decoding with it does not",
        level=Level.INFO,
        place=Place(tensors=tuple(patterns), files=(case.checkpoint.config_path,)),
        count=len(patterns),
        expected=f"{counted(len(patterns), 'tensor')} more",
        found="none",
        cure=case.wording.refetch,
    )


def _absent(case: Case, number: int, patterns: list[str], count: int) -> Finding:
    return RULE.finding(
        f"{_announcer(case)} announces MTP layer {number}, the checkpoint does not hold it: generation works, "
        "speculative decoding with it does not",
        level=Level.INFO,
        place=Place(tensors=tuple(patterns), files=(case.checkpoint.config_path,)),
        count=count,
        expected=f"{count:,} tensors of layer {number}",
        found="none",
        cure="nothing, unless speculative decoding is planned: then download the original with its MTP "
        f"layers, or set {_field(case)} to {sum(is_present(case, it) for it in announced_layers(case))}",
    )


def _announcer(case: Case) -> str:
    return "the file" if isinstance(case.config, Keys) else "the config"


def _field(case: Case) -> str:
    """Return the field that announces MTP layers, as the user's file writes it."""
    keys = case.config if isinstance(case.config, Keys) else None
    return keys.spelled("nextn_predict_layers") if keys else "num_nextn_predict_layers"


def _elsewhere(case: Case, wanted: dict[Slot, set[Coord]]) -> list[Template]:
    """Return extra families whose ends are those of the absent layer: it has another prefix."""
    tails = {slot.template.split("*.", 1)[1] for slot in wanted if "*." in slot.template}
    return [
        template for template in case.ledger.extra if any(template.endswith("." + tail) for tail in tails)
    ]


def _prefix(case: Case, number: int, other: list[Template], patterns: list[str], count: int) -> Finding:
    rows = [row for template in other for row in case.ledger.take_extra(template).values()]
    sample = case.index.names[min(rows)]
    return RULE.finding(
        f"MTP layer {number} is stored under another prefix: {len(rows):,} tensors like {sample}",
        place=Place(tensors=tuple(patterns), files=(case.index.file(min(rows)),)),
        count=count,
        expected=f"names that begin with {patterns[0].rsplit(str(number), 1)[0]}{number}."
        if patterns
        else None,
        found=sample,
        cure="rename the MTP tensors to the layer number after the last decoder layer",
    )


def _stray(case: Case, zones: dict[int, list[int]], *, is_mtp: bool) -> Finding:
    rows = sorted(row for group in zones.values() for row in group)
    names = [case.index.names[row] for row in rows]
    for template, coord in map(fold, names):
        case.ledger.take_extra(template, [coord])
    last, announced = last_layer(case), len(announced_layers(case))
    config = case.checkpoint.config_path
    ending = (
        "loaders that skip MTP layers by number take it for a decoder layer"
        if is_mtp
        else "loaders find no place for it"
    )
    cure = f"set {_field(case)} to {announced + len(zones)} in {config}"
    return RULE.finding(
        f"{'MTP layer' if is_mtp else 'layer'} {span(zones)} is stored, but {_announcer(case)} ends at layer {last}: {ending}",
        level=Level.WARNING if is_mtp else None,
        place=case.place(rows),
        count=len(rows),
        expected=f"decoder layers 0..{last - announced} and {counted(announced, 'MTP layer')}",
        found=f"{counted(len(rows), 'tensor')} of layer {span(zones)}",
        cure=cure if is_mtp else f"correct the number of layers in {config}, or remove these tensors",
    )


RULE = Rule(
    code="WL204",
    name="mtp-zone",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    needs=frozenset({Need.TABLE, Need.EXPECTED}),
    turn=22,
)
