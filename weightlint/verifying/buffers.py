"""Tensors that are stored with a model and that no training has made: masks, tables of positions, indices.

They hold infinities and zeros that are meant and are the same in every layer: `attn.bias` of GPT-2 is a causal mask,
old Llama files have `cos_cached`, Swin has a `relative_position_index` in every block.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weightlint.probe import Span

_BUFFER = re.compile(
    r"(bias|mask|_cached|inv_freq|freqs_cis|position_ids?|_index|_table|g_idx|\.(cos|sin)|num_batches_tracked)$",
    re.IGNORECASE,
)


def is_mask(name: str) -> bool:
    """Tell whether a tensor is a mask: minus infinity, or the least number there is, is what it is made of."""
    return "mask" in name.rpartition(".")[2]


def is_buffer(span: Span) -> bool:
    """Tell whether a tensor is none of weights; no scheme packs weights into booleans or 64-bit whole numbers."""
    return span.dtype in {"BOOL", "I64", "U64"} or is_mask(span.name) or bool(_BUFFER.search(span.name))
