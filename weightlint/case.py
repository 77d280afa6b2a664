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
    from weightlint.finding import Finding
    from weightlint.index import Fault, FaultKind, Index
    from weightlint.join import Joined
    from weightlint.limits.refusal import Refusal
    from weightlint.loader import Release
    from weightlint.loader_age import Objections
    from weightlint.loading.contract import Contract
    from weightlint.loading.prediction import Prediction
    from weightlint.names import Coord
    from weightlint.plan import Plan
    from weightlint.quant import Quant
    from weightlint.ranking.lapse import Lapse
    from weightlint.recognising import Recognised
    from weightlint.refit import Refit
    from weightlint.schema import Schema
    from weightlint.scheme import Scheme
    from weightlint.spelling import Spelling
    from weightlint.spread import Spread
    from weightlint.verifying.tally import Tally
    from weightlint.wording import Wording


class Loss(TypedDict):
    """What is lost with a file, in words that `Rule.told` takes."""

    tensors: list[str]
    note: str


@dataclass
class Case:
    """One checkpoint under check, with what it should be.

    `bare` is the expectation of the schema alone, `quant` what the config declares, `recognised` what the tensors are where that is
    something else, `scheme` the one that holds. `plain` is the expectation of schema and scheme in the schema's own names; `joined` that of the
    files' spelling, `wanted` the dialect that the user asks for. `loader` is the framework that is to read it,
    `plan` how it is to be spread over processes; either may be unknown. `unexpanded` says why there is no
    expectation, `bad_field` which field is to blame for it. `running` is how the checkpoint is meant to be
    run, `lapses` are what does not add up between the ranks of a checkpoint that is cut. `beside` are the keys of a GGUF file that is held against a config.
    `aged` is what only the age of the loader's release explains, by the first release without it. `tally` is what
    was seen of the bytes, None where nobody asked. `told` are the findings of the rules that have spoken.
    """

    checkpoint: Checkpoint
    config: Config | None = None
    arch: str | None = None
    schema: Schema | None = None
    quant: Quant | None = None
    scheme: Scheme | None = None
    recognised: Recognised | None = None
    bare: Expected | None = None
    plain: Expected | None = None
    spelling: Spelling | None = None
    wanted: str | None = None
    unexpanded: str = "no architecture"
    bad_field: FieldError | None = None
    running: Running = field(default_factory=Running)
    loader: Release | None = None
    plan: Plan | None = None
    beside: Keys | None = None
    lapses: tuple[Lapse, ...] = ()
    ledger: Ledger = field(default_factory=Ledger)
    aged: Mapping[str, Objections] = field(default_factory=dict)
    tally: Tally | None = None
    told: list[Finding] = field(default_factory=list)

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

    @cached_property
    def contract(self) -> Contract | None:
        """What is known of how the loader reads, None without a loader or where nothing is known."""
        from weightlint.loading.prediction import contract_of

        return contract_of(self.loader) if self.loader is not None else None

    @cached_property
    def prediction(self) -> Prediction | str:
        """What the loader will do with each tensor on each rank, or why that is not known."""
        from weightlint.loading.prediction import predict

        return predict(self)

    @property
    def seen(self) -> Tally:
        """What was seen of the bytes; only for rules that need `BYTES`."""
        if self.tally is None:
            message = "a rule without Need.BYTES asked for the bytes"
            raise AssertionError(message)
        return self.tally

    @cached_property
    def damaged(self) -> frozenset[tuple[str, str]]:
        """File and name of the tensors whose bytes are known to be others than written down."""
        from weightlint.verifying.damage import damaged

        return damaged(self.seen)

    def refit(self) -> Refit | None:
        """Find the config field that, with another value, would explain most of the ledger."""
        from weightlint.refit import refit

        return refit(self)

    def faults(self, *kinds: FaultKind) -> Iterator[Fault]:
        """Yield the faults of files of these kinds."""
        return (fault for fault in self.checkpoint.faults if fault.kind in kinds)

    @property
    def unasked(self) -> frozenset[Need]:
        """What the user has not asked for: rules that need it are not even skipped."""
        given = {Need.PLAN: self.plan, Need.LOADER: self.loader, Need.BYTES: self.tally}
        out = frozenset(need for need, value in given.items() if value is None)
        if self.loader is not None and self.loader.loader.name == "llama_cpp":
            # the schemas of GGUF files are themselves what this loader does with each tensor
            return out | {Need.PREDICTION}
        return out

    def lacks(self, need: Need) -> str | None:
        """Say why a need is not met, or None if it is."""
        match need:
            case Need.TABLE if not len(self.index):
                return "no tensor could be listed"
            case Need.HEADERS if self.checkpoint.names_only:
                return "only an index file was given: no headers, so no dtypes and shapes"
            case Need.CONFIG if self.config is None:
                return f"no {self.checkpoint.config_path}; give one with --config FILE"
            case Need.PLAN if self.plan is None:
                return "no plan given"
            case Need.EXPECTED if self.spelling is None:
                return self.unexpanded
            case Need.LOADER if self.loader is None:
                return "no --loader given"
            case Need.PREDICTION if isinstance(self.prediction, str):
                return self.prediction
        return None

    @property
    def lacks_ranks(self) -> bool:
        """Tell whether the model is cut and the files of some rank are not there, or not its own."""
        ranks = self.checkpoint.ranks
        odd = {Slip.WORLD, Slip.FOREIGN}
        return ranks is not None and bool(ranks.missing or odd & {lapse.slip for lapse in self.lapses})

    @cached_property
    def spread(self) -> Spread | None:
        """The plan laid over the expectation, None where one of them is not known."""
        from weightlint.spread import Spread

        if self.plan is None or self.plain is None:
            return None
        spelt = self.spelling is not None and (self.spelling.native or self.spelling.dialect.name == "hf")
        expected = self.joined.expected if spelt else self.plain
        return Spread(self.plan, expected, self.loader, self.plain.layouts)

    @cached_property
    def refusals(self) -> tuple[Refusal, ...]:
        """What the plan breaks on."""
        from weightlint.limits.gathered import gather

        return gather(self.spread) if self.spread is not None else ()

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
