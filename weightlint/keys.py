"""The config of a GGUF file: its key-values, read as a config is, those of its architecture without their prefix.

Knows names and types of keys; what a key must be is in the schemas of `schemas/gguf`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from weightlint.config import Config

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weightlint.metadata import Value

ARCHITECTURE = "general.architecture"
SHARED = ("general.", "tokenizer.", "split.", "adapter.")
"""Beginnings of keys that are the same for every architecture; source: llama.cpp, src/llama-arch.cpp."""


@dataclass(frozen=True, slots=True)
class Keys(Config):
    """The key-values of a GGUF file; `prefix` is the architecture that it declares."""

    values: Mapping[str, Value] = field(default_factory=dict)
    prefix: str = ""

    @property
    def noun(self) -> str:
        """Return what an entry is called."""
        return "key"

    def spelled(self, name: str) -> str:
        """Return a key, or several with commas, as it stands in the file: with the architecture before it."""
        each = (key if key.startswith(SHARED) else f"{self.prefix}.{key}" for key in name.split(", "))
        return ", ".join(each)

    def find(self, name: str, scope: str | None) -> tuple[bool, Any]:
        """Look a key up; an array of which the items were not kept has its length alone."""
        del scope
        if name in self.changes:
            return True, self.changes[name]
        value = self.value(name)
        if value is None:
            return False, None
        if value.type == "arr" and value.value is None:
            return True, range(value.count or 0)
        return True, value.value

    def value(self, name: str) -> Value | None:
        """Return a key's value with its type."""
        return self.values.get(self.spelled(name))

    def with_change(self, name: str, value: object) -> Keys:
        """Return the keys as they would be with another value of one."""
        return replace(self, changes={**self.changes, name: value})


def read(values: Mapping[str, Value], path: str) -> Keys:
    """Take the key-values of a GGUF file at `path` for its config."""
    declared = values.get(ARCHITECTURE)
    prefix = declared.value if declared is not None and isinstance(declared.value, str) else ""
    return Keys({}, path, values=values, prefix=prefix)
