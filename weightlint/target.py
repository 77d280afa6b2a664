"""What the user points at: a folder, a tensor file, an index file, a snapshot, a hub cache, an address.

No OSError leaves this room: what cannot be opened at all is the user's word and so a `UsageError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint import weight_map
from weightlint.checkpoint import Checkpoint, collector_off
from weightlint.config_file import find_config
from weightlint.errors import UsageError, nearest
from weightlint.finding import printable
from weightlint.folder import open_files, open_folder
from weightlint.foreign import HEAD
from weightlint.format import FORMATS, Bundle, format_of, table_of
from weightlint.hub_layout import revisions
from weightlint.ranking.folder import is_rank_file
from weightlint.remote.address import scheme_of, shown
from weightlint.saves import last_save, rank_root
from weightlint.store import STORES

if TYPE_CHECKING:
    from pathlib import Path

    from weightlint.store import Store

EXTRA = "weightlint[remote]"
"""What installs the packages that addresses need."""


def open_target(target: str) -> Checkpoint:
    """Read the headers of what the user points at: folder, tensor file, index file or snapshot, here or at an address.

    Raises:
        UsageError: there is nothing of that name, or nothing in it that can be read.
    """
    scheme = scheme_of(target)
    try:
        with collector_off():
            if scheme in {None, "file"}:
                return _open_path(target)
            return _open_address(target, scheme)
    except OSError as error:
        message = f"{shown(target)}: {error.strerror or error}"
        raise UsageError(message) from error
    except ImportError as error:
        if (error.name or "").startswith("weightlint"):
            raise
        message = f"{shown(target)}: {scheme}:// needs packages that are not installed: pip install '{EXTRA}'"
        raise UsageError(message) from error


def _open_path(target: str) -> Checkpoint:
    from weightlint.stores.local import LocalStore, local_path

    path = local_path(target)
    _refuse_absent(path, target)
    path = rank_root(path) or path
    if path.is_dir():
        path = _saved(_revision(path))
        return open_folder(LocalStore(path), target=target)
    return _open_file(LocalStore(path.parent), path.name, target=target)


def _open_address(target: str, scheme: str | None) -> Checkpoint:
    known = {each: opener for opener in STORES.values() for each in opener.schemes}
    if scheme not in known:
        there = ", ".join(f"{each}://" for each in sorted(known))
        message = f"{shown(target)}: addresses of {scheme}:// cannot be read{nearest(scheme or '', known)}; there are {there}"
        raise UsageError(message)
    store, name = known[scheme].open(target)
    if not name:
        return open_folder(store, target=store.name)
    return _open_file(store, name, target=f"{store.name}/{printable(name)}")


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
