"""The records of a schema, and how they are read from its table.

Knows the language of schema files; nothing of where they are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from weightlint.config import FieldSpec
from weightlint.errors import SchemaError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One tensor line: a name with placeholders below its block's prefix.

    `absent` is how the absence of an optional tensor is judged: `part` if only in some layers. A `transposed` matrix
    is `[in, out]`.
    """

    name: str
    prefix: str
    kind: str
    shape: tuple[str | int, ...]
    conditions: tuple[str, ...] = ()
    over: tuple[str, ...] = ()
    need: str = "required"
    why: str | None = None
    absent: str | None = None
    dtypes: tuple[str, ...] = ()
    tie: str | None = None
    tp: str | None = None
    pp: str | None = None
    quant: bool = True
    transposed: bool = False
    drop: bool = False

    @property
    def pattern(self) -> str:
        """Full name with placeholders."""
        return self.prefix + self.name


@dataclass(frozen=True, slots=True)
class LayoutSpec:
    """An equal alternative: lines in place of the lines with the patterns `drop`.

    `refused` says, of one that is known and that the loader does not take, who takes it or took it.
    """

    name: str
    drop: tuple[str, ...]
    lines: tuple[Line, ...]
    refused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A condition that a loader makes, or should make, over the config.

    `holds` must be true where `when` is and the tensors `has` are there and `lacks` are not; `key` is to
    blame if it is not, `otherwise` says what the loader does then. `covers` are keys and `explains`
    patterns of tensors whose faults have the same cause.
    """

    name: str
    key: str
    holds: str
    why: str
    otherwise: str = "refuses"
    level: str = "error"
    when: str = "True"
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    covers: tuple[str, ...] = ()
    explains: tuple[str, ...] = ()
    cure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """One architecture, as its file says it.

    `dtypes` are the types that a kind of tensor may have unless its line says otherwise. `quantization` is what holds
    where the quantisation table of a config does not say it. With `outer_ones`, outermost dimensions of 1 are of no account. `probe` is the tensor of an MTP layer
    without which a loader asks for nothing of that layer.
    """

    name: str
    architectures: tuple[str, ...] = ()
    model_types: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()
    scope: str | None = None
    outer_ones: bool = False
    probe: str | None = None
    fields: Mapping[str, FieldSpec] = field(default_factory=dict)
    lets: Mapping[str, str] = field(default_factory=dict)
    axes: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[Line, ...] = ()
    layouts: tuple[LayoutSpec, ...] = ()
    ignores: tuple[tuple[str, str], ...] = ()
    checks: tuple[Check, ...] = ()
    dtypes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fp32: tuple[str, ...] = ()
    fp16_hazard: str | None = None
    quantization: Mapping[str, str] = field(default_factory=dict)


def parse(table: Mapping[str, Any], source: str) -> Schema:
    """Build the record of a schema from its table.

    Raises:
        SchemaError: a key is missing or of the wrong type.
    """
    try:
        beside = table.get("beside", ())
        lines = [line for block in table["block"] for line in _lines(block)]
        return Schema(
            name=table["name"],
            architectures=tuple(table.get("architectures", ())),
            model_types=tuple(table.get("model_types", ())),
            fingerprints=tuple(table.get("fingerprints", ())),
            scope=table.get("scope"),
            outer_ones=table.get("outer_ones", False),
            probe=table.get("probe"),
            fields={name: _field(spec) for name, spec in table.get("config", {}).items()},
            lets=dict(table.get("let", {})),
            axes=dict(table.get("axes", {})),
            lines=(*lines, *_companions(beside, lines)),
            layouts=tuple(_layout(layout, beside) for layout in table.get("layout", ())),
            ignores=tuple((it["pattern"], it["why"]) for it in table.get("ignore", ())),
            checks=tuple(map(_check, table.get("check", ()))),
            dtypes=_dtypes(table.get("dtypes", {})),
            fp32=tuple(table.get("fp32", {}).get("names", ())),
            fp16_hazard=table.get("fp16_hazard"),
            quantization=dict(table.get("quantization", {})),
        )
    except (KeyError, TypeError, AttributeError) as error:
        message = f"schema {source}: {type(error).__name__} {error}; `weightlint schema check` says more"
        raise SchemaError(message) from error


def _field(spec: Mapping[str, Any]) -> FieldSpec:
    return FieldSpec(**{**spec, "aliases": tuple(spec.get("aliases", ()))})


def _dtypes(table: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Read the types of each kind; a text in their place names the kind that has the same."""
    return {kind: tuple(table[it] if isinstance(it, str) else it) for kind, it in table.items()}


def _check(entry: Mapping[str, Any]) -> Check:
    read: dict[str, Any] = {key: tuple(it) if isinstance(it, list) else it for key, it in entry.items()}
    return Check(**read)


def _lines(block: Mapping[str, Any]) -> list[Line]:
    shared = [block[key] for key in ("when", "where") if key in block]
    over = tuple(block.get("over", ()))
    return [
        _line(entry, block["prefix"], shared, over) for entry in block["tensors"] if not entry.get("drop")
    ]


def _line(entry: Mapping[str, Any], prefix: str, shared: list[str], over: tuple[str, ...]) -> Line:
    own = [entry[key] for key in ("when", "where") if key in entry]
    plain = {
        key: value
        for key, value in entry.items()
        if key not in {"when", "where", "shape", "dtypes", "origin"}
    }
    return Line(
        prefix=prefix,
        shape=tuple(entry["shape"]),
        conditions=(*shared, *own),
        over=over,
        dtypes=tuple(entry.get("dtypes", ())),
        **plain,
    )


def _layout(table: Mapping[str, Any], beside: Iterable[Mapping[str, Any]]) -> LayoutSpec:
    prefix = table.get("prefix", "")
    lines = _lines({"prefix": "", **table})
    drop = tuple(prefix + name for name in table["drop"])
    return LayoutSpec(table["name"], drop, (*lines, *_companions(beside, lines)), table.get("refused"))


def _companions(beside: Iterable[Mapping[str, Any]], lines: Iterable[Line]) -> Iterator[Line]:
    """Yield the optional lines that may stand beside others, their names made from those."""
    for entry in beside:
        for line in lines:
            if line.name in entry["of"]:
                stem = line.name.rpartition(".")[0]
                for ending in entry["endings"]:
                    yield replace(
                        line,
                        name=f"{stem}.{ending}",
                        kind=entry["kind"],
                        shape=tuple(entry["shape"]),
                        need="optional",
                        why=entry["why"],
                        absent=None,
                        dtypes=tuple(entry.get("dtypes", ())),
                    )
