"""Which file of a folder is the config of its model, and its bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from weightlint import config_spelling
from weightlint.declarations import completed
from weightlint.foreign import AGAIN
from weightlint.index import Fault, FaultKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weightlint.store import Store

USUAL = "config.json"
MAX_CONFIG = 1 << 26


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The text of a config file, None where there is none or it cannot be read."""

    raw: bytes | None = None
    path: str = USUAL
    faults: tuple[Fault, ...] = ()


def find_config(store: Store) -> ConfigFile:
    """Read config.json, else the file that holds a config in the names of another writer."""
    names = store.names()
    if USUAL in names:
        return _with_declaration(read_file(store, USUAL), store, names)
    for name in config_spelling.candidates(names):
        found = read_file(store, name)
        if found.raw is not None and config_spelling.is_spelt(found.raw, name):
            return found
    return ConfigFile()


def _with_declaration(found: ConfigFile, store: Store, names: Sequence[str]) -> ConfigFile:
    if found.raw is None:
        return found
    return replace(found, raw=completed(found.raw, names, lambda name: read_file(store, name).raw))


def read_file(store: Store, name: str) -> ConfigFile:
    """Read a small file of settings."""
    try:
        with store.open(name) as blob:
            if blob.size <= MAX_CONFIG:
                return ConfigFile(blob.read(0, blob.size), name)
            message = f"{name} has {blob.size:,} bytes, the limit is {MAX_CONFIG:,}"
    except OSError as error:
        message = f"{name} cannot be read: {error.strerror}"
    fault = Fault(kind=FaultKind.UNREADABLE, file=name, message=message, cure=AGAIN)
    return ConfigFile(None, name, (fault,))
