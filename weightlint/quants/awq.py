"""AWQ: whole numbers of four bits, packed into words of 32 bits along the outputs, or as one kernel wants them.

`qweight`, `qzeros`, `scales`. Config keys as in transformers, utils/quantization_config.py AwqConfig, and quant_config.json of AutoAWQ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.grouped import awq, awq_kernel
from weightlint.modules import containing
from weightlint.quant import Quant
from weightlint.quant_table import GROUPS, bits_and_group, said, texts
from weightlint.scaled import KV_SCALES
from weightlint.scheme import Scheme

if TYPE_CHECKING:
    from weightlint.form import Form
    from weightlint.quant import Table

USUAL = frozenset({"", "gemm", "exllama", "exllamav2", "ipex"})
"""Versions whose files are those of gemm; what else they are concerns the kernel alone."""
KERNELS = frozenset({"gemv", "gemv_fast", "marlin"})


def _form(table: Table) -> Form:
    bits, group = bits_and_group(table)
    version = _version(table)
    if version in KERNELS:
        return awq_kernel(version, bits, group)
    return awq(bits, group, zeros=table.get("zero_point") is not False)


def _version(table: Table) -> str:
    return said(table, "version") or said(table, "checkpoint_format") or said(table, "format")


def read(table: Table) -> Scheme:
    """Read a table of AWQ."""
    plain = containing(texts(table, "modules_to_not_convert"))
    return Scheme(
        default=_form(table), groups=((plain, None),), free=frozenset({"head", "router"}), beside=KV_SCALES
    )


QUANT = Quant(
    name="awq",
    title="AWQ",
    declared=lambda table: (
        said(table, "quant_method") in {"awq", "awq_marlin"}
        and said(table, "packing_format") == ""
        and _version(table) in USUAL | KERNELS
    ),
    read=read,
    guesses=tuple(
        {"quant_method": "awq", "bits": 4, "group_size": group, "version": version}
        for version in ("gemm", "gemv", "gemv_fast", "marlin")
        for group in GROUPS
    ),
)
