"""One model's files: found by looking, read header by header, nothing judged yet.

What is wrong with a file becomes a `Fault`; no OSError leaves this room except for the target
itself, which is the user's word and so a `UsageError`.
"""

from __future__ import annotations

import gc
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from weightlint import weight_map
from weightlint.errors import NothingFoundError, UsageError, nearest
from weightlint.finding import printable
from weightlint.foreign import AGAIN, HEAD
from weightlint.format import FORMATS, Bundle, format_of
from weightlint.index import UNKNOWN, Fault, FaultKind, Header, Index
from weightlint.names import patterns
from weightlint.reader import Reader, unreadable
from weightlint.series import gaps
from weightlint.weight_map import WeightMap, by_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weightlint.store import Store


MAX_CONFIG = 1 << 26
UNFINISHED = (".incomplete", ".part", ".partial", ".aria2", ".crdownload", ".tmp")
_DOWNLOADS = ".cache/huggingface/download"
_BESIDE = re.compile(r"(\.|adapter_|training_args|optimizer|scheduler|rng_state|scaler)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What is there, and what the index file says should be.

    `index` has the rows of the member files, `strays` those of tensor files beside them that the
    weight map does not name. `absent` are member files that are not there. `config` is the text of
    the config file, None without one.
    """

    target: str
    store: Store | None = None
    index: Index = field(default_factory=Index)
    strays: Index = field(default_factory=Index)
    map: WeightMap | None = None
    other_maps: tuple[WeightMap, ...] = ()
    absent: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    config: bytes | None = None
    config_path: str = "config.json"
    names_only: bool = False

    @property
    def lost_files(self) -> frozenset[str]:
        """Member files of which no tensor could be listed."""
        broken = (fault.file for fault in self.faults if fault.lost)
        return frozenset((*self.absent, *broken))

    @property
    def lost(self) -> dict[str, list[str]]:
        """Tensors that the index file places in files that could not be listed, by file."""
        if self.map is None or not self.lost_files:
            return {}
        return {file: names for file, names in by_file(self.map.entries).items() if file in self.lost_files}

    def series_gaps(self) -> list[str]:
        """Return the files that a numbered series lacks, where no index file says what belongs to it."""
        if self.map is not None:
            return []
        return gaps(file.path for file in self.index.files)


@contextmanager
def collector_off() -> Iterator[None]:
    """Keep the garbage collector from walking a million fresh tuples again and again."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


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
            if path.is_dir():
                path = _revision(path)
                return open_folder(LocalStore(path), target=target)
            return _open_file(LocalStore(path.parent), path.name, target=target)
    except OSError as error:
        message = f"{target}: {error.strerror or error}"
        raise UsageError(message) from error


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
    if not name.endswith((".json", ".json.gz")):
        return open_files(store, [name], target=target)
    checkpoint = open_folder(store, target=target, wanted=name)
    if checkpoint.map is None and not weight_map.is_index(name):
        why = "; ".join(fault.message for fault in checkpoint.faults if fault.file == name)
        message = f"{target} is neither an index of tensors nor a snapshot: {why}"
        raise UsageError(message)
    return checkpoint


def _revision(folder: Path) -> Path:
    """Step into the snapshot of a Hugging Face cache folder (`models--org--name`)."""
    inside = folder if folder.name == "snapshots" else folder / "snapshots"
    revisions = sorted(each for each in inside.iterdir() if each.is_dir()) if inside.is_dir() else []
    if not revisions or not (inside.parent / "blobs").is_dir():
        return folder
    main = inside.parent / "refs" / "main"
    if main.is_file() and main.stat().st_size <= 100:
        wanted = main.read_text(errors="replace").strip()
        revisions = [each for each in revisions if each.name == wanted] or revisions
    if len(revisions) == 1:
        return revisions[0]
    listed = ", ".join(str(revision) for revision in revisions[:5])
    message = f"{folder} is a cache with {len(revisions)} revisions; name one: {listed}"
    raise UsageError(message)


def open_files(store: Store, files: Sequence[str], *, target: str) -> Checkpoint:
    """Read these files as a whole checkpoint, without looking at what lies beside them."""
    reader = Reader(store)
    index = reader.read_all(files)
    config, faults = _config(store)
    return Checkpoint(
        target=target,
        store=store,
        index=index,
        absent=tuple(reader.absent),
        faults=(*reader.faults, *faults),
        config=config,
    )


def open_folder(store: Store, *, target: str, wanted: str | None = None) -> Checkpoint:
    """Read a folder; `wanted` is the index file to go by, else the best one is chosen.

    Raises:
        UsageError: the folder holds nothing that can be read.
    """
    names = store.names()
    maps, faults = _maps(store, [wanted] if wanted else list(filter(weight_map.is_index, names)))
    present = [name for name in names if format_of(name) and not _BESIDE.match(name)]
    main = _main(maps, names) if wanted or not present else _main([it for it in maps if _readable(it)], names)
    files = list(dict.fromkeys(main.entries.values())) if main else present
    config, config_faults = _config(store)
    faults += config_faults
    faults += _mixed(main, files)
    if main and (wanted or not _readable(main)) and not _any_there(store, files):
        return _names_only(target, store, main, faults, config)
    _refuse_nothing(target, names, files, faults)
    members = [file for file in files if format_of(file)]
    reader = Reader(store)
    index = reader.read_all(members)
    strays = reader.read_all([file for file in present if file not in set(files)])
    return Checkpoint(
        target=target,
        store=store,
        index=index,
        strays=strays,
        map=main,
        other_maps=tuple(it for it in maps if it is not main),
        absent=tuple(reader.absent),
        unfinished=tuple(_unfinished(store, names)),
        faults=(*faults, *reader.faults),
        config=config,
    )


def _maps(store: Store, names: Sequence[str]) -> tuple[list[WeightMap], list[Fault]]:
    maps: list[WeightMap] = []
    faults: list[Fault] = []
    for name in names:
        try:
            with store.open(name) as blob:
                reading = weight_map.read(blob, name)
        except OSError as error:
            faults.append(unreadable(store, name, error))
            continue
        faults += reading.faults
        if reading.map is not None:
            maps.append(reading.map)
    return maps, faults


def _main(maps: Sequence[WeightMap], names: Sequence[str]) -> WeightMap | None:
    """Choose the index to go by: the usual name, else the most tensors in files that are there."""
    there = set(names)

    def worth(it: WeightMap) -> tuple[bool, bool, int]:
        files = set(it.entries.values())
        return bool(files & there), it.path == "model.safetensors.index.json", len(it.entries)

    return max(maps, key=worth, default=None)


def _readable(it: WeightMap) -> bool:
    return any(map(format_of, dict.fromkeys(it.entries.values())))


def _any_there(store: Store, files: Sequence[str]) -> bool:
    folders = {file.rpartition("/")[0] for file in files}
    there = {f"{folder}/{name}".lstrip("/") for folder in folders for name in store.names(folder)}
    return any(file in there and format_of(file) for file in files)


def _names_only(
    target: str, store: Store, main: WeightMap, faults: list[Fault], config: bytes | None
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
        config=config,
        names_only=True,
    )


def _refuse_nothing(target: str, names: Sequence[str], files: Sequence[str], faults: Sequence[Fault]) -> None:
    if files or faults:
        return
    other = sorted({Path(name).suffix for name in names} & {".gguf", ".bin", ".pt", ".pth"})
    what = f"; it holds {', '.join(other)} files, which this version does not read" if other else ""
    half = [name for name in names if name.endswith(UNFINISHED)]
    what += f"; it holds unfinished downloads such as {printable(half[0])}" if half else ""
    message = f"{target}: no *.safetensors file and no *.index.json in this folder{what}"
    raise NothingFoundError(message)


def _mixed(main: WeightMap | None, files: Sequence[str]) -> list[Fault]:
    other = {file for file in files if not file.endswith(".safetensors")}
    if main is None or not other or "safetensors" not in main.path:
        return []
    names = [name for name, file in main.entries.items() if file in other]
    message = (
        f"{main.path} places {len(names):,} tensors in {', '.join(map(printable, sorted(other)[:3]))}, not in "
        "safetensors files: loaders leave them out, or unpickle them"
    )
    cure = "convert these tensors to safetensors and rebuild the index"
    return [
        Fault(kind=FaultKind.ODD, file=main.path, message=message, tensors=tuple(patterns(names)), cure=cure)
    ]


def _unfinished(store: Store, names: Sequence[str]) -> list[str]:
    cached = [f"{_DOWNLOADS}/{name}" for name in store.names(_DOWNLOADS)]
    return [name for name in (*names, *cached) if name.endswith(UNFINISHED)]


def _config(store: Store) -> tuple[bytes | None, list[Fault]]:
    if "config.json" not in store.names():
        return None, []
    try:
        with store.open("config.json") as blob:
            if blob.size <= MAX_CONFIG:
                return blob.read(0, blob.size), []
            message = f"config.json has {blob.size:,} bytes, the limit is {MAX_CONFIG:,}"
    except OSError as error:
        message = f"config.json cannot be read: {error.strerror}"
    return None, [Fault(kind=FaultKind.UNREADABLE, file="config.json", message=message, cure=AGAIN)]
