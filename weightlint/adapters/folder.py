"""A folder that holds a LoRA adapter and no base model: its tensors and what it says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.adapters.adapter import CONFIG, WEIGHTS, Adapter, parse
from weightlint.checkpoint import Checkpoint
from weightlint.config_file import ConfigFile, read_file
from weightlint.index import Fault, FaultKind
from weightlint.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weightlint.store import Store


def is_adapter(names: Sequence[str]) -> bool:
    """Tell whether the files of a folder are those of an adapter."""
    return CONFIG in names or any(name in names for name in WEIGHTS)


def open_adapter(store: Store, config: ConfigFile, *, target: str) -> Checkpoint:
    """Read the tensors of an adapter; `config` is that of its base, if it lies beside."""
    names = store.names()
    reader = Reader(store)
    index = reader.read_all([next((name for name in WEIGHTS if name in names), WEIGHTS[0])])
    adapter, faults = _adapter(store, names)
    return Checkpoint(
        target=target,
        store=store,
        index=index,
        absent=tuple(reader.absent),
        faults=(*faults, *reader.faults),
        config=config.raw,
        config_path=config.path,
        adapter=adapter,
    )


def _adapter(store: Store, names: Sequence[str]) -> tuple[Adapter, list[Fault]]:
    if CONFIG not in names:
        return Adapter(there=False), []
    read = read_file(store, CONFIG)
    if read.raw is None:
        return Adapter(), list(read.faults)
    try:
        return parse(read.raw), []
    except ValueError as error:
        message = f"{CONFIG} cannot be read: {error}"
        cure = "download it again, or save the adapter again"
        return Adapter(), [Fault(kind=FaultKind.MALFORMED, file=CONFIG, message=message, cure=cure)]
