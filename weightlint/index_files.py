"""The index files of a folder: read, and which of them to go by."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from weightlint import weight_map
from weightlint.finding import printable
from weightlint.format import FORMATS, format_of
from weightlint.index import Fault, FaultKind
from weightlint.names import patterns
from weightlint.reader import unreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weightlint.format import Format
    from weightlint.store import Store
    from weightlint.weight_map import WeightMap


def read_maps(store: Store, names: Sequence[str]) -> tuple[list[WeightMap], list[Fault]]:
    """Read these index files; what is wrong with them comes beside."""
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


def main_map(maps: Sequence[WeightMap], names: Sequence[str]) -> WeightMap | None:
    """Choose the index to go by: the usual name, else the most tensors in files that are there."""
    there = set(names)

    def worth(it: WeightMap) -> tuple[bool, bool, int]:
        files = set(it.entries.values())
        return bool(files & there), it.path == "model.safetensors.index.json", len(it.entries)

    return max(maps, key=worth, default=None)


def format_of_map(it: WeightMap) -> Format | None:
    """Return the format of an index: its name's, else that of its first file that has a known one."""
    if "safetensors" in it.path:
        return cast("Format", FORMATS["safetensors"])
    return next((form for file in dict.fromkeys(it.entries.values()) if (form := format_of(file))), None)


def is_in(it: WeightMap, form: Format) -> bool:
    """Tell whether an index names files of a format."""
    return any(format_of(file) is form for file in dict.fromkeys(it.entries.values()))


def mixed(main: WeightMap | None, files: Sequence[str]) -> list[Fault]:
    """Say that a safetensors index names files of other containers; an error where it names no others."""
    other = {file for file in files if not file.endswith(".safetensors")}
    if main is None or not other or "safetensors" not in main.path:
        return []
    names = [name for name, file in main.entries.items() if file in other]
    message = (
        f"{main.path} places {len(names):,} tensors in {', '.join(map(printable, sorted(other)[:3]))}, not in "
        "safetensors files: loaders leave them out, or unpickle them"
    )
    cure = "convert these tensors to safetensors and rebuild the index"
    kind = FaultKind.MALFORMED if other == set(files) else FaultKind.ODD
    return [Fault(kind=kind, file=main.path, message=message, tensors=tuple(patterns(names)), cure=cure)]
