"""transformers: Hugging Face names; 5 stacks the experts in memory. Tensor parallel by the plan of its class.

Cuts in chunks, layers to stages: transformers 4.57.6, 5.0.0 and 5.23.0, integrations/tensor_parallel.py, distributed/.
That kv heads are not copied: transformers #48307. What the plans of the classes leave whole: their
configuration files (base_model_tp_plan).
"""

from __future__ import annotations

from dataclasses import replace

from weightlint.dtype import FP8
from weightlint.dtype_limits import NATIVE_FP8, Limit
from weightlint.loader import Loader
from weightlint.plan_rules import ExpertRules, PlanRules

RULES = PlanRules(
    split="last_takes_rest",
    tied_last=True,
    mtp="dropped",
    heads=False,
    kv="refused",
    ragged=True,
    vocab=0,
    whole_names={
        "deepseek_v3": ("*.self_attn.*",),
        "deepseek_v32": ("*.self_attn.*",),
    },
    whole=frozenset({"embedding"}),
    experts=ExpertRules(remainder="refused", group="any", round_robin=False),
)

UNPACKED = Limit(
    dtypes=FP8,
    below=NATIVE_FP8,
    why="it unpacks them to BF16, which takes twice the memory",
    says="FP8 quantized models is only supported on GPUs with compute capability >= 8.9 (e.g 4090/H100)",
    cure="nothing, if the memory suffices; else a GPU from sm89 on",
    falls_to="BF16",
)

LIMITS = (
    UNPACKED,
    replace(
        UNPACKED,
        below=None,
        devices=frozenset({"mps", "cpu"}),
        says="Using FP8 quantized models requires a GPU or XPU",
    ),
)
"""transformers 4.57.6 and 5, quantizers/quantizer_finegrained_fp8.py validate_environment."""

LOADER = Loader(
    name="transformers",
    says="transformers",
    since="4.57",
    newest="5.23.0",
    recorded=("4.57.6", "5.23.0"),
    plan_rules=(("", RULES),),
    dialects=frozenset({"hf"}),
    formats=frozenset({"safetensors", "torch", "gguf"}),
    quants=frozenset({"fp8_block"}),
    limits=LIMITS,
)
