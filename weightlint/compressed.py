"""The form of a weight from one group of a compressed-tensors config.

Keys: compressed_tensors 0.20.1, quantization/quant_args.py `QuantizationArgs`; which parts a format writes:
`compression_param_names` of each class in compressors/.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.form import WORDS, Form, Part
from weightlint.quant_table import above_zero, bad, inner, pair, shown, word
from weightlint.scaled import (
    DYNAMIC,
    FP8_NUMBERS,
    INTEGERS,
    POWERS,
    TWO,
    fp4,
    numbers,
    per_block,
    per_channel,
    per_group,
    per_tensor,
    scale,
    single,
    spare,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.quant import Table
    from weightlint.scaled import Sides

PLAIN = frozenset({"dense", "fakequant"})
FORMATS = PLAIN | {
    "pack-quantized",
    "int-quantized",
    "float-quantized",
    "naive-quantized",
    "mixed-precision",
    "nvfp4-pack-quantized",
    "mxfp4-pack-quantized",
    "mxfp6-pack-quantized",
    "mxfp8-quantized",
}
STRATEGIES = frozenset({"tensor", "channel", "group", "block", "tensor_group"})
_MX = {"mxfp4-pack-quantized": 4, "mxfp6-pack-quantized": 6, "mxfp8-quantized": 8}


def form_of(group: Table, format_: str, *, at: str) -> Form | None:
    """Return the form of a group's weights, None if they stay plain.

    `at` is where the group stands in the table.

    Raises:
        BadFieldError: the settings cannot be.
    """
    weights = inner(group, "weights", at=at)
    if not weights or format_ in PLAIN:
        return None
    args = _Args(weights, f"{at}weights.")
    if format_ == "mixed-precision":
        format_ = _usual(args, group)
    parts = (*_parts(args, format_), *_activations(group, at))
    said = f"{format_}, num_bits {args.bits}, strategy {args.strategy}"
    return Form(
        name="compressed_tensors",
        bits=args.bits,
        block=args.block,
        says=f"{said}, group_size {args.group}" if args.group else said,
        parts=parts,
    )


class _Args:
    """The settings of weights: bits, type, strategy, and the sides of their scales."""

    def __init__(self, table: Table, at: str) -> None:
        self.bits = above_zero(table, "num_bits", at=at, default=8)
        if self.bits > 16:
            raise bad(at + "num_bits", f"is {self.bits}, above 16")
        self.type = word(table, "type", {"int", "float"}, at=at, default="int")
        said = table.get("group_size")
        usual = "tensor" if said is None else "channel" if said == -1 else "group"
        self.strategy = word(table, "strategy", STRATEGIES, at=at, default=usual)
        self.symmetric = table.get("symmetric") is not False
        self.ordered = table.get("actorder") in ("group", "dynamic", True)
        self.group = 0
        self.block = (1, 1)
        self.sides = self._sides(table, at)

    def _sides(self, table: Table, at: str) -> Sides:
        match self.strategy:
            case "tensor":
                return per_tensor
            case "channel":
                return per_channel
            case "block":
                self.block = pair(table, "block_structure", at=at)
                return per_block(*self.block)
        self.group = above_zero(table, "group_size", at=at)
        self.block = (1, self.group)
        return per_group(self.group)


def _usual(args: _Args, group: Table) -> str:
    """Return the format that such settings are written in where no group says (compressors/format.py)."""
    if args.type == "float" and args.bits == 4:
        return "nvfp4-pack-quantized" if args.group == 16 else "mxfp4-pack-quantized"
    if args.type == "float" and args.bits == 6:
        return "mxfp6-pack-quantized"
    if args.type == "float":
        return "mxfp8-quantized" if args.group == 32 else "float-quantized"
    return "int-quantized" if group.get("input_activations") else "pack-quantized"


def _parts(args: _Args, format_: str) -> Iterator[Part]:
    """Yield the weight and its scales."""
    if format_ == "pack-quantized":
        yield from _packed(args)
    elif format_ == "nvfp4-pack-quantized":
        yield fp4(end="weight_packed")
        yield scale(args.sides, dtypes=FP8_NUMBERS)
        yield single("weight_global_scale")
    elif format_ in _MX:
        yield _small(_MX[format_])
        yield scale(args.sides, dtypes=POWERS)
    else:
        whole = INTEGERS if args.bits <= 8 else frozenset({"I16"})
        dtypes = FP8_NUMBERS if args.type == "float" else whole
        yield numbers(dtypes)
        yield scale(args.sides)
        yield _zeros(args, dtypes, args.sides)


def _small(bits: int) -> Part:
    if bits == 8:
        return numbers(FP8_NUMBERS)
    if bits == 4:
        return fp4(end="weight_packed")
    return Part(
        end="weight_packed", dtypes=frozenset({"U8"}), sides=lambda out, into: (out, into.packed(bits, 8))
    )


def _packed(args: _Args) -> Iterator[Part]:
    """Yield whole numbers in words of 32 bits: zero points are packed along the outputs."""
    yield words(args.bits)
    yield scale(args.sides)
    yield Part(end="weight_shape", dtypes=frozenset({"I64", "I32"}), sides=lambda out, into: (TWO,))  # noqa: ARG005
    if args.strategy in {"group", "channel"}:
        group = args.group or -1
        yield _zeros(args, WORDS, lambda out, into: (out.packed(args.bits), into.groups(group)))
    else:
        yield _zeros(args, INTEGERS, args.sides)
    if args.ordered:
        yield Part(end="weight_g_idx", dtypes=frozenset({"I32", "I64"}), sides=lambda out, into: (into,))  # noqa: ARG005
    else:
        yield spare("weight_g_idx", "the inputs are in order: actorder is not group")


def _zeros(args: _Args, dtypes: frozenset[str], sides: Sides) -> Part:
    if args.symmetric:
        return spare("weight_zero_point", "the numbers are symmetric")
    return Part(end="weight_zero_point", dtypes=dtypes, sides=sides, ones=args.group == 0)


def _activations(group: Table, at: str) -> Iterator[Part]:
    """Yield the scales of activations that are not worked out as they come."""
    inputs = inner(group, "input_activations", at=at)
    dynamic, where = inputs.get("dynamic", False), f"{at}input_activations."
    if not (dynamic is None or isinstance(dynamic, bool) or dynamic == "local"):
        raise bad(where + "dynamic", f'is {shown(dynamic)}, not true, false or "local"')
    by_group = inputs.get("strategy") == "tensor_group"
    fixed = bool(inputs) and not dynamic and inputs.get("strategy", "tensor") in (None, "tensor")
    if by_group and dynamic is not True:
        yield single("input_global_scale")
    else:
        yield spare("input_global_scale", DYNAMIC.why or "")
    yield single("input_scale") if fixed else DYNAMIC
    if fixed and inputs.get("symmetric") is False:
        yield single("input_zero_point", dtypes=INTEGERS | FP8_NUMBERS)
    else:
        yield spare("input_zero_point", "activations are symmetric, or scaled as they come")
    for end in ("output_scale", "output_zero_point"):
        yield spare(end, "outputs are quantised for the cache of keys and values only")
