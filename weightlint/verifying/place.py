"""Where a byte of a file is, in the words of the model: tensor, layer, expert, block."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from weightlint import dtype

if TYPE_CHECKING:
    from weightlint.probe import Span

# No number has more digits; Python refuses to read one of thousands.
_LAYER = re.compile(r"(?:^|\.)(?:layers?|blk|h|blocks?)\.(\d{1,18})(?:\.|$)")
_EXPERT = re.compile(r"(?:^|\.)(?:experts?|local_experts)\.(\d{1,18})(?:\.|$)")


def layer_of(name: str) -> int | None:
    """Return the layer that a name is of, None if it is of none."""
    found = _LAYER.search(name)
    return int(found[1]) if found else None


def expert_of(span: Span, offset: int) -> int | None:
    """Return the expert that a byte of a tensor belongs to, None if it is of none."""
    if span.slices > 1:
        return (offset - span.start) * span.slices // (span.stop - span.start)
    found = _EXPERT.search(span.name)
    return int(found[1]) if found else None


def owner(span: Span, offset: int) -> str:
    """Say which layer and expert a byte of a tensor belongs to: ` of expert 5 in layer 9`, or nothing."""
    layer, expert = layer_of(span.name), expert_of(span, offset)
    if expert is not None:
        return f" of expert {expert:,}" + (f" in layer {layer:,}" if layer is not None else "")
    return f" of layer {layer:,}" if layer is not None else ""


def spot(span: Span, offset: int) -> str:
    """Say which element or block of a tensor a byte belongs to."""
    at = (offset - span.start) // span.unit
    known = dtype.find(span.dtype or "")
    if known is None or known.block == 1:
        return f"element {at:,}"
    return f"{'row' if known.row else 'block'} {at:,}"
