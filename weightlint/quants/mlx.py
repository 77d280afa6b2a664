"""MLX: whole numbers or small floats in groups along the inputs, packed into words of 32 bits.

For a weight `[..., out, in]`: `weight` U32 `[..., out, in * bits / 32]` and `scales` `[..., out, in / group]`; `affine` (whole numbers) has
`biases` like `scales`, both floats; in mxfp4, mxfp8 and nvfp4 the scales are bytes. Sources: mlx 0.32 ops.cpp quantize, mlx_lm 0.32
utils.py load_model: a module is quantised if the table names it, else if it has scales.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from weightlint.dtype import FLOATS
from weightlint.form import Form, Part
from weightlint.modules import Listed
from weightlint.quant import Quant
from weightlint.quant_table import bad, whole
from weightlint.scheme import Scheme

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weightlint.modules import Modules
    from weightlint.quant import Table

BITS = (4, 8, 6, 3, 2, 5)
GROUPS = (64, 32, 128)
MODES = {"mxfp4": (4, 32), "mxfp8": (8, 32), "nvfp4": (4, 16)}
"""Bits and group size of each mode of small floats; they have no others."""

MODE = "mode"
SETTINGS = frozenset({"bits", "group_size", MODE})
EVERY = frozenset({"linear", "expert", "head", "embedding", "router"})


def form(bits: int, group: int, mode: str = "affine") -> Form:
    """Return the form of a mode; the group is in elements along the inputs."""
    affine = mode == "affine"
    groups = [
        Part(
            end=end,
            dtypes=FLOATS if affine else frozenset({"U8"}),
            sides=lambda out, into: (out, into.over(group)),
        )
        for end in (("scales", "biases") if affine else ("scales",))
    ]
    return Form(
        name="mlx",
        bits=bits,
        block=(1, group),
        says=f"bits {bits}, group_size {group}" + ("" if affine else f", mode {mode}"),
        parts=(
            Part(
                end="weight",
                dtypes=frozenset({"U32"}),
                sides=lambda out, into: (out, into.packed(bits)),
            ),
            *groups,
        ),
    )


def _form(table: Table) -> Form:
    mode = table.get("mode", "affine")
    if mode != "affine" and (not isinstance(mode, str) or mode not in MODES):
        raise bad(MODE, f"is {mode!r}, not one of affine, {', '.join(MODES)}")
    usual = MODES.get(mode, (4, 64))
    bits, group = whole(table, "bits", default=usual[0]), whole(table, "group_size", default=usual[1])
    allowed = (BITS, GROUPS) if mode == "affine" else ((usual[0],), (usual[1],))
    for key, value, values in (("bits", bits, allowed[0]), ("group_size", group, allowed[1])):
        if value not in values:
            raise bad(key, f"is {value}, not one of {', '.join(map(str, sorted(values)))}: mode {mode}")
    return form(bits, group, mode)


def read(table: Table) -> Scheme:
    """Read a table of MLX-LM: settings for all, and modules that have their own or stay plain."""
    return Scheme(
        default=_form(table),
        groups=tuple(_overrides(table)),
        kinds=frozenset(),
        free=EVERY,
        all=True,
        late=True,
    )


def _overrides(table: Table) -> Iterator[tuple[Modules, Form | None]]:
    """Yield the modules that the table speaks of, those of one form together."""
    usual = {key: value for key, value in table.items() if key in SETTINGS}
    named: dict[str, list[str]] = defaultdict(list)
    forms: dict[str, Form | None] = {}
    for module, own in table.items():
        if module in SETTINGS or not (own is False or isinstance(own, dict)):
            continue
        # a mode of its own brings bits and group size of its own
        found = _form(own if own.get("mode") else {**usual, **own}) if own is not False else None
        says = found.says if found is not None else ""
        named[says].append(module)
        forms[says] = found
    for says, modules in named.items():
        yield Listed(modules), forms[says]


OTHERS = frozenset({"desc_act", "zero_point", "version", "w_bit", "sym", "damp_percent", "checkpoint_format"})
"""Keys of tables that packers for GPUs write without naming themselves."""

QUANT = Quant(
    name="mlx",
    title="MLX",
    declared=lambda table: (
        table.get("quant_method", "mlx") == "mlx" and ("bits" in table) and table.keys().isdisjoint(OTHERS)
    ),
    read=read,
    field="quantization",
    guesses=(
        *({"group_size": group, "bits": bits} for bits in BITS for group in GROUPS),
        *({"group_size": size, "bits": bits, "mode": mode} for mode, (bits, size) in MODES.items()),
    ),
)
