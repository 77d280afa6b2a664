"""The parameters of transformers 5 in memory, written with save_original_format=False.

Experts are stacked, gate above up. The schemas hold the same as their layout `fused_experts`, so that
such a checkpoint is in order as it is; this is the way to it. Source: transformers 5,
conversion_mapping.py (MergeModulelist, Concatenate), core_model_loading.py.
"""

from __future__ import annotations

from weightlint.dialect import Dialect
from weightlint.moving.line import line, within
from weightlint.moving.move import Concat, Stack

LINES = (
    line(
        ("model.layers.*.mlp.experts.*.gate_proj.weight", "model.layers.*.mlp.experts.*.up_proj.weight"),
        "model.layers.*.mlp.experts.gate_up_proj",
        Stack(),
        Concat(1),
    ),
    line("model.layers.*.mlp.experts.*.down_proj.weight", "model.layers.*.mlp.experts.down_proj", Stack()),
    *within(
        "model.layers.*.block_sparse_moe.",
        "model.layers.*.mlp.",
        (
            line("gate", "gate"),
            line("e_score_correction_bias", "e_score_correction_bias"),
            line(("experts.*.w1.weight", "experts.*.w3.weight"), "experts.gate_up_proj", Stack(), Concat(1)),
            line("experts.*.w2.weight", "experts.down_proj", Stack()),
        ),
    ),
    line("embed_out", "lm_head"),
)

DIALECT = Dialect(
    name="hf_fused",
    title="transformers 5 in memory",
    cure="save it with save_original_format=True, or load it with transformers 5",
    lines=LINES,
    schemas=frozenset(
        {
            *(
                "deepseek_v2",
                "deepseek_v3",
                "deepseek_v32",
                "glm4_moe",
                "glm4_moe_lite",
                "glm_moe_dsa",
                "gpt_neox",
            ),
            *("minimax_m2", "mixtral", "qwen2_moe", "qwen3_moe"),
        }
    ),
    home=("*",),
    rest=str,
    scale=lambda weight: f"{weight}_scale_inv",
)
