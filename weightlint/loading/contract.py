"""A loader's contract: what can be said as data about how a framework reads a family of models.

A contract file is TOML or JSON (`schemas/_meta/contract.schema.json`); the built-in ones lie in
`schemas/contracts/`, and one that was recorded may stand in for them. Knows nothing of checkpoints.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

from weightlint.errors import SchemaError
from weightlint.loading.fault import Fault
from weightlint.version import within

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fuse:
    """Matrices that stand one above the other in one parameter, in this order.

    `when` is a name of the schema's that must be there; where one of the parts is not expected at all, the others
    keep their own parameters. `short` is `pad` where a part that ends early is filled up with zeros.
    """

    into: str
    parts: tuple[str, ...]
    short: str = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Experts:
    """Routed experts, stacked: `path` is what follows `experts.` in the parameters' names.

    `gate`, `up` and `down` are the projections as the checkpoint calls them; gate above up is one parameter. `fits` is a
    way of `copying.Expert`. `fused_shared` is the class of config for which the shared expert is one more slot.
    """

    path: str = ""
    gate: str = "gate_proj"
    up: str = "up_proj"
    down: str = "down_proj"
    fits: str = "narrow"


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

    `field` must be a multiple of tp; with `replicates` it may be a divisor of it as well.
    """

    field: str
    replicates: bool = False
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
    where every rank builds all layers. `scopes` are tried in order, the longest prefix first.
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
    completeness: Completeness = Completeness()
    scopes: tuple[Scope, ...] = ()
    everywhere: tuple[str, ...] = ()
    tied: str = "own"
    pipelined: bool = True
    vocab_pad: int = 64
    traits: frozenset[str] = frozenset()
    defaults: Mapping[str, int] = None  # type: ignore[assignment] # filled in by `made`


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


_NESTED: dict[str, type[Any]] = {
    "fuse": Fuse,
    "experts": Experts,
    "own": Own,
    "dtypes": Retype,
    "asserts": Assertion,
    "texts": Texts,
    "completeness": Completeness,
    "scopes": Scope,
}


def _made(cls: type[T], table: Mapping[str, Any], where: str) -> T:
    """Build a record from a table, nested ones as well; lists become tuples.

    Raises:
        SchemaError: a key that the record does not have.
    """
    known = {field.name for field in fields(cls)}  # type: ignore[arg-type] # all are dataclasses
    if unknown := sorted(table.keys() - known):
        message = f"{where}: unknown key {unknown[0]}"
        raise SchemaError(message)
    values = {key: _value(key, value, where) for key, value in table.items()}
    if cls is Family:
        values["defaults"] = dict(table.get("defaults", {}))
        values["traits"] = frozenset(table.get("traits", ()))
    return cls(**values)


def _value(key: str, value: Any, where: str) -> Any:
    kind = _NESTED.get(key)
    if kind is not None:
        if isinstance(value, dict):
            return _made(kind, value, f"{where}.{key}")
        return tuple(_made(kind, row, f"{where}.{key}") for row in value)
    return tuple(value) if isinstance(value, list) else value


def parse(table: Mapping[str, Any], source: str) -> Contract:
    """Build a contract from its table.

    A family may say `like = "NAME"`: it is then that family with what it says itself in place of the other's.

    Raises:
        SchemaError: a key is missing or unknown.
    """
    made: dict[str, Mapping[str, Any]] = {}
    families = []
    for row in table.get("family", ()):
        base = made.get(row.get("like", ""), {})
        whole = {**base, **{key: value for key, value in row.items() if key != "like"}}
        made[whole["name"]] = whole
        families.append(_made(Family, whole, f"{source}: {whole['name']}"))
    return Contract(
        loader=table["loader"],
        says=table["says"],
        recorded=tuple(table.get("recorded", ())),
        families=tuple(families),
        faults=tuple(_made(Fault, row, f"{source}: {row.get('name')}") for row in table.get("fault", ())),
        unknown=dict(table.get("unknown", {})),
    )


def load(path: Path) -> Contract:
    """Read a contract file, TOML or JSON.

    Raises:
        SchemaError: it cannot be read or is none.
    """
    try:
        raw = path.read_bytes()
        text = raw.decode()
        table = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        return parse(table, str(path))
    except (OSError, ValueError, KeyError) as error:
        message = f"{path} is no contract: {error}"
        raise SchemaError(message) from error
