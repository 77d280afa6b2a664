"""torch: what torch.save writes, listed without torch and without executing the pickle in it.

How it is read is in `weightlint.torch_files`, which is imported when the first such file is met.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weightlint.format import OneModel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from weightlint.format import Format
    from weightlint.index import Header
    from weightlint.probe import Crc
    from weightlint.store import Blob


@dataclass(frozen=True, slots=True)
class Torch(OneModel):
    """The format as the drawer offers it."""

    name: str = "torch"
    suffixes: tuple[str, ...] = (".bin", ".pt", ".pth")
    order: int = 2

    def read(self, blob: Blob, path: str) -> Header:
        """Read the table of one file."""
        from weightlint.torch_files.reader import read

        return read(blob, path)

    def checksums(self, blob: Blob) -> Iterable[Crc]:
        """Yield the records of a ZIP archive and their CRC-32, which torch.load does not compare."""
        from weightlint.torch_files.checksums import checksums

        return checksums(blob)


FORMAT: Format = Torch()
