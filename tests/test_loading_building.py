"""What vLLM's modules make of a config on one rank. Sizes are worked out by hand from layers/{linear,fused_moe}."""

from __future__ import annotations

import pytest
from vllm_rank import DEEPSEEK, LLAMA, NEW, OLD, QWEN, VllmRank, fp8

from weightlint.loading.outcome import Failure, Fill, Skip

LAYER = "model.layers.0."


def test_heads_of_keys_are_copied_where_ranks_are_more() -> None:
    """8 heads of 16 over 4 ranks are 32 rows, one of 2 heads of keys 16: ranks 2 and 3 share the second."""
    rank = VllmRank(LLAMA, OLD, tp=4, rank=(3, 0))
    name = f"{LAYER}self_attn.qkv_proj.weight"
    assert rank.shape(name) == (64, 64)
    assert rank.feed(f"{LAYER}self_attn.q_proj.weight", 128, 64) == Fill(name, (0, 0), (32, 64))
    assert rank.feed(f"{LAYER}self_attn.k_proj.weight", 32, 64) == Fill(name, (32, 0), (16, 64))
    assert rank.feed(f"{LAYER}self_attn.v_proj.weight", 32, 64) == Fill(name, (48, 0), (16, 64))
    assert rank.feed(f"{LAYER}self_attn.k_proj.weight", 16, 64) == Failure(
        "RuntimeError", "start (16) + length (16) exceeds dimension size (16)."
    )


@pytest.mark.parametrize("version", [OLD, NEW])
def test_what_does_not_divide(version: str) -> None:
    assert VllmRank(LLAMA, version, tp=3).error == "AssertionError: 128 is not divisible by 3"
    assert VllmRank(LLAMA | {"vocab_size": 192}, version, tp=3).error == "AssertionError"
    assert VllmRank(LLAMA | {"intermediate_size": 90}, version, tp=4).error == "AssertionError"
    six = LLAMA | {"num_key_value_heads": 3, "num_attention_heads": 9, "vocab_size": 576}
    assert VllmRank(six, version, tp=9).error == "AssertionError"  # 96 / 9, the heads are fine
    many = VllmRank(QWEN | {"num_attention_heads": 16}, version, tp=8).error
    assert many == "ValueError: Tensor parallel size 8 is greater than the number of experts 4."


def test_the_first_refusal_is_that_of_the_first_layer() -> None:
    """Layer 0 is dense: 128 / 8 = 16 is no multiple of 32, before the experts' 32 / 8 = 4 of layer 1 comes up."""
    wide = DEEPSEEK | {
        "num_attention_heads": 16,
        "kv_lora_rank": 32,
        "v_head_dim": 32,
        "qk_nope_head_dim": 32,
    }
    error = VllmRank(fp8(wide), OLD, tp=8).error
    assert error.startswith(
        "ValueError: Weight output_partition_size = 16 is not divisible by weight quantization"
    )
    later = VllmRank(fp8(wide), OLD, tp=4, pp=2, rank=(0, 1)).error
    assert later.startswith("ValueError: The output_size of gate's and up's weight = 8 is not divisible")


def test_where_the_outer_tensors_are() -> None:
    tied = LLAMA | {"tie_word_embeddings": True}
    head, table, norm = "lm_head.weight", "model.embed_tokens.weight", "model.norm.weight"
    first, last = (VllmRank(LLAMA, NEW, pp=2, rank=(0, stage)) for stage in (0, 1))
    assert [first.shape(it) for it in (table, norm, head)] == [(128, 64), None, None]
    assert [last.shape(it) for it in (table, norm, head)] == [None, (64,), (128, 64)]
    assert VllmRank(tied, NEW, pp=2, rank=(0, 1)).shape(table) == (128, 64)
    assert VllmRank(tied, NEW, pp=2, rank=(0, 1)).shape(head) is None
    assert all(VllmRank(QWEN, OLD, pp=2, rank=(0, stage)).shape(table) == (128, 64) for stage in (0, 1))


def test_latent_attention_is_fused_since_0_33() -> None:
    old, new = VllmRank(DEEPSEEK, OLD, tp=2), VllmRank(DEEPSEEK, NEW, tp=2)
    assert old.shape(f"{LAYER}self_attn.q_a_proj.weight") == (48, 64)
    assert old.shape(f"{LAYER}self_attn.kv_a_proj_with_mqa.weight") == (48, 64)
    assert new.shape(f"{LAYER}self_attn.fused_qkv_a_proj.weight") == (96, 64)
    plain = VllmRank(DEEPSEEK | {"q_lora_rank": None}, NEW, tp=2)
    assert plain.shape(f"{LAYER}self_attn.kv_a_proj_with_mqa.weight") == (48, 64)
    assert plain.shape(f"{LAYER}self_attn.q_proj.weight") == (64, 64)


