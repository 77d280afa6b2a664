"""bitsandbytes: whole numbers of 8 bits with a scale per row, or 4 bits in blocks of the flattened weight.

For a weight `[out, in]`: in 8 bits `weight` I8 `[out, in]` and `SCB` F32 `[out]`; in 4 bits `weight` U8 `[out * in / 2, 1]`, one
`weight.absmax` per 64 elements (bytes, with absmax of their own per 256, where it is nested) and a JSON text with type and shape. Sources:
bitsandbytes 0.50 functional.py QuantState.as_dict, nn/modules.py; transformers utils/quantization_config.py BitsAndBytesConfig.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.expected import Presence
from weightlint.form import ONE, Form, Part
from weightlint.modules import Listed
from weightlint.quant import Quant
from weightlint.quant_table import bad, texts
from weightlint.scaled import KV_SCALES
from weightlint.scheme import Scheme

if TYPE_CHECKING:
    from weightlint.form import Dim
    from weightlint.quant import Table

BLOCK, NESTED = 64, 256
"""Elements that share an absmax, and numbers of absmax that share one of their own, as transformers leaves them."""

TYPE, STORAGE = "bnb_4bit_quant_type", "bnb_4bit_quant_storage"
TYPES = ("nf4", "fp4")
STORAGES = {
    "uint8": ("U8", 1),
    "int8": ("I8", 1),
    "bfloat16": ("BF16", 2),
    "float16": ("F16", 2),
    "float32": ("F32", 4),
}
"""Types in which bytes of two numbers each are kept, with their size in bytes."""

F32, U8 = frozenset({"F32"}), frozenset({"U8"})

INT8 = Form(
    name="bitsandbytes",
    bits=8,
    says="load_in_8bit",
    stack=False,
    parts=(
        Part(end="weight", dtypes=frozenset({"I8"}), sides=lambda out, into: (out, into)),
        Part(end="SCB", dtypes=F32, sides=lambda out, into: (out,)),  # noqa: ARG005 -- every shape is of both sides
        Part(
            end="weight_format",
            dtypes=U8,
            sides=lambda out, into: (ONE,),  # noqa: ARG005
            ones=True,
            need=Presence.OPTIONAL,
            why="rows are what is meant without it",
        ),
    ),
)


def _fixed(end: str, size: int) -> Part:
    dim = ONE._replace(size=size, text=str(size))
    return Part(end=f"weight.{end}", dtypes=F32, sides=lambda out, into: (dim,))  # noqa: ARG005


def form(kind: str, storage: str = "uint8", *, nested: bool = False) -> Form:
    """Return 4 bits of a kind (nf4, fp4) in a type of storage, with absmax quantised as well where it is `nested`."""
    dtype, size = STORAGES[storage]

    def blocks(out: Dim, into: Dim) -> Dim:
        return out.by(into).over(BLOCK)

    more = (
        Part(
            end="weight.nested_absmax", dtypes=F32, sides=lambda out, into: (blocks(out, into).over(NESTED),)
        ),
        _fixed("nested_quant_map", 256),
    )
    return Form(
        name="bitsandbytes",
        bits=4,
        says=f"load_in_4bit, {TYPE} {kind}" + (", nested" if nested else ""),
        stack=False,
        parts=(
            Part(
                end="weight",
                dtypes=frozenset({dtype}),
                sides=lambda out, into: (out.by(into).over(2).over(size), ONE),
            ),
            Part(
                end="weight.absmax",
                dtypes=U8 if nested else F32,
                sides=lambda out, into: (blocks(out, into),),
            ),
            _fixed("quant_map", 16),
            Part(
                end=f"weight.quant_state.bitsandbytes__{kind}",
                dtypes=U8,
                sides=lambda out, into: (ONE,),  # noqa: ARG005
                opaque=True,
            ),
            *(more if nested else ()),
        ),
    )


def read(table: Table) -> Scheme:
    """Read a table of bitsandbytes; without a list of its own transformers leaves the head plain."""
    plain = Listed(texts(table, "llm_int8_skip_modules", "modules_to_not_convert"))
    return Scheme(
        default=_default(table), groups=((plain, None),), free=frozenset({"head", "router"}), beside=KV_SCALES
    )


def _default(table: Table) -> Form:
    if not _says(table, "load_in_4bit"):
        if not _says(table, "load_in_8bit"):
            raise bad("load_in_4bit", "is not true, and load_in_8bit is not either")  # noqa: EM101 -- a key
        return INT8
    kind, storage = table.get(TYPE, "fp4"), table.get(STORAGE) or "uint8"
    if kind not in TYPES:
        raise bad(TYPE, f"is {kind!r}, not nf4 or fp4")
    if not isinstance(storage, str) or storage.removeprefix("torch.") not in STORAGES:
        raise bad(STORAGE, f"is {storage!r}, not one of {', '.join(STORAGES)}")
    return form(kind, storage.removeprefix("torch."), nested=table.get("bnb_4bit_use_double_quant") is True)


def _says(table: Table, key: str) -> bool:
    return table.get(key) is True or table.get(f"_{key}") is True


def _four(kind: str, storage: str, *, nested: bool) -> Table:
    return {
        "quant_method": "bitsandbytes",
        "load_in_4bit": True,
        TYPE: kind,
        "bnb_4bit_use_double_quant": nested,
        STORAGE: storage,
    }


QUANT = Quant(
    name="bitsandbytes",
    title="bitsandbytes",
    declared=lambda table: table.get("quant_method") == "bitsandbytes" or "load_in_4bit" in table,
    read=read,
    guesses=(
        *(
            _four(kind, storage, nested=nested)
            for storage in STORAGES
            for kind in TYPES
            for nested in (True, False)
        ),
        {"quant_method": "bitsandbytes", "load_in_4bit": False, "load_in_8bit": True},
    ),
)
