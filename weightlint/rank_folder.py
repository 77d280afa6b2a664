"""A folder of rank files: found by their names, read header by header as one checkpoint.

What a rank holds of the model is not asked here; the index has the rows of all ranks as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weightlint import config as configs
from weightlint.checkpoint import Checkpoint
from weightlint.format import format_of
from weightlint.ranks import found
from weightlint.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from weightlint.config_file import ConfigFile
    from weightlint.ranks import Ranks
    from weightlint.store import Store


def find_ranks(names: Sequence[str], config: bytes | None) -> Ranks | None:
    """Find the rank files of a folder; `config` is the text of its config file."""
    return found(names, _table(config))


def open_ranks(store: Store, ranks: Ranks, *, target: str, config: ConfigFile) -> Checkpoint:
    """Read the tables of all ranks of one set; files of other sets are named, not read."""
    files = [] if ranks.sharding.useless else [*ranks.places]
    reader = Reader(store)
    index = reader.read_all(files)
    form = format_of(next(iter(ranks.places)))
    return Checkpoint(
        target=target,
        store=store,
        index=index,
        absent=tuple(reader.absent),
        faults=tuple(reader.faults),
        config=config.raw,
        config_path=config.path,
        format=form.name if form else "safetensors",
        ranks=ranks,
    )


def _table(raw: bytes | None) -> Mapping[str, Any]:
    """Parse a config as far as it can be; what is wrong with it is told elsewhere."""
    try:
        return configs.read(raw or b"{}").data
    except ValueError:
        return {}
