"""ggml's element types as GGUF files number them: name, elements and bytes of a block.

Ids, block and byte sizes: llama.cpp ggml/include/ggml.h and ggml/src/ggml-common.h; those from 97 on and
the bytes that a row takes besides its blocks: ik_llama.cpp ggml/src/ggml.c (`type_traits`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.dtype import DType

if TYPE_CHECKING:
    from collections.abc import Mapping

COUNT = 43
"""Ids from here on are none of llama.cpp's (GGML_TYPE_COUNT)."""

REMOVED: Mapping[int, str] = {
    4: "Q4_2",
    5: "Q4_3",
    31: "Q4_0_4_4",
    32: "Q4_0_4_8",
    33: "Q4_0_8_8",
    36: "IQ4_NL_4_4, or I2_S of ik_llama.cpp",
    37: "IQ4_NL_4_8",
    38: "IQ4_NL_8_8",
}
"""Ids of types that llama.cpp once had and refuses today."""

_PLAIN = (
    (0, "F32", 4),
    (1, "F16", 2),
    (24, "I8", 1),
    (25, "I16", 2),
    (26, "I32", 4),
    (27, "I64", 8),
    (28, "F64", 8),
    (30, "BF16", 2),
    (230, "BF16_R16", 2),
)
_BLOCKS = (
    (2, "Q4_0", 32, 18),
    (3, "Q4_1", 32, 20),
    (6, "Q5_0", 32, 22),
    (7, "Q5_1", 32, 24),
    (8, "Q8_0", 32, 34),
    (9, "Q8_1", 32, 36),
    (10, "Q2_K", 256, 84),
    (11, "Q3_K", 256, 110),
    (12, "Q4_K", 256, 144),
    (13, "Q5_K", 256, 176),
    (14, "Q6_K", 256, 210),
    (15, "Q8_K", 256, 292),
    (16, "IQ2_XXS", 256, 66),
    (17, "IQ2_XS", 256, 74),
    (18, "IQ3_XXS", 256, 98),
    (19, "IQ1_S", 256, 50),
    (20, "IQ4_NL", 32, 18),
    (21, "IQ3_S", 256, 110),
    (22, "IQ2_S", 256, 82),
    (23, "IQ4_XS", 256, 136),
    (29, "IQ1_M", 256, 56),
    (34, "TQ1_0", 256, 54),
    (35, "TQ2_0", 256, 66),
    (39, "MXFP4", 32, 17),
    (40, "NVFP4", 64, 36),
    (41, "Q1_0", 128, 18),
    (42, "Q2_0", 64, 18),
    (97, "Q8_0_X4", 32, 34),
    (98, "Q8_1_X4", 32, 36),
    (99, "Q8_2_X4", 32, 36),
    (133, "Q6_0", 32, 26),
    (136, "Q8_K64", 64, 68),
    (137, "IQ2_K", 256, 76),
    (138, "IQ3_K", 256, 110),
    (139, "IQ4_K", 256, 144),
    (140, "IQ5_K", 256, 176),
    (141, "IQ6_K", 256, 212),
    (148, "Q8_K32", 256, 296),
    (149, "Q8_KR8", 256, 296),
    (150, "Q8_K128", 128, 140),
    (202, "Q4_0_R8", 32, 18),
    (206, "Q5_0_R4", 32, 22),
    (208, "Q8_0_R8", 32, 34),
    (210, "Q2_K_R4", 256, 84),
    (211, "Q3_K_R4", 256, 110),
    (212, "Q4_K_R4", 256, 144),
    (213, "Q5_K_R4", 256, 176),
    (214, "Q6_K_R4", 256, 210),
    (216, "IQ2_XXS_R4", 256, 66),
    (217, "IQ2_XS_R4", 256, 74),
    (218, "IQ3_XXS_R4", 256, 98),
    (220, "IQ4_NL_R4", 32, 18),
    (221, "IQ3_S_R4", 256, 110),
    (222, "IQ2_S_R4", 256, 82),
    (223, "IQ4_XS_R8", 256, 136),
    (233, "Q6_0_R4", 32, 26),
    (337, "IQ2_K_R4", 256, 76),
    (338, "IQ3_K_R4", 256, 110),
    (339, "IQ4_K_R4", 256, 144),
    (340, "IQ5_K_R4", 256, 176),
    (353, "MXFP4_R8", 32, 17),
    (397, "Q8_K_R16", 256, 258),
    (399, "Q8_K_R8", 256, 258),
)
_ROWS = (
    (134, "IQ1_BN", 64, 13, 2),
    (135, "IQ2_BN", 64, 16, 4),
    (144, "IQ4_KS", 256, 136, 4),
    (145, "IQ2_KS", 256, 70, 2),
    (146, "IQ4_KSS", 256, 128, 4),
    (147, "Q8_K16", 64, 64, 20),
    (151, "Q8_KV", 32, 32, 8),
    (152, "IQ5_KS", 256, 168, 4),
    (153, "IQ2_KT", 256, 68, 4),
    (154, "IQ3_KT", 256, 100, 4),
    (155, "IQ4_KT", 256, 128, 4),
    (156, "IQ3_KS", 256, 102, 2),
    (157, "IQ2_KL", 256, 86, 2),
    (158, "IQ1_KT", 256, 56, 4),
    (219, "IQ1_S_R4", 32, 6, 2),
    (229, "IQ1_M_R4", 32, 7, 2),
    (335, "IQ2_BN_R4", 64, 16, 4),
    (344, "IQ4_KS_R4", 256, 136, 4),
    (352, "IQ5_KS_R4", 256, 168, 4),
    (398, "Q8_KV_R8", 32, 32, 4),
)

GGML: Mapping[int, DType] = {
    **{id_: DType(name, size, "int" if name[0] == "I" else "float") for id_, name, size in _PLAIN},
    **{id_: DType(name, size, "quant", block, by_row=True) for id_, name, block, size in _BLOCKS},
    **{id_: DType(name, size, "quant", block, by_row=True, row=row) for id_, name, block, size, row in _ROWS},
}
"""Every type by id; those from `COUNT` on are read by ik_llama.cpp only."""

IK_ONLY = frozenset(dtype.name for id_, dtype in GGML.items() if id_ >= COUNT)
"""Names of the types that ik_llama.cpp reads and llama.cpp refuses (`invalid ggml type`)."""

BY_NAME: Mapping[str, DType] = {dtype.name: dtype for dtype in GGML.values()}
