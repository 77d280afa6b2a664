"""One folder of files: which of them are the checkpoint, found by looking, read header by header.

What is wrong with a file becomes a `Fault`; nothing is judged.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from weightlint import weight_map
from weightlint.checkpoint import Checkpoint, is_second_set, own_keys
from weightlint.config_file import find_config
from weightlint.errors import NothingFoundError
from weightlint.finding import printable
from weightlint.format import FORMATS, format_of, suffixes, table_of
from weightlint.index import UNKNOWN, Fault, Header, Index
from weightlint.index_files import format_of_map, is_in, main_map, mixed, read_maps
from weightlint.ranking.folder import find_ranks, is_rank_file, open_ranks
from weightlint.reader import Reader
from weightlint.weight_map import WeightMap, by_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weightlint.config_file import ConfigFile
    from weightlint.format import Format, Tabled
    from weightlint.store import Store

UNFINISHED = (".incomplete", ".part", ".partial", ".aria2", ".crdownload", ".tmp")
_DOWNLOADS = ".cache/huggingface/download"
_BESIDE = re.compile(r"(\.|adapter_|training_args|optimizer|scheduler|rng_state|scaler|openvino_)")


def open_files(store: Store, files: Sequence[str], *, target: str) -> Checkpoint:
    """Read these files as a whole checkpoint, without looking at what lies beside them."""
    reader = Reader(store)
    index = reader.read_all(files)
    config = find_config(store)
    form = format_of(files[0]) or FORMATS["safetensors"]
    return Checkpoint(
        target=target,
        store=store,
        index=index,
        absent=tuple(reader.absent),
        faults=(*reader.faults, *config.faults),
        config=config.raw,
        config_path=config.path,
        format=form.name,
        keys=own_keys(index),
    )


def open_folder(store: Store, *, target: str, wanted: str | None = None) -> Checkpoint:
    """Read a folder; `wanted` is the index file to go by, else the best one is chosen.

    Of several formats the one that loaders prefer is read; of several models the first is the
    checkpoint and the rest are its `others`.

    Raises:
        UsageError: the folder holds nothing that can be read.
    """
    names = store.names()
    maps, faults = read_maps(store, [wanted] if wanted else list(filter(weight_map.is_index, names)))
    form, present = _preferred(names)
    table = None if wanted else table_of(names)
    if table is not None and (form is None or table.order < form.order):
        return _tabled(store, table, names, target=target)
    main = main_map(maps if wanted or form is None else [it for it in maps if is_in(it, form)], names)
    form = (main and format_of_map(main)) or form
    models = [list(dict.fromkeys(main.entries.values()))] if main else _members(form, present)
    files = models[0]
    config = find_config(store)
    faults += config.faults
    if not wanted and not (main and set(files) & set(names)):
        other = _cut_or_added(store, names, files, config, target=target)
        if other is not None:
            return replace(other, faults=(*faults, *other.faults))
    faults += mixed(main, files)
    if main and (wanted or format_of_map(main) is None) and not _any_there(store, files):
        return _names_only(target, store, main, faults, config)
    _refuse_nothing(target, names, files, faults)
    if main and store.at_once > 1:
        store.expect(weight_map.headers(main.entries))
    found = _read_models(store, models, form, present, target=target)
    return replace(
        found,
        map=main,
        other_maps=tuple(it for it in maps if it is not main),
        unfinished=tuple(_unfinished(store, names)),
        faults=(*faults, *found.faults),
        config=config.raw,
        config_path=config.path,
    )


def _read_models(
    store: Store,
    models: Sequence[Sequence[str]],
    form: Format | None,
    present: Sequence[str],
    *,
    target: str,
) -> Checkpoint:
    """Read the first of these models, what is present beside all of them, and the others."""
    reader = Reader(store)
    index = reader.read_all([file for file in models[0] if format_of(file) is form])
    known = {file for model in models for file in model}
    strays = reader.read_all([file for file in present if file not in known])
    beside = [open_files(store, model, target=target) for model in models[1:]]
    for companion in (it for it in beside if it.is_companion):
        strays.extend(companion.index)
        reader.faults += (fault for fault in companion.faults if fault.file != companion.config_path)
    return Checkpoint(
        target=target,
        store=store,
        index=index,
        strays=strays,
        absent=tuple(reader.absent),
        faults=tuple(reader.faults),
        format=form.name if form else "safetensors",
        keys=own_keys(index),
        others=tuple(it for it in beside if not it.is_companion),
    )


def _tabled(store: Store, way: Tabled, names: Sequence[str], *, target: str) -> Checkpoint:
    """Read a folder that has a table of its own."""
    found = way.survey(store, names)
    config = find_config(store)
    return Checkpoint(
        target=target,
        store=store,
        index=found.index,
        map=found.map,
        absent=tuple(found.absent),
        unfinished=tuple(_unfinished(store, names)),
        faults=(*config.faults, *found.faults),
        config=config.raw,
        config_path=config.path,
        format=way.name,
    )


def _cut_or_added(
    store: Store, names: Sequence[str], files: Sequence[str], config: ConfigFile, *, target: str
) -> Checkpoint | None:
    """Read the rank files of a folder or, where there is no model at all, its adapter."""
    ranks = find_ranks(store, names, config)
    if ranks is not None and (not files or any(map(is_rank_file, files))):
        return open_ranks(store, ranks, target=target, config=config)
    if not files:
        from weightlint.adapters.folder import is_adapter, open_adapter

        if is_adapter(names):
            return open_adapter(store, config, target=target)
    return None


def _preferred(names: Sequence[str]) -> tuple[Format | None, list[str]]:
    """Return the format that loaders prefer of those that are there, and its files."""
    groups: dict[str, tuple[Format, list[str]]] = {}
    for name in names:
        form = None if _BESIDE.match(name) else format_of(name)
        if form is not None:
            groups.setdefault(form.name, (form, []))[1].append(name)
    return min(groups.values(), key=lambda group: group[0].order, default=(None, []))


def _members(form: Format | None, present: Sequence[str]) -> Sequence[Sequence[str]]:
    """Tell the files of a format apart into models, without Mistral's own set beside Hugging Face's."""
    first = [name for name in present if not is_second_set(name)] or present
    return form.models(first) if form else [[]]


def _any_there(store: Store, files: Sequence[str]) -> bool:
    folders = {file.rpartition("/")[0] for file in files}
    there = {f"{folder}/{name}".lstrip("/") for folder in folders for name in store.names(folder)}
    return any(file in there and format_of(file) for file in files)


def _names_only(
    target: str, store: Store, main: WeightMap, faults: list[Fault], config: ConfigFile
) -> Checkpoint:
    index = Index()
    for file, names in by_file(main.entries).items():
        blank = [0] * len(names)
        index.add(file, Header(names=names, kinds=[UNKNOWN] * len(names), starts=blank, stops=blank))
    return Checkpoint(
        target=target,
        store=store,
        index=index,
        map=main,
        faults=tuple(faults),
        config=config.raw,
        config_path=config.path,
        names_only=True,
    )


def _refuse_nothing(target: str, names: Sequence[str], files: Sequence[str], faults: Sequence[Fault]) -> None:
    if files or faults:
        return
    other = sorted({Path(name).suffix for name in names} & {".h5", ".msgpack", ".npz"})
    what = f"; it holds {', '.join(other)} files, which this version does not read" if other else ""
    half = [name for name in names if name.endswith(UNFINISHED)]
    what += f"; it holds unfinished downloads such as {printable(half[0])}" if half else ""
    kinds = ", ".join(f"*{suffix}" for suffix in suffixes())
    message = f"{target}: no tensor file ({kinds}) and no *.index.json in this folder{what}"
    raise NothingFoundError(message)


def _unfinished(store: Store, names: Sequence[str]) -> list[str]:
    cached = [f"{_DOWNLOADS}/{name}" for name in store.names(_DOWNLOADS)]
    return [name for name in (*names, *cached) if name.endswith(UNFINISHED)]
