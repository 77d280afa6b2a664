"""MLX-LM: Hugging Face names but for stacked experts, and the two halves of kv_b_proj in DeepSeek-V3.

Source: mlx-lm, mlx_lm/models/{deepseek_v2,deepseek_v3,deepseek_v32,mixtral,qwen2_moe,qwen3_moe,gpt_neox}.py
(`sanitize`): FP8 scales are taken in, layers for MTP dropped.
"""

from __future__ import annotations

from weightlint.dialect import Dialect
from weightlint.moving.line import line, within
from weightlint.moving.move import Split, Stack
from weightlint.moving.reshape import Swap, Unflatten

LAYER = (
    line("mlp.experts.*.gate_proj", "mlp.switch_mlp.gate_proj", Stack()),
    line("mlp.experts.*.up_proj", "mlp.switch_mlp.up_proj", Stack()),
    line("mlp.experts.*.down_proj", "mlp.switch_mlp.down_proj", Stack()),
    line("block_sparse_moe.experts.*.w1", "block_sparse_moe.switch_mlp.gate_proj", Stack()),
    line("block_sparse_moe.experts.*.w3", "block_sparse_moe.switch_mlp.up_proj", Stack()),
    line("block_sparse_moe.experts.*.w2", "block_sparse_moe.switch_mlp.down_proj", Stack()),
    line(
        "self_attn.kv_b_proj",
        ("self_attn.embed_q", "self_attn.unembed_out"),
        Unflatten(0, "num_attention_heads"),
        Split(("qk_nope_head_dim", "v_head_dim"), dim=1),
        Swap(1, 2, only=0),
        archs="deepseek_v3 deepseek_v32",
    ),
)


def spell(pattern: str) -> str:
    """Write what has no line: GPT-NeoX is one `model` with layers `h`, the others keep their names."""
    if not pattern.startswith(("gpt_neox.", "embed_out.")):
        return pattern
    return f"model.{pattern}".replace(".gpt_neox.layers.", ".h.").replace(".gpt_neox.", ".")


DIALECT = Dialect(
    name="mlx",
    title="MLX-LM",
    cure="serve it with MLX-LM, or convert the original with the framework that is to load it",
    lines=within("model.layers.*.", "model.layers.*.", LAYER),
    schemas=frozenset(
        {
            "deepseek_v2",
            "deepseek_v3",
            "deepseek_v32",
            "gpt_neox",
            "llama",
            "mixtral",
            "qwen2_moe",
            "qwen3_moe",
        }
    ),
    home=("*",),
    marks=(".switch_mlp.", "self_attn.embed_q.", "model.h.*.attention.query_key_value."),
    rest=spell,
    lacks_mtp="MLX-LM drops the MTP layers",
)
