"""How one release reads models of some schemas, as data: the records of a contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weightlint.loading.ways import Raises, Shared, Way


class Fuse(NamedTuple):
    """Matrices that stand one above the other in one parameter, in this order.

    Where one of the parts is not expected at all, the others keep their own parameters. `whole` says that the
    checkpoint has the parts in one tensor of the parameter's name. `blocks` is false where the places of block scales
    are counted in rows of the weight. `paired` parts are put together before they are copied. `holds` is the
    framework's class of the module, if that reads its tensors itself.
    """

    into: str
    parts: tuple[str, ...]
    whole: bool = False
    blocks: bool = True
    paired: bool = False
    holds: str = ""


class Experts(NamedTuple):
    """Routed experts, stacked: `path` is what follows `experts.` in the parameters' names.

    `gate`, `up` and `down` are the projections as the checkpoint calls them; gate above up is one parameter. `fits` is a
    way of `copying.Expert`. `refine` is the smallest block to which scales are refined where a rank's share ends inside
    one, 0 where such a share is refused; `uneven` are the words where the ranks do not divide an expert.
    `stacked` is the name of a tensor with gate above up, of one expert or of all. `over` is
    `tp` where experts are dealt to the ranks of tp whatever the degree of expert parallelism. `shared` tells when the
    shared expert is one more of them, None for never.
    """

    path: str = ""
    gate: str = "gate_proj"
    up: str = "up_proj"
    down: str = "down_proj"
    fits: str = "narrow"
    refine: int = 0
    uneven: str | None = None
    stacked: str = ""
    over: str = "ep"
    shared: Shared | None = None


class Omit(NamedTuple):
    """Tensors of the schema for which the framework makes no parameter.

    Those whose names end with one of `ends`, unless the config has one of the values of `unless`.
    """

    ends: tuple[str, ...]
    unless: Mapping[str, Any] | None = None


class Quantised(NamedTuple):
    """Which weights a framework quantises if the config declares FP8 with one scale per block.

    `lists` are the keys of the quantisation table of which the first that is not empty names the modules left
    plain, `fused` the parameters whose parts are looked up there one by one. Modules whose names end with one of
    `nameless` are looked up nowhere, routers only with `routers`, experts only with `experts`. `text` is of the
    exception where only some parts of a fused parameter are in the list. With `paths` an entry holds for all that lies below it. `fused_if` are further fused parameters with
    the config fields of which one must have a value.
    """

    lists: tuple[str, ...] = ()
    fused: tuple[str, ...] = ()
    nameless: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    routers: bool = False
    experts: bool = False
    paths: bool = False
    text: str = ""
    fused_if: Mapping[str, str] | None = None


class Own(NamedTuple):
    """Parameters that the framework makes beside those of the schema, for each module that ends with `module`.

    `shape` may name `experts`, the rank's number of them; `when` restricts it to `quantised` or `plain` models. Unless
    `default`, they are told as never written; `sound` ones have a value that serves nevertheless.
    """

    module: str
    names: tuple[str, ...]
    shape: tuple[int | str, ...] = ()
    dtype: str = "float32"
    when: str = ""
    default: bool = True
    sound: bool = True


class Retype(NamedTuple):
    """The dtype that the framework gives to parameters whose names end with `of`, whatever the file has."""

    of: str
    dtype: str


class Assertion(NamedTuple):
    """A size of the config that must divide, checked while the model is built.

    `field` must be a multiple of the ranks of a kind, `by`; with `replicates` it may be a divisor of them as well; with `at_least` it only
    must not be smaller. It is checked before the first tensor of a layer whose name contains `before`, or before any for `layers`.
    """

    field: str
    by: str = "tp"
    replicates: bool = False
    at_least: bool = False
    before: str = "layers"
    kind: str = "AssertionError"
    text: str = ""


class Stages(NamedTuple):
    """What every pipeline stage must have: a tensor whose name contains `has`, else the constructor raises."""

    has: str = ""
    kind: str = ""
    text: str = ""


class Draft(NamedTuple):
    """A model of the MTP layers alone: what belongs to a decoder layer stands in the module `into` of each.

    Names that contain one of `unless` do not; `keeps` are tensors outside the layers that it has as well.
    """

    into: str
    unless: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()


class Texts(NamedTuple):
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


class Completeness(NamedTuple):
    """What the framework's own check after loading asks for; nothing where `kinds` is empty.

    `kinds` are kinds of slots, `*` for all; `quantised` tells whether it looks at a quantised model. `text` is what
    it says, with `{names}`.
    """

    kinds: tuple[str, ...] = ()
    quantised: bool = False
    text: str = ""


class Scope(NamedTuple):
    """The steps for names below `prefix`, which is taken off; `holds` is the framework's name of the module."""

    prefix: str = ""
    holds: str = ""
    steps: tuple[Mapping[str, Any], ...] = ()


class Family(NamedTuple):
    """How one release reads models of some schemas, with `architectures` only those whose config names one of them.

    `everywhere` are modules that each pipeline stage has, `tied` is `own`, `shared` or `first`: whether a tied head has a
    parameter of its own. `defaults` are config fields that the framework's own config class adds, `pretends` those that it takes
    for something whatever the config says. `pipelined` is false
    where every rank builds all layers. `before` are steps for every name, then `scopes` are tried, the longest prefix
    first. `modules` are names of modules without parameters, by the end of the module that has them. `bare` are ends of modules
    of torch's own classes. `order` are texts of names in the order in which a layer builds its modules, where that
    is not the schema's. With `expert_parallel` it holds only where experts are parallel. `refuses` is what the
    constructor of the experts raises whatever the config, `after` what comes after the last tensor. `classes` are the framework's class names where they are not those of the config.
    """

    name: str
    archs: tuple[str, ...]
    versions: str = ""
    architectures: tuple[str, ...] = ()
    draft: Draft | None = None
    fuse: tuple[Fuse, ...] = ()
    experts: Experts = Experts()
    omit: tuple[Omit, ...] = ()
    quantised: Quantised = Quantised()
    bare: tuple[str, ...] = ()
    modules: Mapping[str, Any] = None  # type: ignore[assignment] # filled in by the reader of the file
    order: tuple[str, ...] = ()
    own: tuple[Own, ...] = ()
    dtypes: tuple[Retype, ...] = ()
    asserts: tuple[Assertion, ...] = ()
    texts: Texts = Texts()
    ways: tuple[Way, ...] = ()
    expert_parallel: bool = False
    refuses: Raises | None = None
    after: Raises | None = None
    completeness: Completeness = Completeness()
    before: tuple[Mapping[str, Any], ...] = ()
    scopes: tuple[Scope, ...] = ()
    stages: Stages = Stages()
    everywhere: tuple[str, ...] = ()
    tied: str = "own"
    pipelined: bool = True
    vocab_pad: int = 64
    traits: frozenset[str] = frozenset()
    pretends: Mapping[str, Any] = None  # type: ignore[assignment] # filled in by the reader of the file
    defaults: Mapping[str, int] = None  # type: ignore[assignment] # filled in by the reader of the file
    classes: Mapping[str, str] = None  # type: ignore[assignment] # filled in by the reader of the file
