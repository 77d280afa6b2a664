"""One model's files as they were read: rows, what the index file claims, what is wrong with a file.

Nothing is judged here and nothing is opened; `weightlint.target` and `weightlint.folder` fill it in.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from weightlint.index import Fault, Index
from weightlint.series import gaps
from weightlint.weight_map import WeightMap, by_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from weightlint.adapter import Adapter
    from weightlint.metadata import Value
    from weightlint.ranks import Ranks
    from weightlint.store import Store


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

    def series_gaps(self) -> list[str]:
        """Return the files that a numbered series lacks, where no index file says what belongs to it."""
        if self.map is not None:
            return []
        return gaps(file.path for file in self.index.files)


def is_second_set(path: str) -> bool:
    """Tell by its name whether a file is of Mistral's own set of weights.

    Every repository of Mistral has consolidated.* beside the same weights under Hugging Face names;
    mistral-inference reads the one, all others read the other.
    """
    return path.startswith(("consolidated.", "consolidated-"))


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
