"""Configs that do not use Hugging Face field names: recognised by their fields, read as if they did.

A message names a field as its file does; `Config.spelled` turns the name back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from weightlint import config as configs
from weightlint import flat_yaml
from weightlint.drawer import Drawer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from weightlint.config import Config


def nothing_more(_: Mapping[str, Any]) -> Mapping[str, Any]:
    """Derive no field."""
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigSpelling:
    """One writer's names. `files` are the names (with `*`) that its config files have.

    A config with all the fields `marks` and no list of architectures, which is Hugging Face's, is one of these. `fields` gives the
    Hugging Face name of each of its own; `derive` what follows from several, or is said in another way.
    """

    name: str
    title: str
    files: tuple[str, ...]
    marks: frozenset[str]
    fields: Mapping[str, str]
    derive: Callable[[Mapping[str, Any]], Mapping[str, Any]] = nothing_more

    def claims(self, data: Mapping[str, Any]) -> bool:
        """Tell whether a parsed config is written like this."""
        return data.keys() >= self.marks

    def translate(self, config: Config) -> Config:
        """Return the config with Hugging Face names beside its own."""
        data = config.data
        renamed = {theirs: data[own] for own, theirs in self.fields.items() if data.get(own) is not None}
        names = {theirs: own for own, theirs in self.fields.items()}
        return replace(config, data={**data, **renamed, **self.derive(data)}, names=names)


SPELLINGS: Drawer[ConfigSpelling] = Drawer("configs", "CONFIG")


def read(raw: bytes, path: str) -> Config:
    """Parse a config file, JSON or YAML by its name, in whatever names.

    Raises:
        ValueError: it is neither; the text says where it breaks.
    """
    if path.endswith((".yaml", ".yml")):
        config = configs.Config(flat_yaml.parse(raw), path)
    else:
        config = configs.read(raw, path)
    if "architectures" in config.data:
        return config
    spelling = next((each for each in SPELLINGS.values() if each.claims(config.data)), None)
    return spelling.translate(config) if spelling else config


def candidates(names: Sequence[str]) -> list[str]:
    """Return the files of a folder that may be its config where there is no config.json."""
    wanted = [pattern for spelling in SPELLINGS.values() for pattern in spelling.files]
    return [name for pattern in dict.fromkeys(wanted) for name in names if fnmatchcase(name, pattern)]


def is_spelt(raw: bytes, path: str) -> bool:
    """Tell whether a file is a config in the names of some spelling."""
    try:
        return bool(read(raw, path).names)
    except ValueError:
        return False
