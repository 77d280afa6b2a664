"""ktransformers and kt-kernel: experts on the CPU, the rest in SGLang or by a table of regular expressions.

The tables for 2, 4 and 8 GPUs: ktransformers at 95009ea, archive/ktransformers/optimize/optimize_rules/
DeepSeek-V3-Chat-multi-gpu*.yaml: equal numbers of layers rounded up, embedding and experts on the CPU.
"""

from __future__ import annotations

from dataclasses import replace

from weightlint.dtype import FP8
from weightlint.dtype_limits import BF16, NATIVE_FP8, Limit
from weightlint.ggml import BY_NAME
from weightlint.loader import Loader
from weightlint.plan_rules import PlanRules

UNPACKED = frozenset(
    {"F32", "F16", "BF16", "Q4_0", "Q5_0", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS"}
)
"""Types that it can unpack: archive/ktransformers/util/custom_gguf.py, GGML_TYPES."""

NOT_UNPACKED = Limit(
    dtypes=frozenset(BY_NAME) - UNPACKED,
    experts=False,
    formats=frozenset({"gguf"}),
    why="it unpacks these types for no tensor but the experts, which stay on the CPU",
    says="NotImplementedError: ggml_type ... not implemented",
    cure="take a file whose other tensors are of Q2_K to Q6_K, Q8_0 or IQ4_XS, or quantise it anew",
)

LIMITS = (
    NOT_UNPACKED,
    replace(
        NOT_UNPACKED,
        dtypes=BF16,
        span="<=0.2.3",
        experts=None,
        why="this release does not unpack BF16",
        says="NotImplementedError: ggml_type 30 not implemented",
        cure="take a later release, or a file of Q8_0 or F16",
    ),
    Limit(
        dtypes=FP8,
        below=NATIVE_FP8,
        why="its kernel is Triton's, which has no such type there",
        says="type fp8e4nv not supported in this architecture",
        cure="take a GGUF file of the model, or a GPU from sm89 on",
    ),
    Limit(
        dtypes=FP8,
        span="<=0.2.3",
        below=(9, 0),
        why="the Triton of that time has FP8 from sm90 on only",
        says="f8e4m3nv is only supported on compute capability >= 90",
        cure="take a later release of Triton and ktransformers, or a GGUF file of the model",
    ),
)
"""ktransformers #832, #836, #851, #1978."""

LOADER = Loader(
    name="ktransformers",
    says="ktransformers",
    since="0.2",
    newest="0.7.2",
    recorded=("0.7.2",),
    plan_rules=(
        (
            "",
            PlanRules(
                kinds=frozenset({"pp"}),
                split="rounded_up",
                places={"embedding": "none", "norm": "last", "head": "last"},
                mtp="dropped",
                vocab=0,
            ),
        ),
    ),
    dialects=frozenset({"gguf", "hf", "ktransformers", "kt_kernel"}),
    formats=frozenset({"safetensors", "gguf"}),
    only={"ktransformers": "<0.4", "kt_kernel": ">=0.4"},
    quants=frozenset({"fp8_block"}),
    limits=LIMITS,
)
