"""The places of a GGUF file's tensors: one after the other in the order of the table, each padded.

llama.cpp (ggml/src/gguf.cpp) takes no other: an offset must be the sum of the padded sizes before it.
Works on columns; knows nothing of how they were read.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from weightlint.finding import counted, printable
from weightlint.ggml import BY_NAME, IK_ONLY
from weightlint.gguf.cursor import REWRITE
from weightlint.index import Fault, FaultKind
from weightlint.layout import cut_short
from weightlint.names import patterns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weightlint.index import Kind

ALIGNMENTS = tuple(1 << bit for bit in range(13))
"""Alignments in bytes that a writer may have used without saying so: up to a page."""


@dataclass(frozen=True, slots=True)
class GgufLayout:
    """Columns of a table of which each entry is sound by itself.

    `offsets` and `sizes` are bytes, counted from byte `data` of the file, which has `size` bytes.
    """

    path: str
    names: Sequence[str]
    kinds: Sequence[Kind]
    offsets: Sequence[int]
    sizes: Sequence[int]
    alignment: int
    data: int
    size: int

    def packed(self, alignment: int) -> list[int]:
        """Return the offsets that an alignment gives."""
        return list(accumulate((padded(size, alignment) for size in self.sizes), initial=0))[:-1]

    def shown(self, at: int) -> str:
        """Return the name of a tensor as it stands in a message."""
        return printable(self.names[at], limit=120) or "the tensor without a name"


def padded(size: int, alignment: int) -> int:
    """Return a number of bytes, raised to a multiple of the alignment."""
    return -(-size // alignment) * alignment


def layout_fault(layout: GgufLayout) -> Fault | None:
    """Say where the places leave the row, or that the file ends before the row does."""
    wanted = layout.packed(layout.alignment)
    wrong = [at for at, (found, due) in enumerate(zip(layout.offsets, wanted, strict=True)) if found != due]
    return _misplaced(layout, wanted, wrong) if wrong else torn(layout)


def torn(layout: GgufLayout) -> Fault | None:
    """Say that tensors end after the end of the file; padding after the last one may be absent."""
    stops = [layout.data + offset + size for offset, size in zip(layout.offsets, layout.sizes, strict=True)]
    end = max(stops, default=0)
    if end <= layout.size:
        return None
    hit = [name for name, stop in zip(layout.names, stops, strict=True) if stop > layout.size]
    return cut_short(layout.path, hit, end=end, size=layout.size)


def _misplaced(layout: GgufLayout, wanted: Sequence[int], wrong: Sequence[int]) -> Fault:
    first = wrong[0]
    what, hit = _cause(layout, wanted, wrong)
    return Fault(
        kind=FaultKind.MALFORMED,
        file=layout.path,
        message=f"{what}; llama.cpp refuses the file",
        tensors=tuple(patterns(layout.names[at] for at in hit)),
        expected=f"offset {wanted[first]:,} for {layout.shown(first)}, the sum of the padded sizes before it",
        found=f"offset {layout.offsets[first]:,}, byte {layout.data + layout.offsets[first]:,} of the file",
        cure=REWRITE,
    )


def _cause(layout: GgufLayout, wanted: Sequence[int], wrong: Sequence[int]) -> tuple[str, Sequence[int]]:
    """Return what happened to the offsets, and to which tensors."""
    offsets, first = layout.offsets, wrong[0]
    used = next((it for it in ALIGNMENTS if list(offsets) == layout.packed(it)), None)
    if used is not None:
        return (
            f"{layout.path} pads its tensors to {used} bytes where general.alignment, or its default, "
            f"says {layout.alignment}"
        ), wrong
    if len(wrong) == 2 and [offsets[at] for at in wrong] == [wanted[at] for at in reversed(wrong)]:
        a, b = (layout.shown(at) for at in wrong)
        return f"{a} and {b} of {layout.path} have each other's offset", wrong
    if _is_reordered(layout):
        return f"the data of {layout.path} stand in another order than its table", wrong
    rising = _is_row_after(layout, max(first, 1))
    if rising and len({offsets[at] - wanted[at] for at in range(len(wanted))}) == 1:
        return (
            f"the first tensor of {layout.path} begins {offsets[0]:,} bytes after the start of the data",
            wrong,
        )
    if len(wrong) == 1 or first == 0 or not rising:
        return f"{layout.shown(first)} of {layout.path} has {_place(layout, wanted, first)}", wrong
    return _reserved(layout)


def _is_reordered(layout: GgufLayout) -> bool:
    at = 0
    for offset, size in sorted(zip(layout.offsets, layout.sizes, strict=True)):
        if offset != at:
            return False
        at += padded(size, layout.alignment)
    return True


def _is_row_after(layout: GgufLayout, first: int) -> bool:
    """Tell whether the offsets only rise from the first wrong one on, each on its boundary."""
    offsets = layout.offsets
    rising = all(a <= b for a, b in zip(offsets[first - 1 :], offsets[first:], strict=False))
    aligned = all(offset % layout.alignment == 0 for offset in offsets[first:])
    return len(offsets) > 1 and rising and aligned and layout.data + offsets[-1] <= layout.size


def _place(layout: GgufLayout, wanted: Sequence[int], at: int) -> str:
    """Say what is wrong with one offset."""
    offset = layout.offsets[at]
    if layout.data + offset > layout.size:
        return f"an offset of {offset:,}, beyond the end of the file"
    if offset % layout.alignment:
        return f"an offset of {offset:,}, no multiple of the alignment {layout.alignment}"
    if offset < wanted[at]:
        owner = next(i for i in range(len(wanted)) if offset < wanted[i] + layout.sizes[i])
        return f"an offset of {offset:,}, inside {layout.shown(owner)}: one holds the other's values"
    return f"{offset - wanted[at]:,} bytes before it that belong to no tensor"


def _reserved(layout: GgufLayout) -> tuple[str, Sequence[int]]:
    """Name the tensors for which more or fewer bytes are set aside than they take."""
    gaps = [b - a for a, b in zip(layout.offsets, layout.offsets[1:], strict=False)]
    odd = [at for at, gap in enumerate(gaps) if gap != padded(layout.sizes[at], layout.alignment)]
    at = odd[0]
    kind = layout.kinds[at]
    dims = ", ".join(map(str, reversed(kind.shape or ())))
    more = f", and so for {counted(len(odd) - 1, 'more tensor')}" if len(odd) > 1 else ""
    return (
        f"{layout.shown(at)} of {layout.path} takes {layout.sizes[at]:,} bytes as {kind.dtype} {{{dims}}}, {gaps[at]:,} "
        f"are set aside for it{_fitting(kind, gaps[at], layout.alignment)}{more}: type, shape or offsets are wrong"
    ), odd


def _fitting(kind: Kind, gap: int, alignment: int) -> str:
    """Return the types, if any, whose bytes fit what is set aside."""
    assert kind.shape is not None
    sizes = {name: dtype.nbytes(kind.shape) for name, dtype in BY_NAME.items() if name not in IK_ONLY}
    fit = [name for name, size in sizes.items() if size is not None and padded(size, alignment) == gap]
    return f" (as much as {' or '.join(fit[:3])} takes)" if fit else ""
