"""What the user points at: a folder, a tensor file, an index file, a snapshot, a hub cache.

No OSError leaves this room: what cannot be opened at all is the user's word and so a `UsageError`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from weightlint import weight_map
from weightlint.checkpoint import Checkpoint, collector_off
from weightlint.config_file import find_config
from weightlint.errors import UsageError, nearest
from weightlint.folder import open_files, open_folder
from weightlint.foreign import HEAD
from weightlint.format import FORMATS, Bundle, format_of, table_of
from weightlint.hub_layout import revisions
from weightlint.ranking.folder import is_rank_file
from weightlint.saves import last_save, rank_root

if TYPE_CHECKING:
    from weightlint.store import Store


def open_target(target: str) -> Checkpoint:
    """Read the headers of what the user points at: folder, tensor file, index file or snapshot.

    Raises:
        UsageError: there is nothing of that name, or nothing in it that can be read.
    """
    from weightlint.stores.local import LocalStore

    path = Path(target)
    try:
        _refuse_absent(path, target)
        with collector_off():
            path = rank_root(path) or path
            if path.is_dir():
                path = _saved(_revision(path))
                return open_folder(LocalStore(path), target=target)
            return _open_file(LocalStore(path.parent), path.name, target=target)
    except OSError as error:
        message = f"{target}: {error.strerror or error}"
        raise UsageError(message) from error


def _saved(folder: Path) -> Path:
    """Step into the last save of a training folder that has no weights of its own."""
    own = any(format_of(entry.name) for entry in folder.iterdir() if entry.is_file())
    return folder if own else last_save(folder)


def _refuse_absent(path: Path, target: str) -> None:
    if not path.exists() and not path.is_symlink():
        beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        message = f"{target}: no such file or folder{nearest(path.name, beside)}"
        raise UsageError(message)


def _open_file(store: Store, name: str, *, target: str) -> Checkpoint:
    """Read one file: a bundle if it says so itself, an index if it is JSON, else a tensor file."""
    for bundle in FORMATS.values():
        if isinstance(bundle, Bundle) and name.endswith(bundle.suffixes):
            with store.open(name) as blob:
                if bundle.claims(blob.read(0, HEAD)):
                    return bundle.unpack(blob, target=target)
    if table_of([name]) is not None:
        return open_folder(store, target=target)
    if not name.endswith((".json", ".json.gz")):
        from weightlint.adapters.adapter import WEIGHTS
        from weightlint.adapters.folder import open_adapter

        if name in WEIGHTS:
            return open_adapter(store, find_config(store), target=target)
        if is_rank_file(name):
            return open_folder(store, target=target)
        form = format_of(name)
        return open_files(store, form.companions(name, store.names()) if form else [name], target=target)
    checkpoint = open_folder(store, target=target, wanted=name)
    if checkpoint.map is None and not weight_map.is_index(name):
        why = "; ".join(fault.message for fault in checkpoint.faults if fault.file == name)
        message = f"{target} is neither an index of tensors nor a snapshot: {why}"
        raise UsageError(message)
    return checkpoint


def _revision(folder: Path) -> Path:
    """Step into the snapshot of a Hugging Face cache folder (`models--org--name`)."""
    found = revisions(folder)
    if len(found) <= 1:
        return found[0] if found else folder
    listed = ", ".join(str(revision) for revision in found[:5])
    message = f"{folder} is a cache with {len(found)} revisions; name one: {listed}"
    raise UsageError(message)
