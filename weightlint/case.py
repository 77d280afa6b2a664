"""Everything that a rule may see of one run, worked out once.

The ledger in it is what changes while the rules speak; all else stays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypedDict

from weightlint.finding import Place, counted
from weightlint.keys import Keys
from weightlint.ledger import Ledger
from weightlint.ranking.lapse import Slip
from weightlint.rule import Need
from weightlint.running import Running
from weightlint.wording import CONFIG, GGUF

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from weightlint.checkpoint import Checkpoint
    from weightlint.config import Config, FieldError
    from weightlint.expected import Expected, Slot
    from weightlint.index import Fault, FaultKind, Index
    from weightlint.join import Joined
    from weightlint.names import Coord
    from weightlint.quant import Quant
    from weightlint.ranking.lapse import Lapse
    from weightlint.refit import Refit
    from weightlint.schema import Schema
    from weightlint.spelling import Spelling
    from weightlint.version import LoaderSpec
    from weightlint.wording import Wording


class Loss(TypedDict):
    """What is lost with a file, in words that `Rule.told` takes."""

    tensors: list[str]
    note: str


@dataclass
class Case:
    """One checkpoint under check, with what it should be.

    `plain` is the expectation of schema and quant in the schema's own names; `joined` that of the
    files' spelling, `wanted` the dialect that the user asks for. `unexpanded` says why there is no
    expectation, `bad_field` which field is to blame for it. `loader` is the one that the user asks for. `running` is how the checkpoint is meant to be
    run, `lapses` are what does not add up between the ranks of a checkpoint that is cut. `beside` are the keys of a GGUF file that is held against a config.
    """

    checkpoint: Checkpoint
    config: Config | None = None
    arch: str | None = None
    schema: Schema | None = None
    quant: Quant | None = None
    plain: Expected | None = None
    spelling: Spelling | None = None
    wanted: str | None = None
    loader: LoaderSpec | None = None
    unexpanded: str = "no architecture"
    bad_field: FieldError | None = None
    running: Running = field(default_factory=Running)
    beside: Keys | None = None
    lapses: tuple[Lapse, ...] = ()
    ledger: Ledger = field(default_factory=Ledger)

    @property
    def index(self) -> Index:
        """Rows of the member files."""
        return self.checkpoint.index

    @property
    def joined(self) -> Joined:
        """The join in the files' spelling; only for rules that need `EXPECTED`."""
        if self.spelling is None:
            message = "a rule without Need.EXPECTED asked for the join"
            raise AssertionError(message)
        return self.spelling.joined

    @property
    def wording(self) -> Wording:
        """Return the words for this kind of checkpoint."""
        return GGUF if isinstance(self.config, Keys) else CONFIG

    def refit(self) -> Refit | None:
        """Find the config field that, with another value, would explain most of the ledger."""
        from weightlint.refit import refit

        return refit(self)

    def faults(self, *kinds: FaultKind) -> Iterator[Fault]:
        """Yield the faults of files of these kinds."""
        return (fault for fault in self.checkpoint.faults if fault.kind in kinds)

    def lacks(self, need: Need) -> str | None:
        """Say why a need is not met, or None if it is."""
        match need:
            case Need.TABLE if not len(self.index):
                return "no tensor could be listed"
            case Need.HEADERS if self.checkpoint.names_only:
                return "only an index file was given: no headers, so no dtypes and shapes"
            case Need.CONFIG if self.config is None:
                return f"no {self.checkpoint.config_path}; give one with --config FILE"
            case Need.EXPECTED if self.spelling is None:
                return self.unexpanded
        return None

    @property
    def lacks_ranks(self) -> bool:
        """Tell whether the model is cut and the files of some rank are not there, or not its own."""
        ranks = self.checkpoint.ranks
        odd = {Slip.WORLD, Slip.FOREIGN}
        return ranks is not None and bool(ranks.missing or odd & {lapse.slip for lapse in self.lapses})

    @cached_property
    def lost(self) -> Mapping[str, list[str]]:
        """Tensors that the index file places in files that could not be listed, by file."""
        return self.checkpoint.lost

    @cached_property
    def lost_names(self) -> frozenset[str]:
        """All tensors that the index file places in files that could not be listed."""
        return frozenset(name for names in self.lost.values() for name in names)

    def loss(self, fault: Fault) -> Loss:
        """Return what a fault costs: the tensors that the index file places in its file."""
        from weightlint.names import patterns

        names = self.lost.get(fault.file, [])
        note = f"; the index places {counted(len(names), 'tensor')} in it" if names else ""
        return {"tensors": patterns(names), "note": note}

    def place(self, rows: Iterable[int]) -> Place:
        """Return the place of rows: their names as exact patterns, and their files."""
        from weightlint.names import patterns

        listed = list(rows)
        files = dict.fromkeys(self.index.file(row) for row in listed)
        return Place(tensors=tuple(patterns(self.index.names[row] for row in listed)), files=tuple(files))

    def sibling_files(self, slot: Slot, coords: Iterable[Coord]) -> tuple[str, ...]:
        """Return the files that hold the nearest tensors of the same layer: where one should be."""
        numbers = {coord[0] for coord in coords if coord}
        rows = [
            row
            for other, there in self.joined.matched.items()
            if other.axes[:1] == slot.axes[:1] or other.literals[0] == slot.literals[0]
            for row in there[:: max(1, len(there) // 512)]
            if not numbers or self._number(other, row) in numbers
        ]
        files = [self.index.file(row) for row in rows]
        return tuple(dict.fromkeys(files))[:3]

    def _number(self, slot: Slot, row: int) -> int | None:
        name = self.index.names[row]
        head = slot.literals[0]
        digits = name[len(head) :].split(".", 1)[0] if name.startswith(head) else ""
        return int(digits) if digits.isdigit() else None
