"""kt-kernel: experts as bytes packed for the CPU, one piece per NUMA node; the rest half renamed.

Source: ktransformers, kt-kernel/scripts/convert_cpu_weights.py: `model.layers.` becomes `blk.`, what else
begins with `model.` loses it, and no name is translated further.
"""

from __future__ import annotations

from weightlint.dialect import Dialect, Option
from weightlint.moving.line import Line, line, within
from weightlint.moving.opaque import Repack

BYTES = frozenset({"U8", "I8", "F32", "F16", "BF16", "I32"})
"""Types that its methods (AMX INT4, INT8, AWQ) write; the loader takes bytes as they are."""


def expert(source: str, name: str) -> tuple[Line, ...]:
    """Return the lines of one projection of the experts, in both ways of packing."""
    pieces = tuple(f"{name}.*.numa.{{numa}}.{leaf}" for leaf in ("weight", "scale"))
    awq = tuple(f"{name}.*.{leaf}" for leaf in ("weight", "scale", "qzeros"))
    return (
        line(source, (), part="mtp"),
        line(source, pieces, Repack(), tags="numa", dtypes=BYTES),
        line(source, awq, Repack(), tags="awq", dtypes=BYTES),
    )


LAYER = (
    *expert("mlp.experts.*.gate_proj.weight", "ffn_gate_exps"),
    *expert("mlp.experts.*.up_proj.weight", "ffn_up_exps"),
    *expert("mlp.experts.*.down_proj.weight", "ffn_down_exps"),
)

DIALECT = Dialect(
    name="kt_kernel",
    title="kt-kernel",
    cure="serve it with SGLang and kt-kernel, or take the Hugging Face checkpoint that it was packed from",
    lines=within("model.layers.*.", "blk.*.", LAYER),
    schemas=frozenset({"deepseek_v2", "deepseek_v3", "deepseek_v32", "qwen2_moe", "qwen3_moe"}),
    marks=("blk.*.self_attn.",),
    home=("*",),
    choices=(
        (
            Option("numa", (".numa.*.",), "one piece for each NUMA node"),
            Option("awq", (".qzeros",), "AWQ, one piece with zero points"),
        ),
    ),
    rest=lambda pattern: pattern.replace("model.layers.", "blk.").removeprefix("model."),
    scale=lambda weight: f"{weight}_scale_inv",
    counted={"numa": "_exps.*.numa.*.weight"},
)
