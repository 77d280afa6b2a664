"""SGLang: Hugging Face names, fused at load; experts outside, slices of them inside.

Splits, experts and messages: SGLang 0.4.6.post5, 0.5.6 and 0.5.23, srt/distributed/utils.py, srt/layers/linear.py, srt/
layers/moe/fused_moe_triton/layer.py, srt/layers/quantization/fp8.py. The split of layers changed with 0.5.6; in
0.4.6 every rank of a pipeline builds all layers of DeepSeek. Heads are on all stages but in DeepSeek: srt/models.
"""

from __future__ import annotations

from dataclasses import replace

from weightlint.dtype import FP8
from weightlint.dtype_limits import BF16, NATIVE_BF16, NATIVE_FP8, Limit
from weightlint.loader import Loader
from weightlint.methods import Methods
from weightlint.plan_rules import EVERYWHERE, PLAIN_PLACES, BlockRules, ExpertRules, PlanRules

WORDS = {
    "even": "{size} is not divisible by {ways}",
    "block_n": "Weight output_partition_size = {width} is not divisible by weight quantization block_n = {block}.",
    "block_k": "Weight input_size_per_partition = {width} is not divisible by weight quantization block_k = {block}.",
    "expert_n": "The output_size of gate's and up's weight = {width} is not divisible by weight quantization "
    "block_n = {block}.",
    "expert_k": "The input_size of down's weight = {width} is not divisible by weight quantization block_k = {block}.",
    "stages": "len(partitions)={given} does not match pp_size={stages}.",
    "layers": "sum(partitions)={given} does not match num_hidden_layers={layers}.",
}

DEEPSEEK = frozenset({"deepseek_v2", "deepseek_v3", "deepseek_v32"})

NEW = PlanRules(
    split="last_one_more",
    places={"embedding": "first", "norm": "last", "head": EVERYWHERE},
    odd_places=dict.fromkeys(DEEPSEEK, PLAIN_PLACES),
    mtp="own",
    vocab=64,
    vocab_share="otherwise",
    empty=True,
    experts=ExpertRules(remainder="refused", group="tp", round_robin=False),
    blocks=BlockRules(
        columns="merged",
        merged=frozenset({"gate_proj", "up_proj", "q_proj", "k_proj", "v_proj", "w1", "w3"}),
    ),
    headroom=0.9,
    words=WORDS,
)

OLD = replace(NEW, split="last_takes_rest")

NO_FP8 = Limit(
    dtypes=FP8,
    below=NATIVE_FP8,
    experts=True,
    why="its kernel for experts is Triton's, which has no such type there",
    says="type fp8e4nv not supported in this architecture. The supported fp8 dtypes are ('fp8e4b15', 'fp8e5')",
    cure="take the BF16 copy of the model, or vLLM, which unpacks FP8 for older GPUs",
)

LIMITS = (
    NO_FP8,
    replace(NO_FP8, experts=False, span="<0.5.1", why="its Marlin kernel takes no FP8 in blocks"),
    replace(
        NO_FP8,
        experts=False,
        span=">=0.5.1",
        below=NATIVE_BF16,
        why="its Marlin kernel, which unpacks FP8, begins with sm80",
        says="",
    ),
    Limit(
        dtypes=BF16,
        below=NATIVE_BF16,
        computed=True,
        why="it computes no bfloat16",
        cure="run it with --dtype float16, if the model bears it (WL404), or on a GPU from sm80 on",
        falls_to="F16",
    ),
)
"""FP8 below sm89: SGLang #12887 and PR #8990, #9754, #30681; bfloat16: model_runner.py of 0.4.6.post5 and 0.5.23."""

METHODS = (
    Methods(
        span=">=0.5.20",
        least={
            "fp8_block": 0, "fp8_tensor": 0, "fp8_channel": 0, "compressed_tensors": 70, "awq": 75, "gptq": 60,
            "auto_round": 60, "bitsandbytes": 70, "modelopt": 80, "quark": 70, "mxfp4": 80, "w4afp8": 90, "w8a8_int8": 75,
            "blockwise_int8": 75, "modelslim": 0,
        },
    ),
)  # fmt: skip
"""get_min_capability in srt/layers/quantization/ of 0.5.23."""

LOADER = Loader(
    name="sglang",
    says="SGLang",
    since="0.4.6",
    newest="0.5.23",
    recorded=("0.4.6.post5", "0.5.23"),
    plan_rules=(("<0.4.7", replace(OLD, unstaged=DEEPSEEK)), ("<0.5.6", OLD), ("", NEW)),
    dialects=frozenset({"hf", "fused_runtime"}),
    formats=frozenset({"safetensors", "torch", "gguf"}),
    quants=frozenset({"fp8_block"}),
    limits=LIMITS,
    methods=METHODS,
)
