"""compressed-tensors, which llm-compressor writes: FP8, whole numbers and FP4, each group of modules in a way of its own.

Sources: compressed_tensors 0.20.1, quantization/quant_args.py and quant_scheme.py (keys), quantization/lifecycle/initialize.py (shapes of
scales), compressors/*/base.py (names and packing), utils/match.py (targets and `ignore`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weightlint.compressed import FORMATS, form_of
from weightlint.modules import AnyOf, Listed, OfKind, regexes
from weightlint.quant import Quant
from weightlint.quant_table import GROUPS, bad, inner, said, shown, texts, word
from weightlint.scaled import KV_SCALES
from weightlint.scheme import KINDS, Scheme

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from weightlint.form import Form
    from weightlint.modules import Modules
    from weightlint.quant import Table

_FROZEN = {
    f"*.{of}_{what}": "what a scheme that is not yet applied left"
    for of in ("weight", "input", "output")
    for what in ("scale", "zero_point", "global_scale")
}


def read(table: Table) -> Scheme:
    """Read a table of compressed-tensors."""
    groups = tuple(_groups(table))
    ignored = texts(table, "ignore")
    return Scheme(
        default=next((form for targets, form in groups if any(map(_is_linear, targets))), None),
        groups=(
            (_named(ignored, whole=True), None),
            *((_named(targets, whole=True), form) for targets, form in groups),
            *((OfKind(KINDS), form) for targets, form in groups if any(map(_is_linear, targets))),
        ),
        free=frozenset({"head", "router"} | ({"embedding"} if _has_embeddings(groups) else set())),
        loose=_named([name for name in ignored if not name.startswith("re:")]),
        beside={**KV_SCALES, **({} if all(form for _, form in groups) else _FROZEN)},
    )


def _groups(table: Table) -> Iterator[tuple[tuple[str, ...], Form | None]]:
    """Yield the targets of each group with its form, None where its weights stay plain."""
    for name, group in inner(table, "config_groups").items():
        at = f"config_groups.{name}."
        if not isinstance(group, dict):
            raise bad(at.removesuffix("."), f"is {shown(group)}, not a table")
        own = group if group.get("format") is not None else table
        known = word(own, "format", FORMATS, at=at if own is group else "", default="fakequant")
        yield texts(group, "targets"), form_of(group, known, at=at)


def _named(entries: Iterable[str], *, whole: bool = False) -> Modules:
    """Return the modules that are named in full, or by expressions that begin with `re:`."""
    every = tuple(entries)
    patterns = [name.removeprefix("re:") for name in every if name.startswith("re:")]
    names = [name for name in every if not name.startswith("re:")]
    return AnyOf((Listed(names, whole=whole), regexes(patterns)))


def _is_linear(target: str) -> bool:
    """Tell whether a target names a class of linear modules or of experts."""
    return target.isidentifier() and target[:1].isupper() and target.endswith(("Linear", "LinearBase", *_MOE))


_MOE = ("MoE", "Experts", "ExpertMLP")


def _has_embeddings(groups: Iterable[tuple[tuple[str, ...], Form | None]]) -> bool:
    return any(target.startswith("re:") or "mbed" in target for targets, _ in groups for target in targets)


def _is_known(table: Table) -> bool:
    """Tell whether the names and shapes of these formats are known: those of sparse weights are not."""
    sparse = table.get("sparsity_config")
    formats = [said(it, "format") for it in (table, *_tables(table.get("config_groups")))]
    return (not isinstance(sparse, dict) or said(sparse, "format") in {"", "dense"}) and all(
        not it or it in FORMATS for it in formats
    )


def _tables(value: object) -> list[dict[str, Any]]:
    return [it for it in value.values() if isinstance(it, dict)] if isinstance(value, dict) else []


def _table(format_: str, weights: dict[str, Any], inputs: dict[str, Any] | None = None) -> Table:
    group = {"targets": ["Linear"], "weights": weights, "input_activations": inputs}
    return {"quant_method": "compressed-tensors", "format": format_, "config_groups": {"group_0": group}}


def _guesses() -> Iterator[Table]:
    token = {"num_bits": 8, "strategy": "token", "dynamic": True}
    for strategy in ("channel", "tensor"):
        fp8 = {"num_bits": 8, "type": "float", "strategy": strategy}
        yield _table("float-quantized", fp8, {**token, "type": "float"})
    yield _table(
        "float-quantized",
        {"num_bits": 8, "type": "float", "strategy": "block", "block_structure": [128, 128]},
    )
    for strategy in ("channel", "tensor"):
        whole = {"num_bits": 8, "type": "int", "strategy": strategy}
        yield _table("int-quantized", whole, {**token, "type": "int"})
    for size in (128, 64, 32):
        grouped = {"num_bits": 8, "type": "int", "strategy": "group", "group_size": size}
        yield _table("int-quantized", grouped, {**token, "type": "int"})
    for symmetric in (True, False):
        for bits in (4, 8, 2, 3, 5, 6):
            for size in GROUPS:
                how = {"strategy": "group", "group_size": size} if size > 0 else {"strategy": "channel"}
                yield _table(
                    "pack-quantized", {"num_bits": bits, "type": "int", **how, "symmetric": symmetric}
                )
    small = {"type": "float", "strategy": "group", "group_size": 32}
    fp4 = {"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16}
    yield _table("nvfp4-pack-quantized", fp4, {**fp4, "dynamic": "local"})
    yield _table("nvfp4-pack-quantized", fp4)
    yield _table("mxfp4-pack-quantized", {"num_bits": 4, **small})
    yield _table("mxfp6-pack-quantized", {"num_bits": 6, **small})
    yield _table("mxfp8-quantized", {"num_bits": 8, **small})


QUANT = Quant(
    name="compressed_tensors",
    title="compressed-tensors",
    declared=lambda table: (
        said(table, "quant_method") in {"compressed-tensors", "compressed_tensors"} and _is_known(table)
    ),
    read=read,
    excluding="ignore",
    guesses=tuple(_guesses()),
)
