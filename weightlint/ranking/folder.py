"""A folder of rank files: found by their names, read header by header as one checkpoint.

What a rank holds of the model is not asked here; the index has the rows of all ranks as they are.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from weightlint import config as configs
from weightlint.checkpoint import Checkpoint
from weightlint.config_file import ConfigFile
from weightlint.format import format_of
from weightlint.ranking.ranks import found
from weightlint.reader import Reader
from weightlint.sharding import SHARDINGS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from weightlint.index import Index
    from weightlint.ranking.ranks import Ranks
    from weightlint.store import Store

ARGUMENTS = "args."
"""What stands before the arguments of the training that Megatron-LM keeps in each file."""


def find_ranks(store: Store, names: Sequence[str], config: ConfigFile) -> Ranks | None:
    """Find the rank files of a folder and of its folders that each belong to one rank."""
    return found([*names, *_inside(store)], _table(config.raw))


def is_rank_file(path: str) -> bool:
    """Tell whether a path is that of a rank file."""
    return any(sharding.pattern.fullmatch(path) for sharding in SHARDINGS.values())


def is_rank_folder(name: str) -> bool:
    """Tell whether a folder is named after a rank."""
    forms = (sharding.folder for sharding in SHARDINGS.values())
    return any(form is not None and form.fullmatch(name) for form in forms)


def open_ranks(store: Store, ranks: Ranks, *, target: str, config: ConfigFile) -> Checkpoint:
    """Read the tables of all ranks of one set; files of other sets are named, not read."""
    reader = Reader(store)
    index = reader.read_all([] if ranks.sharding.useless else [*ranks.places])
    form = format_of(next(iter(ranks.places)))
    said = _said(index)
    if said or ranks.sharding.infer:
        files = [*ranks.places, *(file for group in ranks.others.values() for file in group)]
        ranks = found(files, {**_table(config.raw), **_inferred(index, ranks), **said}) or ranks
    if config.raw is None and said:
        config = ConfigFile(json.dumps(said, default=str).encode(), index.files[0].path)
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


def _inside(store: Store) -> list[str]:
    """Return the files in the folders that are named after a rank."""
    folders = filter(is_rank_folder, store.folders())
    return [f"{folder}/{name}" for folder in folders for name in store.names(folder)]


def _said(index: Index) -> dict[str, Any]:
    """Return the arguments of the training that the first file holds."""
    metadata = index.files[0].metadata if index.files else {}
    return {key.removeprefix(ARGUMENTS): it for key, it in metadata.items() if key.startswith(ARGUMENTS)}


def _inferred(index: Index, ranks: Ranks) -> Mapping[str, Any]:
    if ranks.sharding.infer is None:
        return {}
    tables: dict[str, set[str]] = {file.path: set() for file in index.files}
    for name, file_id in zip(index.names, index.file_ids, strict=True):
        tables[index.files[file_id].path].add(name)
    return ranks.sharding.infer(tables)


def _table(raw: bytes | None) -> Mapping[str, Any]:
    """Parse a config as far as it can be; what is wrong with it is told elsewhere."""
    try:
        return configs.read(raw or b"{}").data
    except ValueError:
        return {}