def test_experts_are_cut_or_dealt() -> None:
    w13 = "model.layers.1.mlp.experts.routed_experts.w13_weight"
    assert VllmRank(DEEPSEEK, NEW, tp=2).shape(w13) == (4, 32, 64)
    assert VllmRank(DEEPSEEK, NEW, tp=2, ep=2).shape(w13) == (2, 64, 64)
    five = DEEPSEEK | {"n_routed_experts": 5}
    assert [VllmRank(five, NEW, tp=2, ep=2, rank=(it, 0)).shape(w13) for it in (0, 1)] == [
        (3, 64, 64),
        (2, 64, 64),
    ]
    old = w13.replace("routed_experts.", "")
    assert [VllmRank(five, OLD, tp=2, ep=2, rank=(it, 0)).shape(old) for it in (0, 1)] == [
        (2, 64, 64),
        (3, 64, 64),
    ]


def test_what_the_config_class_or_the_model_leaves_out() -> None:
    bias = "model.layers.1.mlp.gate.e_score_correction_bias"
    assert VllmRank(DEEPSEEK, NEW).shape(bias) == (4,)
    assert VllmRank(DEEPSEEK | {"topk_method": "greedy"}, NEW).shape(bias) is None
    assert VllmRank(DEEPSEEK | {"attention_bias": True}, NEW).shape(f"{LAYER}self_attn.o_proj.bias") is None
    assert VllmRank(LLAMA | {"attention_bias": True}, NEW).shape(f"{LAYER}self_attn.o_proj.bias") == (64,)


def test_blocks_of_experts_are_refined_since_0_33() -> None:
    """32 columns of 64 a rank under blocks of 64: refused in 0.8.4, scales of 32 in 0.33.0."""
    config = fp8(
        DEEPSEEK | {"moe_intermediate_size": 64, "num_attention_heads": 8, "n_shared_experts": 4}, 64
    )
    assert VllmRank(config, OLD, tp=2).error.startswith(
        "ValueError: The output_size of gate's and up's weight = 32"
    )
    scale = "model.layers.1.mlp.experts.routed_experts.w2_weight_scale_inv"
    assert VllmRank(config, NEW, tp=2).shape(scale) == (4, 2, 1)
    assert VllmRank(config, NEW).shape(scale) == (4, 1, 1)


def test_a_stage_without_experts() -> None:
    dense = QWEN | {"mlp_only_layers": [0]}
    assert VllmRank(dense, NEW, pp=2).error == "RuntimeError: No Qwen3MoE layer found in the model.layers."
    assert VllmRank(dense, NEW, pp=2, rank=(0, 1)).error == ""
    assert VllmRank(dense, OLD, pp=2).error == ""


def test_which_modules_are_quantised() -> None:
    """0.8.4 reads `ignored_layers` alone; 0.33.0 gives the router of Qwen3-MoE the quantisation unless it is listed."""
    router, scale = f"{LAYER}mlp.gate.weight", f"{LAYER}mlp.gate.weight_scale_inv"
    assert VllmRank(fp8(QWEN), OLD).shape(scale) is None
    assert VllmRank(fp8(QWEN), NEW).shape(scale) == (1, 2)
    listed = fp8(QWEN, modules_to_not_convert=[router.removesuffix(".weight"), f"{LAYER}self_attn.o_proj"])
    assert VllmRank(listed, NEW).shape(scale) is None
    out = f"{LAYER}self_attn.o_proj.weight_scale_inv"
    assert [VllmRank(listed, version).shape(out) for version in (OLD, NEW)] == [(2, 4), None]


def test_a_fused_parameter_of_which_a_part_is_listed() -> None:
    listed = fp8(LLAMA, modules_to_not_convert=["model.layers.1.self_attn.q_proj"])
    assert VllmRank(listed, NEW).error == (
        "ValueError: Detected some but not all shards of model.layers.1.self_attn.qkv_proj are quantized. "
        "All shards of fused layers to have the same precision."
    )
    assert VllmRank(listed, NEW, pp=2).error == ""
    assert VllmRank(listed, OLD).error == ""


def test_a_draft_model_has_the_mtp_layers_alone() -> None:
    """0.8.4 keeps the embedding in the layer, 0.33.0 beside the layers; both put the decoder layer into `mtp_block`."""
    config = DEEPSEEK | {"architectures": ["DeepSeekMTPModel"]}
    old, new = VllmRank(config, OLD, pp=2, rank=(0, 1)), VllmRank(config, NEW)
    layer, table = "model.layers.2.", "model.embed_tokens.weight"
    assert old.shape(f"{layer}embed_tokens.weight") == new.shape(table) == (128, 64)
    assert old.shape(table) is new.shape(f"{layer}embed_tokens.weight") is None
    into = f"{layer}mtp_block.mlp.gate.weight"
    for rank in (old, new):
        assert rank.shape(f"{layer}eh_proj.weight") == (64, 128)
        assert rank.shape("model.layers.0.input_layernorm.weight") is None
        assert rank.feed(f"{layer}mlp.gate.weight", 4, 64) == Fill(into, (0, 0), (4, 64))
        assert rank.feed("model.layers.0.mlp.up_proj.weight", 128, 64) == Skip("not_mtp")
