"""What stands behind a GGUF table and behind its data, where it should not be.

Bytes behind the last tensor are no fault by themselves: llama.cpp never reads them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.finding import counted, printable
from weightlint.ggml import GGML
from weightlint.gguf.cursor import BadGgufError
from weightlint.gguf.layout import padded
from weightlint.gguf.parsed import MAGIC, malformed
from weightlint.index import Fault, FaultKind, Kind

if TYPE_CHECKING:
    from weightlint.gguf.parsed import Parsed

_PADDING = ("", Kind("F32", (1,)), 0)
"""What zeros read as an entry of the table give."""

_LEAST = 24
"""Bytes of such an entry."""


def miscounted(parsed: Parsed) -> Fault | None:
    """Tell of an entry behind the table, or of padding read as entries: then the count is wrong."""
    table, path = parsed.tensors, parsed.path
    empty = sum(1 for row in zip(table.names, table.kinds, table.offsets, strict=True) if row == _PADDING)
    if empty:
        real = len(table.names) - empty
        return malformed(
            path,
            f"{path} counts {counted(len(table.names), 'tensor')}, its table has {real:,}: zeros follow from byte "
            f"{parsed.stop - _LEAST * empty:,} on",
        )
    due = sum(padded(size or 0, parsed.alignment or 1) for size in table.sizes)
    try:
        raw, words = table.entry()
    except BadGgufError:
        return None
    name = raw.decode(errors="replace")
    if not raw or not name.isprintable() or len(words) > 6 or words[-2] not in GGML or words[-1] != due:
        return None
    return malformed(
        path,
        f"{path} counts {counted(len(table.names), 'tensor')}, but an entry for one more stands at byte "
        f"{parsed.stop:,}: {printable(name, limit=80)}",
        [name],
    )


def joined(parsed: Parsed) -> Fault | None:
    """Tell of a further file behind the data of a part, as `cat` joins them.

    A file that is no part may be followed by anything: llama.cpp never reads it.
    """
    count = parsed.values.get("split.count")
    if count is None or count.value == 1:
        return None
    layout, blob = parsed.layout(), parsed.tensors.cursor.blob
    stops = (parsed.data + offset + size for offset, size in zip(layout.offsets, layout.sizes, strict=True))
    end = max(stops, default=parsed.stop)
    behind = padded(end, layout.alignment)
    if MAGIC not in (blob.read(end, end + 4), blob.read(behind, behind + 4)):
        return None
    return Fault(
        kind=FaultKind.SPLIT,
        file=parsed.path,
        message=f"{parsed.path} is a part of {count.value}, and behind its last tensor a further GGUF file begins: "
        "parts were joined with cat, llama.cpp would read the first one only",
        cure="take the parts as they were, each under its own name, or join them with llama-gguf-split --merge",
    )
