"""GGUF, as llama.cpp writes it.

kv_b_proj has three ways: halves `attn_k_b` and `attn_v_b` of three dimensions (llama.cpp since #12801), whole
`attn_kv_b` (before it, ktransformers), and whole with both halves flat (ik_llama.cpp). Shapes are row-major
as everywhere; ggml counts dimensions the other way round. Source: llama.cpp, conversion/deepseek.py,
conversion/base.py (--fuse-gate-up-exps); ik_llama.cpp for the third way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightlint.dialect import Dialect, Option
from weightlint.dialects._gguf_names import NAMES
from weightlint.expected import Ignore
from weightlint.moving.line import line, within
from weightlint.moving.move import Concat, Split, Stack
from weightlint.moving.reshape import Flatten, Swap, Unflatten

if TYPE_CHECKING:
    from weightlint.expected import Slot

KV_B = "self_attn.kv_b_proj"
HALVES = (
    Unflatten(0, "num_attention_heads"),
    Split(("qk_nope_head_dim", "v_head_dim"), dim=1),
    Swap(1, 2, only=0),
)

LAYER = (
    line(KV_B, ("attn_k_b", "attn_v_b"), *HALVES, tags="split"),
    line(KV_B, "attn_kv_b", tags="whole"),
    line(KV_B, "attn_kv_b", tags="both"),
    line(KV_B, ("attn_k_b", "attn_v_b"), *HALVES, Flatten(0), tags="both", copy=True),
    line(
        ("mlp.experts.*.gate_proj", "mlp.experts.*.up_proj"),
        "ffn_gate_up_exps",
        Stack(),
        Concat(1),
        tags="gate_up",
    ),
    line("mlp.experts.*.gate_proj", "ffn_gate_exps", Stack()),
    line("mlp.experts.*.up_proj", "ffn_up_exps", Stack()),
    line("mlp.experts.*.down_proj", "ffn_down_exps", Stack()),
    line("block_sparse_moe.experts.*.w1", "ffn_gate_exps", Stack()),
    line("block_sparse_moe.experts.*.w3", "ffn_up_exps", Stack()),
    line("block_sparse_moe.experts.*.w2", "ffn_down_exps", Stack()),
)

PLAIN = frozenset({"F32", "F16", "BF16"})
K_AND_LEGACY = frozenset(
    {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q8_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_K"}
)
IMPORTANCE = frozenset(
    {"IQ1_M", "IQ1_S", "IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ3_S", "IQ3_XXS", "IQ4_NL", "IQ4_XS"}
)
BLOCKS = K_AND_LEGACY | IMPORTANCE | {"TQ1_0", "TQ2_0", "MXFP4", "NVFP4"}
"""Types of gguf-py, gguf/constants.py GGMLQuantizationType, and llama.cpp, ggml/include/ggml.h, for weights."""

WEIGHTS = frozenset({"linear", "expert", "embedding", "head"})


def dtypes(slot: Slot) -> frozenset[str]:
    """Return the types of a tensor: norms, biases and routers stay F32, as conversion/base.py forces."""
    return PLAIN | BLOCKS if slot.kind in WEIGHTS else frozenset({"F32"})


DIALECT = Dialect(
    name="gguf",
    title="llama.cpp",
    cure="serve it with llama.cpp, or take the Hugging Face checkpoint that it was made from",
    lines=(*NAMES, *within("model.layers.*.", "blk.*.", LAYER)),
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
    marks=("blk.*.attn_norm. !.ggml_type",),
    home=("*.gguf",),
    choices=(
        (
            Option(
                "split",
                ("attn_k_b. !attn_kv_b.", "attn_v_b. !attn_kv_b."),
                "kv_b_proj as attn_k_b and attn_v_b, three dimensions",
            ),
            Option(
                "both",
                ("attn_k_b. attn_kv_b.", "attn_v_b. attn_kv_b."),
                "attn_kv_b, and attn_k_b and attn_v_b of two dimensions",
            ),
            Option("whole", ("attn_kv_b.",), "kv_b_proj as attn_kv_b"),
        ),
        (
            Option("parts", ("ffn_gate_exps.", "ffn_up_exps."), "gate and up of the experts apart"),
            Option("gate_up", ("ffn_gate_up_exps.",), "gate and up of the experts in one, gate first"),
        ),
    ),
    leaves_mtp={"deepseek_v3": "llama.cpp's conversion leaves the MTP layers of DeepSeek-V3 out"},
    dtypes=dtypes,
    ignores=(
        Ignore("rope_freqs.weight", "computed by the conversion from rope_scaling"),
        Ignore("blk.*.attn_rot_embd*", "computed from the keys; old files store it"),
    ),
)
