"""A tensor that the architecture requires is in no file.

Checks: every tensor that schema and config ask for, by its full name.
Matters: loaders start it from random numbers and warn once, or stop with a KeyError after minutes.
Example: model.layers.2.mlp.experts.3.down_proj.weight is in no shard.
Cure: download the shard that should hold it again; if it was never saved, export the checkpoint again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.expected import Presence
from weightlint.finding import Level, Place
from weightlint.keys import Keys
from weightlint.rule import Need, Rule

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from weightlint.case import Case
    from weightlint.expected import Slot
    from weightlint.finding import Finding
    from weightlint.names import Coord


MAX_TYPES = 6
"""Element types that are listed one by one."""

Group = dict["Slot", "set[Coord]"]


def check(case: Case) -> Iterator[Finding]:
    """Report whole layers first, then what lacks the same numbers together."""
    if not len(case.index) and isinstance(case.config, Keys):
        yield _none(case)
        return
    layers = _whole_layers(case, case.ledger.missing)
    tail = _tail(case, layers)
    if tail:
        yield _cut_off(case, layers[0] - 1, tail)
        layers = []
    yield from _optional(case)
    if layers:
        yield _layers(case, layers)
    groups: dict[frozenset[Coord], Group] = {}
    for slot in list(case.ledger.missing):
        coords = case.ledger.take_missing(slot)
        groups.setdefault(frozenset(coords), {})[slot] = coords
    for group in groups.values():
        yield _finding(case, group)


def _none(case: Case) -> Finding:
    """Report a GGUF file of keys alone, as llama.cpp keeps its vocabularies (llama.cpp #3917)."""
    path = case.checkpoint.config_path
    case.ledger.missing.clear()
    return RULE.finding(
        f"{path} holds no tensor, only keys: a vocabulary without a model",
        place=Place(files=(path,)),
        unit="file",
        expected=f"{case.joined.expected.count:,} tensors of {case.arch}",
        found="none",
        cure="take the file of the model itself; files like models/ggml-vocab-*.gguf are for tests of the tokenizer",
    )


def _tail(case: Case, layers: list[int]) -> Group:
    """Return what is missing from some layer on to the end of the model, where the last layers and more are."""
    axis = case.joined.expected.axes.get("layer", ())
    lost = [slot for slot in case.ledger.missing if slot.need is Presence.REQUIRED]
    if not layers or layers != list(axis)[-len(layers) :] or layers[0] == axis[0]:
        return {}
    if all(slot.axes for slot in lost):
        return {}
    reach = {slot: {c for c in case.ledger.missing[slot] if not c or c[0] >= layers[0] - 1} for slot in lost}
    return {slot: coords for slot, coords in reach.items() if coords}


def _cut_off(case: Case, layer: int, tail: Group) -> Finding:
    """Report a model that stops, as a part of a split does that was taken for the whole (mesh-llm #177)."""
    partly = {slot for slot in case.ledger.missing if slot.need is not Presence.REQUIRED}
    for slot in (*tail, *partly):
        case.ledger.take_missing(slot, [c for c in case.ledger.missing[slot] if not c or c[0] >= layer])
    count = sum(map(len, tail.values()))
    total = case.joined.expected.count
    return RULE.finding(
        f"the model ends in layer {layer}: {count:,} tensors from there to the end are in no file",
        place=Place(tensors=_patterns(tail), files=tuple(file.path for file in case.index.files)[-1:]),
        count=count,
        expected=f"{total:,} tensors",
        found=f"{total - case.joined.unmet:,}",
        cure="take every part of the model: a tool that read the first one alone writes such a file",
    )


def _optional(case: Case) -> Iterator[Finding]:
    """Report optional tensors that only some layers lack, or that every published model has."""
    groups: dict[tuple[Level, bool, frozenset[Coord]], Group] = {}
    gone = {*_whole_layers(case, case.joined.missing)}
    for slot in [slot for slot in case.ledger.missing if slot.need is not Presence.REQUIRED]:
        coords = {coord for coord in case.ledger.take_missing(slot) if not gone & {*coord[:1]}}
        part = slot in case.joined.matched
        if coords and slot.absent is not None and (part or slot.absent != "part"):
            level = Level.ERROR if part else Level[slot.absent.upper()]
            groups.setdefault((level, part, frozenset(coords)), {})[slot] = coords
    for (level, part, _), group in groups.items():
        yield _silent(case, group, level, part=part)


def _silent(case: Case, group: Group, level: Level, *, part: bool) -> Finding:
    count = sum(map(len, group.values()))
    slot = next(iter(group))
    patterns = _patterns(group)
    subject = f"{patterns[0]} is" if count == 1 else f"{count:,} tensors are"
    there = len(case.joined.matched.get(slot, ()))
    others = f"{there:,} {'layer has' if there == 1 else 'layers have'} it" if part else slot.why or ""
    others = others.removesuffix("it") + "them" if count > 1 and others.endswith(" it") else others
    return RULE.finding(
        f"{subject} absent, and {others}: llama.cpp asks for none and answers differently without a word",
        level=level,
        place=Place(tensors=patterns, files=case.sibling_files(slot, group[slot])),
        count=count,
        expected=_wanted(case, slot),
        found="no such tensor",
        cure=case.wording.refetch,
    )


def _wanted(case: Case, slot: Slot) -> str:
    words = case.wording
    formula = f" = {words.dims(slot.formula)}" if slot.formula else ""
    dtypes = sorted(slot.dtypes)
    types = " or ".join(dtypes) if len(dtypes) <= MAX_TYPES else "a float or a quantisation"
    return f"{types} {words.dims(slot.shape)}{formula}{words.order}"


def _whole_layers(case: Case, lost: Mapping[Slot, Collection[Coord]]) -> list[int]:
    """Return the layers of which nothing was found; a dialect may count MTP layers from 0, so not those."""
    layers = case.joined.expected.axes.get("layer", ())
    wanted: dict[int, int] = dict.fromkeys(layers, 0)
    for slot in case.joined.expected.slots:
        if slot.need is Presence.REQUIRED and _is_layered(slot):
            for box in slot.boxes:
                for number in box[0]:
                    wanted[number] = wanted.get(number, 0) + _width(box)
    missing: dict[int, int] = {}
    for slot, coords in lost.items():
        if slot.need is Presence.REQUIRED and _is_layered(slot):
            for coord in coords:
                missing[coord[0]] = missing.get(coord[0], 0) + 1
    return [number for number in layers if wanted.get(number) and missing.get(number) == wanted[number]]


def _is_layered(slot: Slot) -> bool:
    return slot.is_layered and slot.axes[0] != "mtp" and slot.kind != "scale"


def _width(box: tuple[tuple[int, ...], ...]) -> int:
    width = 1
    for axis in box[1:]:
        width *= len(axis)
    return width


def _layers(case: Case, layers: list[int]) -> Finding:
    from weightlint.names import span

    chosen = set(layers)
    group: Group = {}
    for slot in [slot for slot in case.ledger.missing if slot.is_layered and slot.axes[0] != "mtp"]:
        coords = case.ledger.take_missing(slot, [c for c in case.ledger.missing[slot] if c[0] in chosen])
        if coords:
            group[slot] = coords
    count = sum(map(len, group.values()))
    total = len(case.joined.expected.axes["layer"])
    return RULE.finding(
        f"{len(layers):,} of {total:,} layers {'is' if len(layers) == 1 else 'are'} absent as a whole: layer {span(layers)}",
        place=Place(tensors=_patterns(group)),
        count=count,
        expected=f"{count:,} tensors",
        found="none",
        cure="download the shards that hold these layers; a pipeline slice is checked with its own config",
    )


def _patterns(group: Group) -> tuple[str, ...]:
    return tuple(pattern for slot, coords in group.items() for pattern in slot.patterns(coords))


def _finding(case: Case, group: Group) -> Finding:
    count = sum(map(len, group.values()))
    slot, coords = next(iter(group.items()))
    patterns = _patterns(group)
    files = case.sibling_files(slot, coords)
    where = (
        f"; the rest of its layer is in {files[0]}"
        if len(files) == 1 and coords and next(iter(coords))
        else ""
    )
    return RULE.finding(
        f"{patterns[0]} is in no file{where}"
        if count == 1
        else f"{count:,} tensors are in no file{where}{_siblings(case, group)}",
        place=Place(tensors=patterns, files=files),
        count=count,
        expected=_wanted(case, slot),
        found="no such tensor",
        cure=case.wording.refetch,
    )


def _siblings(case: Case, group: Group) -> str:
    """Name the slots beside a wholly missing one that are complete."""
    slot, *others = group
    if any(other.of != slot.pattern for other in others) or len(group[slot]) != slot.count:
        return ""
    head = slot.pattern.rsplit(".", 2)[0]
    complete = [
        other.pattern.rsplit(".", 2)[-2]
        for other, rows in case.joined.matched.items()
        if other.pattern.startswith(head + ".")
        and other.axes == slot.axes
        and len(rows) == other.count
        and other.kind == slot.kind
    ]
    return f"; {' and '.join(complete)} are complete" if complete else ""


RULE = Rule(
    code="WL201",
    name="missing-tensor",
    level=Level.ERROR,
    page=__doc__ or "",
    check=check,
    needs=frozenset({Need.EXPECTED}),
    turn=60,
)
