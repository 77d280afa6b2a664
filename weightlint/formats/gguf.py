"""GGUF: typed key-values, a table of tensors, then their data, each padded to an alignment.

How it is read is in `weightlint.gguf`, which is imported when the first such file is met.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weightlint.format import OneModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weightlint.format import Format
    from weightlint.index import Header
    from weightlint.store import Blob


@dataclass(frozen=True, slots=True)
class Gguf(OneModel):
    """The format as the drawer offers it."""

    name: str = "gguf"
    suffixes: tuple[str, ...] = (".gguf",)
    order: int = 1

    def models(self, names: Sequence[str]) -> Sequence[Sequence[str]]:
        """Tell file names apart into models: the parts of one split are one."""
        from weightlint.gguf.parts import models

        return models(names)

    def companions(self, name: str, names: Sequence[str]) -> Sequence[str]:
        """Return all parts of the split to which a file belongs."""
        from weightlint.gguf.parts import companions

        return companions(name, names)

    def read(self, blob: Blob, path: str) -> Header:
        """Read the table of one file."""
        from weightlint.gguf.reader import read

        return read(blob, path)


FORMAT: Format = Gguf()
