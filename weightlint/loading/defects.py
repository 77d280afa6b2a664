"""Which kind of defect a finding is for a loader: told by its code, then by the slots of its tensors."""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from typing import TYPE_CHECKING

from weightlint.expected import Presence
from weightlint.names import expand, fold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weightlint.case import Case
    from weightlint.expected import Slot
    from weightlint.finding import Finding
    from weightlint.names import Coord

PATTERNS, NAMES = 32, 512
"""Patterns of one finding that are looked at, and names of each."""
PROJECTIONS = 3
"""Matrices of one expert: gate, up, down."""
BIASES = ("e_score_correction_bias", "exp_probs_b.bias", "ffn.gate.bias", "router.expert_bias")
"""How the correction bias of a router ends, in the dialects that keep it."""
FIXED = {"WL102": "file_torn", "WL103": "file_missing", "WL405": "dtype", "WL203": "misnamed"}


def defect_of(finding: Finding, case: Case) -> str:
    """Return the kind of defect, empty where a loader has no part in it."""
    if finding.code in FIXED:
        return FIXED[finding.code]
    names = sample(finding)
    there = any(name in case.index.rows for name in names)
    slots = [slot for name in names if (slot := slot_of(case, name)) is not None]
    match finding.code:
        case "WL201" | "WL303" if names and not there:
            return _missing(names, slots)
        case "WL202" | "WL303" if there:
            return _extra(names)
        case "WL203" | "WL205" if not slots:
            return "misnamed"
        case "WL204":
            return "mtp_extra" if there else "mtp_missing"
        case "WL206":
            return "head_extra" if there else "head_missing"
        case "WL301" | "WL302":
            return "expert_shape" if any(slot.kind == "expert" for slot in slots) else "shape"
        case "WL402":
            return "scale_extra" if there else "scale_missing"
    return ""


def sample(finding: Finding) -> list[str]:
    """Return the first names of the first patterns of a finding."""
    patterns = finding.place.tensors[:PATTERNS]
    return [name for pattern in patterns for name in islice(expand(pattern), NAMES)]


def slot_of(case: Case, name: str) -> Slot | None:
    """Return the slot that a name is of, in the files' spelling."""
    if case.spelling is None:
        return None
    template, coord = fold(name)
    slots = case.joined.expected.by_template.get(template, ())
    return next((slot for slot in slots if _holds(slot, coord)), None)


def _holds(slot: Slot, coord: Coord) -> bool:
    boxes = (box for box in slot.boxes if len(box) == len(coord))
    return any(all(n in axis for n, axis in zip(coord, box, strict=True)) for box in boxes)


def _missing(names: Sequence[str], slots: Sequence[Slot]) -> str:
    if slots and all(slot.need is not Presence.REQUIRED for slot in slots):
        return ""
    kinds = {slot.kind for slot in slots if slot.kind != "scale"}
    if not kinds:
        return "scale_missing" if slots else "missing"
    if all(name.endswith(BIASES) for name in names):
        return "router_bias_missing"
    if kinds == {"expert"}:
        return _experts_missing(names, slots)
    if kinds == {"head"}:
        return "head_missing"
    return "layer_missing" if {"norm", "linear"} <= kinds else "missing"


def _experts_missing(names: Sequence[str], slots: Sequence[Slot]) -> str:
    """Tell a projection from an expert from all experts of a layer, by the first layer concerned."""
    parts: dict[Coord, set[str]] = defaultdict(set)
    for name in names:
        template, coord = fold(name)
        parts[coord].add(template)
    first = min(parts)
    if len(first) < len(("layer", "expert")) or len(parts[first]) < PROJECTIONS:
        return "projection_missing"
    gone = sum(coord[0] == first[0] for coord in parts)
    total = sum(coord[0] == first[0] for coord in slots[0].coords())
    return "experts_missing" if gone == total else "expert_missing"


def _extra(names: Sequence[str]) -> str:
    if all("_scale" in name or name.endswith((".scale", ".scales")) for name in names):
        return "scale_extra"
    return "expert_extra" if all(".experts." in name for name in names) else "extra"
