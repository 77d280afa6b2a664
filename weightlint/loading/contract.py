"""A loader's contract: what can be said as data about how a framework reads a family of models.

A contract file is TOML or JSON (`schemas/_meta/contract.schema.json`); the built-in ones lie in
`schemas/contracts/`, and one that was recorded may stand in for them. Knows nothing of checkpoints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weightlint.version import within

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weightlint.loading.fault import Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Fuse:
    """Matrices that stand one above the other in one parameter, in this order.

    Where one of the parts is not expected at all, the others keep their own parameters. `short` is `pad` where a part
    that ends early is filled up with zeros. `whole` says that the checkpoint has the parts in one tensor of the
    parameter's name. `blocks` is false where the places of block scales are counted in rows of the weight.
    `holds` is the framework's class of the module, if that reads its tensors itself.
    """

    into: str
    parts: tuple[str, ...]
    short: str = "error"
    whole: bool = False
    blocks: bool = True
    holds: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experts:
    """Routed experts, stacked: `path` is what follows `experts.` in the parameters' names.

    `gate`, `up` and `down` are the projections as the checkpoint calls them; gate above up is one parameter. `fits` is a
    way of `copying.Expert`. `refine` is the smallest block to which scales are refined where a rank's share ends inside
    one, 0 where such a share is refused; `text` is the assertion's where the share itself is no whole number, which is
    rounded down with `rounds`. `stacked` is the name of a tensor with gate above up, of one expert or of all.
    """

    path: str = ""
    gate: str = "gate_proj"
    up: str = "up_proj"
    down: str = "down_proj"
    fits: str = "narrow"
    refine: int = 0
    text: str = ""
    rounds: bool = False
    stacked: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Omit:
    """Tensors of the schema for which the framework makes no parameter.

    Those whose names end with one of `ends`, unless the config has one of the values of `unless`.
    """

    ends: tuple[str, ...]
    unless: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantised:
    """Which weights a framework quantises if the config declares FP8 with one scale per block.

    `lists` are the keys of the quantisation table of which the first that is not empty names the modules left
    plain, `fused` the parameters whose parts are looked up there one by one. Modules whose names end with one of
    `nameless` are looked up nowhere, routers only with `routers`, experts only with `experts`. `text` is of the
    exception where only some parts of a fused parameter are in the list. `fused_if` are further fused parameters with
    the config fields of which one must have a value.
    """

    lists: tuple[str, ...] = ()
    fused: tuple[str, ...] = ()
    nameless: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    routers: bool = False
    experts: bool = False
    text: str = ""
    fused_if: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """Parameters that the framework makes beside those of the schema, for each module that ends with `module`."""

    module: str
    names: tuple[str, ...]
    shape: tuple[int, ...] = ()
    dtype: str = "float32"
    when: str = ""
    default: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Retype:
    """The dtype that the framework gives to parameters whose names end with `of`, whatever the file has."""

    of: str
    dtype: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """A size of the config that must divide, checked while the model is built.

    `field` must be a multiple of tp; with `replicates` it may be a divisor of it as well; with `least` it must only not
    be smaller. It is checked before the first tensor of a layer whose name contains `at`.
    """

    field: str
    replicates: bool = False
    least: bool = False
    at: str = ""
    kind: str = "AssertionError"
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """What every pipeline stage must have: a tensor whose name contains `has`, else the constructor raises."""

    has: str = ""
    kind: str = ""
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
    where every rank builds all layers. `before` are steps for every name, then `scopes` are tried, the longest prefix
    first. `bare` are ends of modules
    of torch's own classes. `order` are texts of names in the order in which a layer builds its modules, where that
    is not the schema's. `classes` are the framework's class names where they are not those of the config.
    """

    name: str
    archs: tuple[str, ...]
    versions: str = ""
    fuse: tuple[Fuse, ...] = ()
    experts: Experts = Experts()
    omit: tuple[Omit, ...] = ()
    quantised: Quantised = Quantised()
    bare: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    own: tuple[Own, ...] = ()
    dtypes: tuple[Retype, ...] = ()
    asserts: tuple[Assertion, ...] = ()
    texts: Texts = Texts()
    completeness: Completeness = Completeness()
    before: tuple[Mapping[str, Any], ...] = ()
    scopes: tuple[Scope, ...] = ()
    stages: Stages = Stages()
    everywhere: tuple[str, ...] = ()
    tied: str = "own"
    pipelined: bool = True
    vocab_pad: int = 64
    traits: frozenset[str] = frozenset()
    defaults: Mapping[str, int] = None  # type: ignore[assignment] # filled in by the reader of the file
    classes: Mapping[str, str] = None  # type: ignore[assignment] # filled in by the reader of the file


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """One framework's families and known faults; `recorded` are the releases that they were held against.

    `unknown` gives for a schema the releases that do not know its architecture.
    """

    loader: str
    says: str
    recorded: tuple[str, ...]
    families: tuple[Family, ...]
    faults: tuple[Fault, ...] = ()
    unknown: Mapping[str, str] | None = None

    def family(self, arch: str, version: str) -> Family | None:
        """Return the family of a schema in a release, None where the contract knows nothing of it.

        Of several the last one holds, so that a file may first say what is usual and then what is not.
        """
        fitting = (it for it in reversed(self.families) if arch in it.archs and within(version, it.versions))
        return next(fitting, None)
