"""ktransformers' merged checkpoint: GGUF names in safetensors, experts as raw ggml blocks.

Its merge script takes all but the experts from Hugging Face files, FP8 scales included, and each stack
of experts from a GGUF, with a scalar `ggml_type` beside it. Source: ktransformers,
archive/merge_tensors/merge_safetensor_gguf.py, archive/ktransformers/util/custom_loader.py
(translate_name_to_gguf).
"""

from __future__ import annotations

from weightlint.dialect import Dialect
from weightlint.dialects._gguf_names import NAMES
from weightlint.moving.line import Line, line, within
from weightlint.moving.move import Stack
from weightlint.moving.opaque import Repack

RAW = frozenset({"U8", "I8", "F32", "F16", "BF16", "I16", "I32"})


def expert(part: str, name: str) -> tuple[Line, ...]:
    """Return the lines of one projection: the blocks, and the number of their type."""
    source = f"mlp.experts.*.{part}_proj.weight"
    return (
        line(source, f"{name}.weight", Stack(), Repack(), dtypes=RAW),
        line(source, f"{name}.ggml_type", Stack(), Repack(), dtypes=frozenset({"I64", "I32"}), copy=True),
    )


LAYER = (
    line("self_attn.kv_b_proj", "attn_kv_b"),
    *expert("gate", "ffn_gate_exps"),
    *expert("up", "ffn_up_exps"),
    *expert("down", "ffn_down_exps"),
)

DIALECT = Dialect(
    name="ktransformers",
    title="ktransformers",
    cure="serve it with ktransformers, or take the Hugging Face checkpoint that it was merged from",
    lines=(*NAMES, *within("model.layers.*.", "blk.*.", LAYER)),
    schemas=frozenset({"deepseek_v2", "deepseek_v3"}),
    marks=("blk.*.attn_norm. .ggml_type",),
    home=("model-*-of-*.safetensors",),
    lacks_mtp="ktransformers' merge script leaves the MTP layer out",
    scale=lambda weight: f"{weight}_scale_inv",
)
