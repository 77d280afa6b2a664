"""NVIDIA ModelOpt: FP8, NVFP4, MXFP8 and AWQ, declared in the config or in `hf_quant_config.json` beside it.

Sources: Model-Optimizer, modelopt/torch/export/quant_utils.py (names, packing) and convert_hf_config.py (the two spellings of the table);
what is read: vllm 0.33.0, quantization/modelopt.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.form import Dim, Form, Part
from weightlint.modules import AnyOf, Listed, containing, wildcards
from weightlint.quant import Quant
from weightlint.quant_table import above_zero, inner, said, texts, word
from weightlint.scaled import (
    DYNAMIC,
    FP8_NUMBERS,
    INTEGERS,
    KV_SCALES,
    POWERS,
    fp4,
    numbers,
    per_block,
    per_channel,
    per_group,
    per_tensor,
    scale,
    single,
    spare,
)
from weightlint.scheme import Scheme

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from weightlint.modules import Modules
    from weightlint.quant import Table

GROUPED = {"NVFP4": 16, "NVFP4_AWQ": 16, "W4A16_NVFP4": 16, "W4A16_AWQ": 128, "W4A8_AWQ": 128, "MXFP8": 32}
"""Inputs that share a scale where the table does not say."""

MIXED = "MIXED_PRECISION"
SMOOTHED = spare("pre_quant_scale", "where it could, the export put it into the norm before")
INPUTS = single("input_scale")


def _nvfp4(group: int) -> tuple[Part, ...]:
    return fp4(), scale(per_group(group), dtypes=FP8_NUMBERS), single("weight_scale_2"), SMOOTHED


def _awq(group: int) -> tuple[Part, ...]:
    """Return whole numbers of four bits, two outputs in a byte."""
    packed = Part(end="weight", dtypes=frozenset({"U8"}), sides=lambda out, into: (out.packed(4, 8), into))
    return packed, scale(per_group(group)), SMOOTHED


def _blocks(out: Dim, into: Dim) -> tuple[Dim, ...]:
    return per_block(128, 128)(out, into)


FP8 = numbers(FP8_NUMBERS)
ALGOS: Mapping[str, Callable[[int], tuple[Part, ...]]] = {
    "FP8": lambda _: (FP8, scale(per_tensor), INPUTS),
    "FP8_PER_CHANNEL_PER_TOKEN": lambda _: (FP8, scale(per_channel), DYNAMIC),
    # dimensions of 1 stand between those of the blocks
    "FP8_PB_WO": lambda _: (
        FP8,
        Part(end="weight_scale", dtypes=frozenset({"F32", "BF16"}), sides=_blocks, ones=True),
        DYNAMIC,
    ),
    "NVFP4": lambda group: (*_nvfp4(group), INPUTS),
    "NVFP4_AWQ": lambda group: (*_nvfp4(group), INPUTS),
    "W4A16_NVFP4": lambda group: (*_nvfp4(group), DYNAMIC),
    "MXFP8": lambda group: (FP8, scale(per_group(group), dtypes=POWERS), DYNAMIC),
    "W4A16_AWQ": _awq,
    "W4A8_AWQ": lambda group: (*_awq(group), single("weight_scale_2"), INPUTS),
    "W8A8_SQ_PER_CHANNEL": lambda _: (numbers(INTEGERS), scale(per_channel), SMOOTHED, DYNAMIC),
}


def form(algo: str, group: int) -> Form:
    """Return one of ModelOpt's algorithms; `group` is of no account where it has none."""
    return Form(
        name="modelopt",
        bits=4 if "4" in algo[:6] else 8,
        block=(1, group) if algo in GROUPED else (128, 128) if algo == "FP8_PB_WO" else (1, 1),
        says=f"quant_algo {algo}, group_size {group}" if algo in GROUPED else f"quant_algo {algo}",
        parts=ALGOS[algo](group),
    )


def read(table: Table) -> Scheme:
    """Read a table of ModelOpt in either spelling."""
    own = inner(table, "quantization") if "quantization" in table else table
    excluded = texts(own, "exclude_modules", "ignore")
    algo = _algo(own, "")
    plain = AnyOf((wildcards(excluded), wildcards([f"{name}.*" for name in excluded])))
    return Scheme(
        default=None if algo == MIXED else _form(own, ""),
        groups=((plain, None), *(_layers(own) if algo == MIXED else ())),
        free=frozenset({"head", "router"}),
        loose=containing([name.strip("*.") for name in excluded if name.strip("*.")]),
        beside=KV_SCALES,
    )


def _layers(own: Table) -> Iterator[tuple[Modules, Form]]:
    """Yield what single modules are quantised by, where the algorithms are mixed."""
    by_form: dict[tuple[str, int], tuple[Form, list[str]]] = {}
    layers = inner(own, "quantized_layers")
    for name in layers:
        made = _form(inner(layers, name, at="quantized_layers."), f"quantized_layers.{name}.")
        by_form.setdefault((made.says, made.block[1]), (made, []))[1].append(name)
    for made, names in by_form.values():
        exact = [name for name in names if "*" not in name]
        yield AnyOf((Listed(exact), wildcards([name for name in names if "*" in name]))), made


def _form(table: Table, at: str) -> Form:
    algo = _algo(table, at)
    return form(algo, above_zero(table, "group_size", at=at, default=GROUPED.get(algo, 1)))


def _algo(table: Table, at: str) -> str:
    options = {name.lower() for name in (*ALGOS, MIXED)} if not at else {name.lower() for name in ALGOS}
    return word(table, "quant_algo", options, at=at).upper()


def _is_declared(table: Table) -> bool:
    """Tell whether a table is ModelOpt's, and its algorithm one that is known."""
    own = table.get("quantization")
    algo = said(own if isinstance(own, dict) else table, "quant_algo").upper()
    known = algo in ALGOS or (algo == MIXED and isinstance((own or table).get("quantized_layers"), dict))
    return known and said(table, "quant_method").startswith("modelopt")


QUANT = Quant(
    name="modelopt",
    title="ModelOpt",
    declared=_is_declared,
    read=read,
    excluding="exclude_modules or ignore",
    guesses=tuple(
        {"quant_method": "modelopt", "quant_algo": algo} for algo in ("NVFP4", "W4A16_NVFP4", *ALGOS)
    ),
)
