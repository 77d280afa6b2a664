"""How one release reads models of some schemas, as data: the records of a contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weightlint.loading.ways import Raises, Way


@dataclass(frozen=True, slots=True, kw_only=True)
class Fuse:
    """Matrices that stand one above the other in one parameter, in this order.

    Where one of the parts is not expected at all, the others keep their own parameters. `paired` parts are
    put together before they are copied.
    """

    into: str
    parts: tuple[str, ...]
    paired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """When the shared expert is loaded into the stack of the routed ones, behind the last of them.

    `module` is its name; `where` are the values of config fields that it takes. Not where experts are parallel, unless
    `with_ep`; `per_rank` where each rank of tp adds a copy. `gathers` are the tensors that must all be there before
    anything is copied, `gathers_plain` those of a model that is not quantised.
    """

    module: str
    where: Mapping[str, int]
    with_ep: bool = False
    per_rank: bool = False
    gathers: tuple[str, ...] = ()
    gathers_plain: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Experts:
    """Routed experts, stacked: `path` is what follows `experts.` in the parameters' names.

    `gate`, `up` and `down` are the projections as the checkpoint calls them; gate above up is one parameter. `fits` is a
    way of `copying.Expert`. `shared` tells when the shared expert is one more slot, None for never; `uneven` are the
    words where the ranks do not divide an expert. `over` is `tp` where experts are dealt to the ranks of tp whatever
    the degree of expert parallelism.
    """

    path: str = ""
    gate: str = "gate_proj"
    up: str = "up_proj"
    down: str = "down_proj"
    fits: str = "narrow"
    uneven: str | None = None
    over: str = "ep"
    shared: Shared | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """Parameters that the framework makes beside those of the schema, for each module that ends with `module`.

    `shape` may name `experts`, the rank's number of them. Unless `default`, they are told as never written; `sound`
    ones have a value that serves nevertheless.
    """

    module: str
    names: tuple[str, ...]
    shape: tuple[int | str, ...] = ()
    dtype: str = "float32"
    when: str = ""
    default: bool = True
    sound: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Retype:
    """The dtype that the framework gives to parameters whose names end with `of`, whatever the file has."""

    of: str
    dtype: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """A size of the config that must divide, checked while the model is built.

    `field` must be a multiple of the ranks of a kind, `by`; with `replicates` it may be a divisor of them as well, with
    `at_least` it only must not be smaller. `before` is the module, `layers` or `experts`, that asks first.
    """

    field: str
    by: str = "tp"
    replicates: bool = False
    at_least: bool = False
    before: str = "layers"
    kind: str = "AssertionError"
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """The words of the framework's assertions; `{tensor}` and `{param}` are shapes as torch writes them."""

    plain: str = ""
    replicated: str = ""
    sliced: str = ""
    vocabulary: str = ""
    divide: str = "{size} is not divisible by {ways}"
    block_rows: str = ""
    block_columns: str = ""
    expert_rows: str = ""
    expert_columns: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness:
    """What the framework's own check after loading asks for; nothing where `kinds` is empty.

    `kinds` are kinds of slots, `*` for all; `quantised` tells whether it looks at a quantised model. `text` is what
    it says, with `{names}`.
    """

    kinds: tuple[str, ...] = ()
    quantised: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The steps for names below `prefix`, which is taken off; `holds` is the framework's name of the module."""

    prefix: str = ""
    holds: str = ""
    steps: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How one release reads models of some schemas.

    `everywhere` are modules that each pipeline stage has, `tied` is `own`, `shared` or `first`: whether a tied head has a
    parameter of its own. `defaults` are config fields that the framework's own config class adds. `pipelined` is false
    where every rank builds all layers. `scopes` are tried in order, the longest prefix first. With `expert_parallel` it
    holds only where experts are parallel. `refuses` is what the constructor of the experts raises whatever the config,
    `after` what comes after the last tensor.
    """

    name: str
    archs: tuple[str, ...]
    versions: str = ""
    fuse: tuple[Fuse, ...] = ()
    experts: Experts = Experts()
    own: tuple[Own, ...] = ()
    dtypes: tuple[Retype, ...] = ()
    asserts: tuple[Assertion, ...] = ()
    texts: Texts = Texts()
    ways: tuple[Way, ...] = ()
    expert_parallel: bool = False
    refuses: Raises | None = None
    after: Raises | None = None
    completeness: Completeness = Completeness()
    scopes: tuple[Scope, ...] = ()
    everywhere: tuple[str, ...] = ()
    tied: str = "own"
    pipelined: bool = True
    vocab_pad: int = 64
    traits: frozenset[str] = frozenset()
    defaults: Mapping[str, int] = None  # type: ignore[assignment] # filled in by `made`
