"""Drawers: a folder in which one file is one item and the file's name is its public name.

Listing a drawer imports nothing; an item is imported when it is asked for. Files whose names begin
with `_` belong to the drawer as a whole and are no items.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TypeVar, cast

T = TypeVar("T")

ROOT = Path(__file__).parent


class Drawer(Mapping[str, T]):
    """The items of `weightlint/<folder>/`, by file name, each the module's constant `item`."""

    def __init__(self, folder: str, item: str) -> None:
        self.folder = folder
        self.item = item

    @cached_property
    def _names(self) -> tuple[str, ...]:
        found = pkgutil.iter_modules([str(ROOT / self.folder)])
        return tuple(sorted(module.name for module in found if not module.name.startswith("_")))

    def __getitem__(self, name: str) -> T:
        if name not in self._names:
            raise KeyError(name)
        module = importlib.import_module(f"weightlint.{self.folder}.{name}")
        return cast("T", getattr(module, self.item))

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
