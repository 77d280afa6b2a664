"""AMD Quark: FP8, whole numbers of eight bits and the small floats of OCP, for each pattern of modules in a way of its own.

Sources: vllm 0.33.0, quantization/quark/quark.py (keys, which schemes are read) and schemes/quark_ocp_mx.py (packing); transformers 5.24.0,
quantizers/quantizer_quark.py (names).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.form import Form, Part
from weightlint.modules import AnyOf, Listed, regexes, wildcards
from weightlint.quant import Quant
from weightlint.quant_table import above_zero, inner, said, texts, word
from weightlint.scaled import (
    DYNAMIC,
    FP8_NUMBERS,
    INTEGERS,
    KV_SCALES,
    POWERS,
    numbers,
    per_channel,
    per_group,
    per_tensor,
    scale,
    single,
    spare,
)
from weightlint.scheme import Scheme

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weightlint.modules import Modules
    from weightlint.quant import Table
    from weightlint.scaled import Sides

SMALL = {"fp4": 4, "fp6_e2m3": 6, "fp6_e3m2": 6}
WHOLE = {"fp8_e4m3": FP8_NUMBERS, "int8": INTEGERS}
SCHEMES = frozenset({"per_tensor", "per_channel", "per_group"})


def form(layer: Table, at: str) -> Form | None:
    """Return the form of a part of the table, None where its weights stay plain.

    Raises:
        BadFieldError: the settings cannot be.
    """
    weight = inner(layer, "weight", at=at)
    if not weight:
        return None
    where = f"{at}weight."
    dtype = word(weight, "dtype", {*SMALL, *WHOLE}, at=where)
    scheme = word(weight, "qscheme", SCHEMES, at=where, default="per_tensor")
    group = above_zero(weight, "group_size", at=where) if scheme == "per_group" else 0
    sides: Sides = per_group(group) if group else per_channel if scheme == "per_channel" else per_tensor
    return Form(
        name="quark",
        bits=SMALL.get(dtype, 8),
        block=(1, group or 1),
        says=f"dtype {dtype}, qscheme {scheme}" + (f", group_size {group}" if group else ""),
        parts=(*_weight(dtype, sides), *_inputs(layer, at)),
    )


def _weight(dtype: str, sides: Sides) -> Iterator[Part]:
    if dtype in SMALL:
        bits = SMALL[dtype]
        yield Part(
            end="weight", dtypes=frozenset({"U8"}), sides=lambda out, into: (out, into.packed(bits, 8))
        )
        yield scale(sides, dtypes=POWERS)
    else:
        yield numbers(WHOLE[dtype])
        yield scale(sides)
    yield spare("weight_zero_point", "the numbers are symmetric")


def _inputs(layer: Table, at: str) -> Iterator[Part]:
    """Yield the scales of inputs and outputs."""
    inputs = inner(layer, "input_tensors", at=at)
    fixed = bool(inputs) and not inputs.get("is_dynamic") and inputs.get("qscheme") == "per_tensor"
    yield single("input_scale") if fixed else DYNAMIC
    for end in ("input_zero_point", "output_scale", "output_zero_point"):
        yield spare(end, "activations are symmetric; outputs are quantised for the cache only")


def read(table: Table) -> Scheme:
    """Read a table of Quark."""
    layers = inner(table, "layer_quant_config")
    return Scheme(
        default=form(inner(table, "global_quant_config"), "global_quant_config."),
        groups=(
            (_named(texts(table, "exclude")), None),
            *((_named([name]), form(inner(layers, name), f"layer_quant_config.{name}.")) for name in layers),
        ),
        free=frozenset({"head", "router"}),
        beside=KV_SCALES,
    )


def _named(entries: Sequence[str]) -> Modules:
    """Return modules by name, by shell pattern, or by an expression that begins with `re:`."""
    patterns = [name.removeprefix("re:") for name in entries if name.startswith("re:")]
    names = [name for name in entries if not name.startswith("re:")]
    wild = [name for name in names if set(name) & set("*?[")]
    return AnyOf((Listed([name for name in names if name not in wild]), wildcards(wild), regexes(patterns)))


def _is_declared(table: Table) -> bool:
    """Tell whether a table is Quark's, and the type of its numbers one that is known."""
    layer = table.get("global_quant_config")
    weight = layer.get("weight") if isinstance(layer, dict) else None
    known = not isinstance(weight, dict) or said(weight, "dtype") in {*SMALL, *WHOLE}
    return said(table, "quant_method") == "quark" and known and not isinstance(weight, list)


def _table(dtype: str, scheme: str, group: int | None = None) -> Table:
    weight = {"dtype": dtype, "qscheme": scheme, "group_size": group}
    return {"quant_method": "quark", "global_quant_config": {"weight": weight}}


QUANT = Quant(
    name="quark",
    title="Quark",
    declared=_is_declared,
    read=read,
    excluding="exclude",
    guesses=(
        _table("fp4", "per_group", 32),
        _table("fp6_e2m3", "per_group", 32),
        _table("int8", "per_tensor"),
        _table("fp8_e4m3", "per_tensor"),
    ),
)
