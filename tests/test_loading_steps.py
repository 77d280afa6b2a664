"""What vLLM's load functions do with names: the rules are those of models/*.py and models/utils.py of both releases."""

from __future__ import annotations

import pytest
from vllm_rank import DEEPSEEK, LLAMA, NEW, OLD, QWEN, VllmRank, fp8

from weightlint.loading.outcome import Failure, Fill, Skip

LAYER = "model.layers.1."


def key_error(name: str) -> Failure:
    return Failure("KeyError", repr(name))


def unknown(name: str, where: str) -> Failure:
    return Failure("ValueError", f"There is no module or parameter named {name!r} in {where}.")


def test_mtp_layers_are_skipped_as_far_as_the_config_declares_them() -> None:
    for version in (OLD, NEW):
        assert VllmRank(DEEPSEEK, version).feed("model.layers.2.enorm.weight", 64) == Skip("mtp")
    silent = DEEPSEEK | {"num_nextn_predict_layers": 0}
    assert VllmRank(silent, OLD).feed("model.layers.2.enorm.weight", 64) == key_error(
        "model.layers.2.enorm.weight"
    )
    assert VllmRank(silent, NEW).feed("model.layers.2.enorm.weight", 64) == key_error("layers.2.enorm.weight")
    absent = {key: value for key, value in DEEPSEEK.items() if key != "num_nextn_predict_layers"}
    assert VllmRank(absent, NEW).feed("model.layers.2.enorm.weight", 64) == Skip(
        "mtp"
    )  # the config class has 1


def test_the_day_of_16383() -> None:
    """The inner model sees no `model.`, so nothing is an MTP layer: the KeyError of #16450."""
    rank = VllmRank(DEEPSEEK, "0.8.4+pr16383")
    name = "model.layers.2.mlp.experts.0.down_proj.weight"
    assert rank.feed(name, 64, 32) == key_error("layers.2.mlp.experts.w2_weight")


@pytest.mark.parametrize(("version", "holds"), [(OLD, "LlamaForCausalLM"), (NEW, "LlamaForCausalLM")])
def test_class_names_are_those_of_the_config(version: str, holds: str) -> None:
    old = LLAMA | {"architectures": ["LLaMAForCausalLM"]}
    assert VllmRank(old, version).feed("foo.weight", 1) == unknown("foo", holds)


def test_what_a_llama_passes_over() -> None:
    for version in (OLD, NEW):
        rank = VllmRank(LLAMA, version)
        assert rank.feed(f"{LAYER}self_attn.rotary_emb.inv_freq", 8) == Skip("inv_freq")
        assert rank.feed(f"{LAYER}self_attn.q_proj.bias", 128) == Skip("bias")
    assert VllmRank(LLAMA, OLD).feed(f"{LAYER}self_attn.k_scale") == Skip("kv_scale")
    name = "layers.1.self_attn.k_scale"
    assert VllmRank(LLAMA, NEW).feed(f"model.{name}") == unknown(name, "LlamaModel")
    assert VllmRank(fp8(LLAMA), NEW).feed(f"model.{name}") == Skip("bias")


def test_what_a_llama_does_not_find() -> None:
    assert VllmRank(LLAMA, OLD).feed(f"{LAYER}self_attn.foo.weight", 1) == key_error(
        "layers.1.self_attn.foo.weight"
    )
    new = VllmRank(LLAMA, NEW)
    assert new.feed(f"{LAYER}self_attn.foo.weight", 1) == unknown("layers.1.self_attn.foo", "LlamaModel")
    nested = "Attempted to load nested weight 'norm.weight.foo' into a single parameter 'norm.weight'"
    assert new.feed("model.norm.weight.foo", 1) == Failure("ValueError", nested)
    assert new.feed(f"{LAYER}mlp.up_proj.weight_scale", 1) == Failure(
        "AttributeError", "'MergedColumnParallelLinear' object has no attribute 'data'"
    )


def test_consolidated_names() -> None:
    """0.8.4 renames them and sorts the rows of queries and keys, by a view of the whole tensor."""
    rank = VllmRank(LLAMA, OLD)
    assert rank.feed("layers.1.attention.wo.weight", 64, 128) == Fill(
        "model.layers.1.self_attn.o_proj.weight", (0, 0), (64, 128)
    )
    assert rank.feed("output.weight", 100, 64) == Fill("lm_head.weight", (0, 0), (100, 64), 28 * 64)
    assert rank.feed("layers.1.attention.wk.weight", 31, 64) == Failure(
        "RuntimeError", "shape '[2, 8, 2, 64]' is invalid for input of size 1984"
    )


def test_a_tied_head() -> None:
    tied = LLAMA | {"tie_word_embeddings": True}
    for version in (OLD, NEW):
        assert VllmRank(tied, version).feed("lm_head.weight", 100, 64) == Skip("tied")
    both = VllmRank(QWEN | {"tie_word_embeddings": True}, OLD).feed("lm_head.weight", 100, 64)
    assert both == Fill("model.embed_tokens.weight", (0, 0), (100, 64), 28 * 64)


def test_other_stages() -> None:
    rank = VllmRank(LLAMA, OLD, pp=2, rank=(0, 0))
    assert rank.feed(f"{LAYER}self_attn.q_proj.weight", 128, 64) == Skip("stage")
    assert rank.feed(f"{LAYER}foo.weight", 1) == Skip("stage")
    assert rank.feed("model.layers.2.foo.weight", 1) == key_error("layers.2.foo.weight")


