"""One model's files as they were read: rows, what the index file claims, what is wrong with a file.

Nothing is judged here and nothing is opened; `weightlint.target` and `weightlint.folder` fill it in.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from weightlint.index import Fault, Index
from weightlint.metadata import Value
from weightlint.series import gaps, numbered
from weightlint.weight_map import WeightMap, by_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from weightlint.adapters.adapter import Adapter
    from weightlint.ranking.ranks import Ranks
    from weightlint.store import Store


_FIRST = Value("u16", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What is there, and what the index file says should be.

    `index` has the rows of the member files, `strays` those of tensor files beside them that the
    weight map does not name. `absent` are member files that are not there. `config` is the text of
    the config file, None without one. `format` is the name of the format of the member files, `keys`
    what a GGUF model says of itself. `others` are further models that lie in the same folder. `ranks`
    tells that the member files are slices of the model, and which; `adapter` that they are no model
    but what is added to one.
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
    format: str = "safetensors"
    keys: Mapping[str, Value] = field(default_factory=dict)
    others: tuple[Checkpoint, ...] = ()
    ranks: Ranks | None = None
    adapter: Adapter | None = None

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

    @property
    def is_companion(self) -> bool:
        """Tell what lies beside a GGUF model and is none: adapter, projector, importance matrix.

        Values of general.type: `GGUFType` in gguf-py/gguf/constants.py; projectors from before it have
        the architecture clip.
        """
        kind, arch = self.keys.get("general.type"), self.keys.get("general.architecture")
        return (kind is not None and kind.value != "model") or (arch is not None and arch.value == "clip")

    def series_gaps(self) -> list[str]:
        """Return the files that a numbered series lacks, where no index file says what belongs to it.

        Where the files give their number themselves, as parts of a GGUF do, names that count to another
        one prove nothing, nor do several names if all numbers are there.
        """
        if self.map is not None:
            return []
        paths = [file.path for file in self.index.files]
        said = self.keys.get("split.count")
        places = set(filter(None, map(numbered, paths)))
        if said is not None and ({of for _, of in places} - {said.value} or len(places) == said.value):
            return []
        # what cannot be read is there all the same
        unread = [fault.file for fault in self.faults if fault.lost]
        return gaps(dict.fromkeys((*paths, *unread)))


def is_second_set(path: str) -> bool:
    """Tell by its name whether a file is of Mistral's own set of weights.

    Every repository of Mistral has consolidated.* beside the same weights under Hugging Face names;
    mistral-inference reads the one, all others read the other.
    """
    return path.startswith(("consolidated.", "consolidated-"))


def own_keys(index: Index) -> dict[str, Value]:
    """Return what a model says of itself: the typed values of part 0 of a split, else of the first file."""
    first = next((file for file in index.files if file.metadata.get("split.no") == _FIRST), None)
    first = first or next(iter(index.files), None)
    items = first.metadata.items() if first else ()
    return {key: value for key, value in items if isinstance(value, Value)}


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
