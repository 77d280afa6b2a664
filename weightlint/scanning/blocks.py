"""Where the scales stand in ggml's blocks, and which of them no quantiser writes negative.

Fields: ggml/src/ggml-common.h of llama.cpp and of ik_llama.cpp. Signs: the quantisers of ggml/src/ggml-quants.c
(`make_qkx2_quants` and its like search a scale above zero; Q3_K, Q6_K, Q4_0, Q5_0, IQ4_NL, IQ4_XS take the sign of the
largest value), seen on 4,096 blocks of each with and without an importance matrix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Field(NamedTuple):
    """Numbers of one dtype at byte `at` of a block, `times` of them in a row.

    `signed` tells that both signs occur, `lax` that no pattern of bits stands for NaN.
    """

    at: int
    dtype: str = "F16"
    signed: bool = False
    times: int = 1
    lax: bool = False

    @property
    def number(self) -> str:
        """Return the dtype of the number that its bits make up."""
        return "F16" if self.dtype == "NIBBLES" else self.dtype

    @property
    def width(self) -> int:
        """Return the bytes of one number."""
        return {"F16": 2, "F32": 4, "NIBBLES": 2}.get(self.dtype, 1)


_D, _SIGNED = Field(0), Field(0, signed=True)

BLOCKS: Mapping[str, tuple[Field, ...]] = {
    "Q4_0": (_SIGNED,),
    "Q4_1": (_D, Field(2, signed=True)),
    "Q5_0": (_SIGNED,),
    "Q5_1": (_D, Field(2, signed=True)),
    "Q8_0": (_D,),
    "Q8_1": (_D, Field(2, signed=True)),
    "Q2_K": (Field(80, times=2),),
    "Q3_K": (Field(108, signed=True),),
    "Q4_K": (Field(0, times=2),),
    "Q5_K": (Field(0, times=2),),
    "Q6_K": (Field(208, signed=True),),
    "Q8_K": (Field(0, "F32", signed=True),),
    "IQ2_XXS": (_D,),
    "IQ2_XS": (_D,),
    "IQ3_XXS": (_D,),
    "IQ1_S": (_D,),
    "IQ4_NL": (_SIGNED,),
    "IQ3_S": (_D,),
    "IQ2_S": (_D,),
    "IQ4_XS": (_SIGNED,),
    # the four top nibbles of the 16-bit words from byte 48 on are one F16
    "IQ1_M": (Field(48, "NIBBLES"),),
    "TQ1_0": (Field(52),),
    "TQ2_0": (Field(64),),
    "MXFP4": (Field(0, "F8_E8M0"),),
    # 0x7F is no NaN to ggml but 0 (`ggml_ue4m3_to_fp32`), so nothing of it is wrong but a sign
    "NVFP4": (Field(0, "F8_E4M3", times=4, lax=True),),
    "Q1_0": (_D,),
    "Q2_0": (_D,),
    "Q6_0": (_SIGNED,),
    "IQ2_K": (_SIGNED,),
    "IQ3_K": (_SIGNED,),
    "IQ4_K": (_SIGNED,),
    "IQ5_K": (_SIGNED,),
    "IQ6_K": (_SIGNED,),
}
"""The scales of a block, by type."""

ROWS: Mapping[str, Field] = {
    # the scale of a whole row stands before its blocks
    "IQ4_KS": Field(0, "F32", signed=True),
    "IQ5_KS": Field(0, "F32", signed=True),
    "IQ4_KSS": Field(0, "F32", signed=True),
    "IQ1_KT": Field(0, "F32", signed=True),
    "IQ2_KT": Field(0, "F32", signed=True),
    "IQ3_KT": Field(0, "F32", signed=True),
    "IQ4_KT": Field(0, "F32", signed=True),
    "IQ2_KS": _SIGNED,
    "IQ3_KS": _SIGNED,
    "IQ2_KL": _SIGNED,
    "IQ2_BN": Field(0, "F32", signed=True),
    "IQ1_BN": _SIGNED,
}
"""The scale of a row, by type."""