def test_one_expert() -> None:
    old, new = VllmRank(QWEN, OLD, tp=2, rank=(1, 0)), VllmRank(QWEN, NEW, tp=2, ep=2, rank=(1, 0))
    up = f"{LAYER}mlp.experts.2.up_proj.weight"
    assert old.feed(up, 32, 64) == Fill(f"{LAYER}mlp.experts.w13_weight", (2, 16, 0), (16, 64))
    assert new.feed(up, 32, 64) == Fill(f"{LAYER}mlp.experts.routed_experts.w13_weight", (0, 32, 0), (32, 64))
    assert new.feed(up.replace(".2.", ".1."), 32, 64) == Skip("expert")
    beyond = up.replace(".2.", ".9.")
    assert old.feed(beyond, 32, 64) == key_error(beyond.removeprefix("model."))
    assert new.feed(beyond, 32, 64) == Skip("unknown")
    foreign = up.replace("weight", "foo")
    assert new.feed(foreign, 32, 64) == Failure(
        "AttributeError",
        f"Layer {LAYER}mlp.experts has no parameter 'w13_foo' for checkpoint weight {foreign!r}",
    )


def test_all_experts_in_one_tensor() -> None:
    """0.33.0 cuts it in two along the rows and takes it apart by expert."""
    rank = VllmRank(QWEN, NEW, tp=2, ep=2, rank=(1, 0))
    name = f"{LAYER}mlp.experts.routed_experts.w13_weight"
    got = rank.feed(f"{LAYER}mlp.experts.gate_up_proj", 4, 64, 64)
    assert isinstance(got, Fill)
    assert [(it.start, it.shape) for it in got.all] == [
        (start, (32, 64)) for start in ((0, 0, 0), (1, 0, 0), (0, 32, 0), (1, 32, 0))
    ]
    assert {it.param for it in got.all} == {name}
    more = rank.feed(f"{LAYER}mlp.experts.down_proj", 5, 64, 32)
    assert isinstance(more, Failure)
    assert (more.kind, more.text) == ("IndexError", "index 4 is out of bounds for dimension 0 with size 4")
    assert [it.start for it in more.done] == [(0, 0, 0), (1, 0, 0)]


def test_a_fused_matrix_on_disk() -> None:
    rank = VllmRank(LLAMA, NEW, tp=2, rank=(1, 0))
    got = rank.feed(f"{LAYER}self_attn.qkv_proj.weight", 192, 64)
    assert isinstance(got, Fill)
    assert [(it.start, it.shape) for it in got.all] == [
        ((0, 0), (64, 64)),
        ((64, 0), (16, 64)),
        ((80, 0), (16, 64)),
    ]


def test_block_scales_of_queries_and_keys() -> None:
    """0.8.4 counts their places in rows of the weight; issue #17327 shows the message."""
    old, new = VllmRank(fp8(LLAMA), OLD), VllmRank(fp8(LLAMA), NEW)
    scale = f"{LAYER}self_attn.k_proj.weight_scale_inv"
    span = "start out of range (expected to be in range of [-6, 6], but got 128)"
    assert old.feed(scale, 1, 2) == Failure("IndexError", span)
    assert new.feed(scale, 1, 2) == Fill(f"{LAYER}self_attn.qkv_proj.weight_scale_inv", (4, 0), (1, 2))


def test_an_indexer_in_fp8_waits_for_its_scale() -> None:
    config = DEEPSEEK | {
        "architectures": ["DeepseekV32ForCausalLM"],
        "index_n_heads": 4,
        "index_head_dim": 32,
    }
    rank = VllmRank(fp8(config), NEW)
    wk = f"{LAYER}self_attn.indexer.wk.weight"
    into = f"{LAYER}self_attn.indexer.wk_weights_proj.weight"
    assert rank.feed(wk, 32, 64, dtype="float8_e4m3fn") == Skip("half")
    assert rank.feed(f"{wk}_scale_inv", 1, 2, dtype="float32") == Fill(into, (0, 0), (32, 64))
    assert rank.feed(wk, 32, 64) == Fill(into, (0, 0), (32, 64))
    assert VllmRank(DEEPSEEK, NEW).feed(wk, 32, 64) == Skip("absent")


def test_queries_keys_and_values_of_gpt_neox() -> None:
    neox = {
        "architectures": ["GPTNeoXForCausalLM"],
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "vocab_size": 100,
    }
    rank = VllmRank(neox, OLD, tp=2, rank=(1, 0))
    name = "gpt_neox.layers.0.attention.query_key_value.weight"
    got = rank.feed(name, 192, 64)
    assert isinstance(got, Fill)
    assert [(it.start, it.shape) for it in got.all] == [((start, 0), (32, 64)) for start in (0, 32, 64)]
    assert rank.feed(name, 190, 64) == Failure(
        "RuntimeError", "shape '[4, 3, -1, 64]' is invalid for input of size 12160"
    )
    assert rank.feed("gpt_neox.layers.0.attention.bias", 1, 1, 8, 8) == Skip("inv_freq")


def test_what_waits_outlasts_an_error() -> None:
    """The buffer stands on the model: a tensor that fails between the two halves changes nothing."""
    config = DEEPSEEK | {
        "architectures": ["DeepseekV32ForCausalLM"],
        "index_n_heads": 4,
        "index_head_dim": 32,
    }
    rank = VllmRank(fp8(config), NEW)
    wk = f"{LAYER}self_attn.indexer.wk.weight"
    assert rank.feed(wk, 32, 64, dtype="float8_e4m3fn") == Skip("half")
    assert isinstance(rank.feed(f"{LAYER}foo.weight", 1), Failure)
    assert isinstance(rank.feed(f"{wk}_scale_inv", 1, 2, dtype="float32"), Fill)
