"""A GGUF header that was read to its end: keys, table, and where the data begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weightlint.gguf.cursor import REWRITE
from weightlint.gguf.layout import GgufLayout, padded
from weightlint.index import Fault, FaultKind
from weightlint.names import patterns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from weightlint.gguf.keys import Keys
    from weightlint.gguf.tensors import Tensors
    from weightlint.metadata import Value

MAGIC = b"GGUF"
DEFAULT_ALIGNMENT = 32
MAX_ALIGNMENT = 1 << 16
"""Bytes, the largest page of any machine: what is above it is taken for damage if the file is too small."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A header read to its end.

    `stop` is the byte after its table, `size` are the bytes of the whole file. `early` says why
    llama.cpp does not read so far.
    """

    path: str
    keys: Keys
    tensors: Tensors
    stop: int
    size: int
    early: Fault | None = None

    @property
    def values(self) -> Mapping[str, Value]:
        """Key-values of the file."""
        return self.keys.values

    @property
    def alignment(self) -> int | None:
        """Bytes to which data are padded, None where the file gives none that there can be."""
        value = self.values.get("general.alignment")
        if value is None:
            return DEFAULT_ALIGNMENT
        number = value.value
        sound = type(number) is int and number > 0 and number & (number - 1) == 0
        return number if sound else None

    @property
    def data(self) -> int:
        """Byte at which the data begin."""
        return padded(self.stop, self.alignment or DEFAULT_ALIGNMENT)

    @property
    def out_of_reach(self) -> bool:
        """Tell that an alignment beyond any use puts the data behind the end of the file."""
        return (self.alignment or 0) > MAX_ALIGNMENT and self.data > self.size

    def layout(self) -> GgufLayout:
        """Return the places of the tensors whose bytes are known."""
        table = self.tensors
        rows = [at for at, size in enumerate(table.sizes) if size is not None]
        return GgufLayout(
            path=self.path,
            names=[table.names[at] for at in rows],
            kinds=[table.kinds[at] for at in rows],
            offsets=[table.offsets[at] for at in rows],
            sizes=[size for size in table.sizes if size is not None],
            alignment=self.alignment or DEFAULT_ALIGNMENT,
            data=self.data,
            size=self.size,
        )


def malformed(path: str, message: str, names: Sequence[str] = ()) -> Fault:
    """Return the fault of a header that llama.cpp refuses."""
    return Fault(
        kind=FaultKind.MALFORMED, file=path, message=message, tensors=tuple(patterns(names)), cure=REWRITE
    )
