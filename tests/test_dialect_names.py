"""Names and shapes of dialects against the frameworks: recorded, installed, or their rule by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from toy import config, expected_of

from weightlint import schema
from weightlint.api import DIALECTS
from weightlint.config import Config
from weightlint.errors import DialectError
from weightlint.expansion import expand
from weightlint.expected import Expected, Presence

if TYPE_CHECKING:
    from weightlint.dialect import Variant

Shapes = dict[str, tuple[int, ...]]
DATA = Path(__file__).parents[1].parent / "shared" / "data"
MEGATRON = DATA / "sglang" / "megatron_core_0161_local.json"
HF5 = sorted(path for path in DATA.glob("hf5/*.json") if ".full" not in path.name)


def required(expected: Expected, *, mtp: bool = False) -> Shapes:
    slots = [*expected.slots, *(slot for it in expected.layouts if mtp for slot in it.slots)]
    return {n: s.shape for s in slots if s.need is not Presence.TIED for n in s.names()}


def plain(asked: dict[str, Any], arch: str = "deepseek_v3") -> Shapes:
    return required(expected_of(arch, asked))


# DeepSeek-V3, inference/convert.py: its table, and its steps in their order
CONVERT = {
    "embed_tokens": "embed", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "q_proj": "wq", "q_a_proj": "wq_a", "q_a_layernorm": "q_norm", "q_b_proj": "wq_b",
    "kv_a_proj_with_mqa": "wkv_a", "kv_a_layernorm": "kv_norm", "kv_b_proj": "wkv_b", "o_proj": "wo",
    "gate": "gate", "gate_proj": "w1", "down_proj": "w2", "up_proj": "w3", "norm": "norm", "lm_head": "head",
    "scale": "scale",
}  # fmt: skip


def converted(name: str) -> str:
    name = name.removeprefix("model.").replace("self_attn", "attn").replace("mlp", "ffn")
    name = name.replace("weight_scale_inv", "scale").replace("e_score_correction_bias", "bias")
    key = name.split(".")[-2]
    return name.replace(key, CONVERT[key])


@pytest.mark.parametrize("name", ["toy_deepseek_v3", "toy_deepseek_v3_fp8"])
def test_deepseek_native_is_what_its_converter_writes(name: str) -> None:
    asked = config(name)
    last = asked["num_hidden_layers"]
    before = {n: shape for n, shape in plain(asked).items() if not n.startswith(f"model.layers.{last}.")}
    written = DIALECTS["deepseek_native"].rewrite(expected_of("deepseek_v3", asked))
    assert required(written) == {converted(name): shape for name, shape in before.items()}


def dumped(file: Path) -> tuple[dict[str, Any], Expected]:
    dump = json.loads(file.read_text())
    asked = Config({**dump["config"], "num_nextn_predict_layers": 0})
    return dump, expand(schema.load(dump["model_type"]), asked)


@pytest.mark.skipif(not HF5, reason="no dumps of transformers' classes beside the project")
@pytest.mark.parametrize("file", HF5, ids=lambda file: file.stem)
def test_hf_fused_is_what_transformers_5_holds_in_memory(file: Path) -> None:
    dump, expected = dumped(file)
    held = {name: tuple(entry[0]) for name, entry in {**dump["params"], **dump["buffers"]}.items()}
    fused = DIALECTS["hf_fused"]
    assert required(fused.rewrite(expected) if dump["model_type"] in fused.schemas else expected) == held


@pytest.mark.skipif(not HF5, reason="no dumps of transformers' classes beside the project")
@pytest.mark.parametrize("file", HF5, ids=lambda file: file.stem)
def test_hf_fused_stacks_in_the_order_of_transformers_5(file: Path) -> None:
    dump, expected = dumped(file)
    wanted: dict[str, list[str]] = {}
    for rule in dump["conversions"]:
        if rule["kind"] == "WeightConverter":
            operations = [it["op"] for it in rule["operations"]]
            assert operations in (["MergeModulelist", "Concatenate"], ["MergeModulelist"])
            wanted[rule["targets"][0].rsplit(".", 1)[-1]] = [it.rsplit("*.", 1)[-1] for it in rule["sources"]]
    if not wanted:
        return
    found = {
        recipe.targets[0].pattern.rsplit(".", 1)[-1]: [
            slot.pattern.rsplit("{expert}.", 1)[-1] for slot in recipe.sources
        ]
        for recipe in DIALECTS["hf_fused"].rewrite(expected).recipes
        if recipe.gathered
    }
    assert found == wanted


@pytest.mark.parametrize("arch", sorted(DIALECTS["hf_fused"].schemas))
def test_hf_fused_is_the_layout_of_the_schema(arch: str) -> None:
    asked = json.loads((schema.folder() / "configs" / f"{arch}.json").read_text())
    asked.pop("quantization_config", None)
    expected = expand(schema.load(arch), Config({**asked, "num_nextn_predict_layers": 0}))
    (layout,) = expected.layouts
    chosen = expected.choose(layout, frozenset(coord[:1] for slot in layout.slots for coord in slot.coords()))
    assert required(DIALECTS["hf_fused"].rewrite(expected)) == required(chosen)


# ../shared/tools/megatron_truth.py: the model that was built
MEGATRON_CONFIG = {
    "num_hidden_layers": 7, "hidden_size": 256, "vocab_size": 1024, "intermediate_size": 1024,
    "moe_intermediate_size": 256, "num_attention_heads": 8, "n_routed_experts": 8, "n_shared_experts": 1,
    "q_lora_rank": 64, "kv_lora_rank": 64, "qk_nope_head_dim": 32, "qk_rope_head_dim": 32, "v_head_dim": 32,
    "first_k_dense_replace": 2, "num_nextn_predict_layers": 1,
}  # fmt: skip


def megatron(words: str) -> Expected:
    dialect = DIALECTS["megatron"]
    return dialect.rewrite(expected_of("deepseek_v3", MEGATRON_CONFIG), dialect.chosen(words.split()))


def ranks() -> list[dict[str, Any]]:
    return list(json.loads(MEGATRON.read_text())["ranks"])


recorded = pytest.mark.skipif(not MEGATRON.is_file(), reason="no recorded Megatron-core beside the project")


@recorded
def test_megatron_local_spec_has_the_names_of_the_real_model() -> None:
    whole = next(it for it in ranks() if it.get("mtp"))
    held = {name: tuple(entry[0]) for name, entry in whole["params"].items()}
    held |= {n: tuple(e[0]) for n, e in whole["buffers"].items() if n.endswith(".expert_bias")}
    assert required(megatron("local sequential layer"), mtp=True) == held


@recorded
def test_megatron_stacked_has_the_keys_of_torch_dist() -> None:
    whole = next(it for it in ranks() if it.get("mtp"))
    entries = [entry for entry in whole["sharded"].values() if entry[-1] == "ShardedTensor"]
    held = {key: tuple(shape) for key, shape, *_ in entries}
    assert required(megatron("local stacked layer"), mtp=True) == held


@recorded
def test_every_rank_of_megatron_has_names_of_the_dialect() -> None:
    known = set(required(megatron("local sequential layer"), mtp=True))
    whole = [rank for rank in ranks() if rank["pp"] == 1]
    assert len(whole) == 10
    assert all(set(rank["params"]) <= known for rank in whole)


# Megatron-Bridge, models/deepseek/common.py, by hand: TE spec, grouped experts
BRIDGE = {
    "model.layers.0.post_attention_layernorm.weight": "decoder.layers.0.mlp.linear_fc1.layer_norm_weight",
    "model.layers.2.post_attention_layernorm.weight": "decoder.layers.2.pre_mlp_layernorm.weight",
    "model.layers.2.self_attn.q_a_layernorm.weight": "decoder.layers.2.self_attention.linear_q_up_proj.layer_norm_weight",
    "model.layers.2.mlp.experts.5.down_proj.weight": "decoder.layers.2.mlp.experts.linear_fc2.weight5",
    "model.layers.2.mlp.experts.5.gate_proj.weight": "decoder.layers.2.mlp.experts.linear_fc1.weight5",
    "model.layers.2.mlp.gate.e_score_correction_bias": "decoder.layers.2.mlp.router.expert_bias",
    "model.layers.7.shared_head.norm.weight": "mtp.layers.0.final_layernorm.weight",
    "model.layers.7.mlp.gate.weight": "mtp.layers.0.mtp_model_layer.mlp.router.weight",
    "model.layers.7.eh_proj.weight": "mtp.layers.0.eh_proj.weight",
}


def test_megatron_te_spec_has_the_names_of_the_bridge() -> None:
    found = {
        source: targets[0]
        for recipe in megatron("").recipes
        for sources, targets in recipe.pairs()
        for source in sources
    }
    assert {name: found[name] for name in BRIDGE} == BRIDGE


def test_a_padded_vocabulary_is_a_multiple_of_128() -> None:
    asked = {**MEGATRON_CONFIG, "vocab_size": 1000}
    dialect = DIALECTS["megatron"]
    written = required(dialect.rewrite(expected_of("deepseek_v3", asked), dialect.chosen(["padded"])))
    assert written["embedding.word_embeddings.weight"] == written["output_layer.weight"] == (1024, 256)


def litgpt_pairs() -> list[tuple[str, str, dict[str, Any]]]:
    small = {"n_layer": 2, "n_embd": 64, "intermediate_size": 96, "n_head": 4, "padded_vocab_size": 80}
    return [
        ("llama", "Llama-3.2-1B", {**small, "n_query_groups": 2, "head_size": 16}),
        ("gpt_neox", "pythia-160m", {**small, "n_query_groups": 4, "head_size": 16}),
        ("mixtral", "Mixtral-8x7B-v0.1", {**small, "n_query_groups": 2, "head_size": 16, "n_expert": 3}),
    ]


def asked_of(lit: Any) -> dict[str, Any]:
    return {
        "num_hidden_layers": lit.n_layer,
        "hidden_size": lit.n_embd,
        "vocab_size": lit.padded_vocab_size,
        "intermediate_size": lit.intermediate_size,
        "num_attention_heads": lit.n_head,
        "num_key_value_heads": lit.n_query_groups,
        "head_dim": lit.head_size,
        "num_local_experts": lit.n_expert,
    }


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("arch", "name", "changes"), litgpt_pairs())
def test_litgpt_is_what_its_model_class_holds(arch: str, name: str, changes: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    litgpt = pytest.importorskip("litgpt")
    lit = litgpt.Config.from_name(name, **changes)
    with torch.device("meta"):
        held = {n: tuple(p.shape) for n, p in litgpt.GPT(lit).named_parameters()}
    assert required(DIALECTS["litgpt"].rewrite(expected_of(arch, asked_of(lit)))) == held


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("arch", "name", "changes"), litgpt_pairs())
def test_litgpt_numbers_are_those_of_its_converter(arch: str, name: str, changes: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    litgpt = pytest.importorskip("litgpt")
    import arrays
    from litgpt.scripts.convert_hf_checkpoint import copy_weights_gpt_neox, copy_weights_hf_llama

    lit = litgpt.Config.from_name(name, **changes)
    expected = expected_of(arch, asked_of(lit))
    held = arrays.random([slot for slot in expected.slots if slot.need is not Presence.TIED])
    tensors = {key: torch.from_numpy(array) for key, array in held.items()}
    out: dict[str, Any] = {}
    if arch == "gpt_neox":
        copy_weights_gpt_neox(lit, out, tensors)
    else:
        copy_weights_hf_llama(lit, {}, out, tensors)
    made = arrays.forward(DIALECTS["litgpt"].rewrite(expected).recipes, held)
    assert {*made} == {*out}
    assert all((made[key] == out[key].numpy()).all() for key in out)


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
def test_litgpt_puts_its_legacy_rows_in_the_order_of_the_dialect() -> None:
    torch = pytest.importorskip("torch")
    litgpt = pytest.importorskip("litgpt")
    import arrays
    from litgpt.scripts.convert_hf_checkpoint import qkv_reassemble

    arch, name, changes = litgpt_pairs()[0]
    lit = litgpt.Config.from_name(name, **changes)
    expected, dialect = expected_of(arch, asked_of(lit)), DIALECTS["litgpt"]
    held = arrays.random([slot for slot in expected.slots if slot.need is not Presence.TIED])

    def made(variant: Variant) -> dict[str, Any]:
        return dict(arrays.forward(dialect.rewrite(expected, variant).recipes, held))

    legacy, now = made(dialect.chosen(["legacy"])), made(dialect.chosen())
    ordered = qkv_reassemble(torch.from_numpy(legacy["transformer.h.1.attn.attn.weight"]), lit)
    assert (ordered.numpy() == now["transformer.h.1.attn.qkv.weight"]).all()


def test_kt_kernel_names() -> None:
    # ktransformers, kt-kernel/scripts/convert_cpu_weights.py, its own rule for what is no expert
    asked = config("toy_deepseek_v3")
    written = DIALECTS["kt_kernel"].rewrite(expected_of("deepseek_v3", asked))
    others = [name for name in plain(asked) if ".mlp.experts." not in name]
    renamed = {
        name.replace("model.layers.", "blk.").replace("model.", "") if name.startswith("model.") else name
        for name in others
    }
    found = set(required(written, mtp=True))
    assert {name for name in found if "_exps." not in name} == renamed
    packed = re.compile(r"blk\.[123]\.ffn_(gate|up|down)_exps\.[0-3]\.numa\.0\.(weight|scale)")
    assert len(found - renamed) == 3 * 4 * 3 * 2
    assert all(packed.fullmatch(name) for name in found - renamed)


def test_ktransformers_names() -> None:
    # ktransformers, archive/merge_tensors/merge_safetensor_gguf.py `translate_name`
    found = set(
        required(DIALECTS["ktransformers"].rewrite(expected_of("deepseek_v3", config("toy_deepseek_v3_fp8"))))
    )
    assert {
        "token_embd.weight",
        "blk.1.attn_kv_b.weight",
        "blk.1.attn_kv_b.weight_scale_inv",
        "blk.1.exp_probs_b.bias",
        "blk.1.ffn_gate_inp.weight",
        "blk.1.ffn_up_exps.weight",
        "blk.1.ffn_up_exps.ggml_type",
        "blk.1.ffn_down_shexp.weight_scale_inv",
        "output.weight",
    } <= found
    assert not any("_exps.weight_scale_inv" in name for name in found)


def test_trtllm_names() -> None:
    # TensorRT-LLM, models/deepseek_v2/convert.py: latent attention by bare names, fc and gate exchanged
    asked = config("toy_deepseek_v3")
    found = required(DIALECTS["trtllm"].rewrite(expected_of("deepseek_v3", asked)))
    layer = {
        name.removeprefix("transformer.layers.1."): shape
        for name, shape in found.items()
        if ".layers.1." in name
    }
    heads, wide, ff = asked["num_attention_heads"], asked["hidden_size"], asked["moe_intermediate_size"]
    nope, rope, v = asked["qk_nope_head_dim"], asked["qk_rope_head_dim"], asked["v_head_dim"]
    q, kv, experts = asked["q_lora_rank"], asked["kv_lora_rank"], asked["n_routed_experts"]
    shared = asked["n_shared_experts"] * ff
    assert layer == {
        "input_layernorm.weight": (wide,),
        "post_layernorm.weight": (wide,),
        "attention.fused_a.weight": (q + kv + rope, wide),
        "attention.q_a_layernorm.weight": (q,),
        "attention.kv_a_layernorm.weight": (kv,),
        "attention.q_b_proj": (heads * (nope + rope), q),
        "attention.kv_b_proj": (heads * (nope + v), kv),
        "attention.fused_q_proj": (heads * (kv + rope), q),
        "attention.dense.weight": (wide, heads * v),
        "mlp.router.weight": (experts, wide),
        "mlp.e_score_correction_bias": (experts,),
        "mlp.fc.weight": (experts, 2 * ff, wide),
        "mlp.proj.weight": (experts, wide, ff),
        "mlp.shared_expert.fc.weight": (2 * shared, wide),
        "mlp.shared_expert.proj.weight": (wide, shared),
    }


def layer_of(dialect: str, arch: str, asked: dict[str, Any], prefix: str) -> set[str]:
    found = required(DIALECTS[dialect].rewrite(expected_of(arch, asked)))
    return {name.removeprefix(prefix) for name in found if name.startswith(prefix)}


MIXTRAL = {
    "num_hidden_layers": 1, "hidden_size": 16, "vocab_size": 5, "intermediate_size": 7, "num_attention_heads": 4,
    "num_key_value_heads": 2, "num_local_experts": 2,
}  # fmt: skip


def test_mistral_names() -> None:
    # mistral-inference, transformer.py, transformer_layers.py, moe.py: attributes of the modules
    found = set(required(DIALECTS["mistral"].rewrite(expected_of("mixtral", MIXTRAL))))
    assert found == {
        "tok_embeddings.weight", "norm.weight", "output.weight",
        "layers.0.attention_norm.weight", "layers.0.ffn_norm.weight",
        *(f"layers.0.attention.w{part}.weight" for part in "qkvo"),
        "layers.0.feed_forward.gate.weight",
        *(f"layers.0.feed_forward.experts.{e}.w{n}.weight" for e in (0, 1) for n in (1, 2, 3)),
    }  # fmt: skip


def test_mlx_names() -> None:
    # mlx-lm, models/{mixtral,deepseek_v2,gpt_neox}.py `sanitize`
    moe = layer_of("mlx", "mixtral", MIXTRAL, "model.layers.0.block_sparse_moe.")
    assert moe == {"gate.weight", *(f"switch_mlp.{part}_proj.weight" for part in ("gate", "up", "down"))}
    asked = {**config("toy_deepseek_v3"), "num_nextn_predict_layers": 0}
    attention = layer_of("mlx", "deepseek_v2", asked, "model.layers.1.self_attn.")
    assert "kv_b_proj.weight" in attention
    assert "embed_q.weight" not in attention
    neox = {
        "num_hidden_layers": 1,
        "hidden_size": 12,
        "vocab_size": 5,
        "intermediate_size": 7,
        "num_attention_heads": 3,
    }
    found = set(required(DIALECTS["mlx"].rewrite(expected_of("gpt_neox", neox))))
    assert {"model.embed_in.weight", "model.embed_out.weight", "model.final_layer_norm.bias"} <= found
    assert "model.h.0.attention.query_key_value.weight" in found


def test_experts_that_are_quantised_in_part_cannot_be_stacked() -> None:
    asked = config("toy_deepseek_v3_fp8")
    asked["quantization_config"]["modules_to_not_convert"] = ["model.layers.2.mlp.experts.3"]
    expected = expected_of("deepseek_v3", asked)
    with pytest.raises(DialectError, match="would be of two kinds"):
        DIALECTS["hf_fused"].rewrite(expected)
    assert required(DIALECTS["mlx"].rewrite(expected))["model.layers.2.mlp.switch_mlp.up_proj.weight"][0] == 4
