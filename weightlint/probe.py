"""What to measure on bytes, and what was measured: jobs, rows, and the protocols of probe and runner.

A job is a run of bytes of one file, a row what one pass over them gave. Both are plain values that can be sent to
another process or machine and written as JSON. Knows nothing of numpy, threads or clusters.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping


class Span(NamedTuple):
    """The bytes [start, stop) of a file that hold one tensor.

    `dtype` is the house's spelling, None for bytes that are only hashed: the header and the padding between
    tensors. `scale` tells of scales that no quantiser writes negative. `unit` are the bytes that are never cut: a
    number, a block, a row that begins with a scale of its own. `slices` is the number of equal parts that are
    hashed apart: the experts that are stacked in it. `prints` are the hashes that a manifest gives for them.
    """

    name: str
    dtype: str | None
    start: int
    stop: int
    shape: tuple[int, ...] = ()
    scale: bool = False
    unit: int = 1
    slices: int = 1
    prints: tuple[str, ...] = ()


class Crc(NamedTuple):
    """The bytes [start, stop) of a ZIP record and the CRC-32 that the archive gives for them."""

    name: str
    start: int
    stop: int
    crc: int


class Hash(NamedTuple):
    """The bytes [start, stop) that are to be hashed, by a name that hashlib knows or `git-sha1`."""

    algorithm: str
    start: int
    stop: int

    @property
    def key(self) -> str:
        """Return what tells this hash from the others of a file."""
        return f"{self.algorithm}:{self.start}-{self.stop}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The bytes [start, stop) of one file of `size` bytes, and what to find out about them.

    `key` tells it from every other job, of this run or another. Spans are in the order of the file and do not
    overlap. `prints` asks for xxh3 hashes of 128 bits, one for each
    slice of a span; `values` for a look at the numbers.
    """

    key: str
    file: str
    size: int
    start: int
    stop: int
    spans: tuple[Span, ...]
    crcs: tuple[Crc, ...] = ()
    hashes: tuple[Hash, ...] = ()
    prints: bool = False
    values: bool = True


class Spot(NamedTuple):
    """One place where a value is wrong: `offset` is its byte in the file, `what` the kind of wrong."""

    what: str
    offset: int


MOST_SQUARES = 1e300
"""The largest sum of squares that is told: of doubles it may have none, and sums of many tensors must have one."""


class Stats(NamedTuple):
    """What one tensor's bytes hold. `counts` are wrong values by kind, `spots` the first places of each.

    `absmax` is the largest finite magnitude, of a block type that of its scales, and `peak` its byte in the file.
    `squares` sums the squares of `sampled` values, `median` is that of the block scales to a power of two.
    `prints` are hashes of the slices, `samples` hashes of a sample of each.
    """

    absmax: float = 0.0
    peak: int = 0
    squares: float = 0.0
    sampled: int = 0
    median: float = 0.0
    counts: tuple[tuple[str, int], ...] = ()
    spots: tuple[Spot, ...] = ()
    samples: tuple[str, ...] = ()
    prints: tuple[str, ...] = ()

    def wrong(self, what: str) -> int:
        """Return how many values are wrong in this way: `nan`, `inf` or `negative`."""
        return dict(self.counts).get(what, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one pass over a job's bytes gave.

    `version` changes when the file does. `digests` are by the key of their hash. `stats` has one entry for each span of the job, `zeros` runs of at least a page
    of zero bytes as [start, stop), `crcs` the records whose checksum is another one, `errors` what could not be read:
    offset, bytes wanted, bytes got, why. `node` is the machine.
    """

    key: str
    version: str
    read: int
    seconds: float
    digests: dict[str, str] = field(default_factory=dict)
    stats: tuple[Stats, ...] = ()
    zeros: tuple[tuple[int, int], ...] = ()
    crcs: tuple[str, ...] = ()
    errors: tuple[tuple[int, int, int, str], ...] = ()
    node: str = ""


class Probe(Protocol):
    """Something that can be measured on bytes; it can be sent to another process."""

    def __call__(self, job: Job, told: Callable[[int], None], /) -> Row:
        """Read the bytes of a job once, telling how many have been read since the last call."""


class Option(NamedTuple):
    """What a runner can be told: `--name METAVAR`. `number` asks for a whole number from 1 on."""

    name: str
    metavar: str
    says: str
    number: bool = False


class Runner(Protocol):
    """A way of getting jobs done."""

    @property
    def name(self) -> str:
        """Return the public name."""

    @property
    def options(self) -> tuple[Option, ...]:
        """Return what it can be told."""

    def configured(self, given: Mapping[str, Any]) -> Runner:
        """Return this runner with values for some of its options, by name."""

    def run(self, jobs: Iterable[Job], probe: Probe, told: Callable[[int], None]) -> Iterator[Row]:
        """Yield the row of each job, in the order in which they are done."""


@runtime_checkable
class Widespread(Runner, Protocol):
    """A runner that reaches several machines."""

    def run_on_each(self, jobs: Iterable[Job], probe: Probe, told: Callable[[int], None]) -> Iterator[Row]:
        """Yield the row of each job on each machine; its `node` is the machine's name."""
