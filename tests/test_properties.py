"""A checkpoint made from a schema is silent; one single damage gives its rule and no other."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from configs import configs, small
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toy import Tensor, Toy, edited, expected_of, toy

from weightlint import schema
from weightlint.api import check
from weightlint.expected import Presence, Slot

if TYPE_CHECKING:
    from weightlint.finding import Report

ARCHS = schema.names()
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def toys(draw: st.DrawFn) -> tuple[str, Toy]:
    arch = draw(st.sampled_from(ARCHS))
    return arch, toy(arch, draw(configs(arch)), shards=draw(small(2, 3)))


def judged(arch: str, made: Toy) -> Report:
    with tempfile.TemporaryDirectory() as folder:
        return check(str(made.write(Path(folder) / "ckpt")), arch=arch)


def codes(arch: str, made: Toy) -> list[str]:
    return [finding.code for finding in judged(arch, made).findings]


@quick
@given(toys())
def test_what_a_schema_asks_for_is_silent(pair: tuple[str, Toy]) -> None:
    arch, made = pair
    report = judged(arch, made)
    assert report.findings == ()
    assert report.facts.checked == report.facts.tensors == len(made.tensors)
    assert report.exit_code() == 0


def slot_of(arch: str, made: Toy, name: str) -> Slot:
    return next(slot for slot in expected_of(arch, made.config).slots if name in slot.names())


def weights(arch: str, made: Toy) -> list[Tensor]:
    """Return the tensors whose loss has no cause but its own: required, no head, no scale."""
    plain = {
        name
        for slot in expected_of(arch, made.config).slots
        if slot.need is Presence.REQUIRED and slot.tie is None and slot.kind not in {"scale", "bias"}
        for name in slot.names()
    }
    return [tensor for tensor in made.tensors if tensor.name in plain]


@quick
@given(toys(), st.randoms(use_true_random=False))
def test_one_dropped_tensor(pair: tuple[str, Toy], rng: Any) -> None:
    arch, made = pair
    gone = rng.choice(weights(arch, made))
    report = judged(arch, edited(made, {"op": "drop", "tensor": gone.name}))
    assert [finding.code for finding in report.findings] == ["WL201"]
    assert report.findings[0].place.tensors == (gone.name,)


@quick
@given(toys(), st.randoms(use_true_random=False))
def test_one_dropped_scale(pair: tuple[str, Toy], rng: Any) -> None:
    arch, made = pair
    scales = [tensor for tensor in made.tensors if tensor.name.endswith("_scale_inv")]
    if scales:
        gone = rng.choice(scales)
        assert codes(arch, edited(made, {"op": "drop", "tensor": gone.name})) == ["WL402"]


@quick
@given(toys(), st.randoms(use_true_random=False))
def test_one_misspelt_tensor(pair: tuple[str, Toy], rng: Any) -> None:
    arch, made = pair
    old = rng.choice(weights(arch, made))
    new = old.name[:-2] + old.name[-1] + old.name[-2]
    report = judged(arch, edited(made, {"op": "rename", "tensor": old.name, "to": new}))
    found = [finding for finding in report.findings if finding.code != "WL402"]
    assert [finding.code for finding in found] == ["WL203"]
    assert found[0].place.tensors == (new,)


@quick
@given(toys(), st.randoms(use_true_random=False))
def test_one_reshaped_tensor(pair: tuple[str, Toy], rng: Any) -> None:
    arch, made = pair
    old = rng.choice([t for t in weights(arch, made) if slot_of(arch, made, t.name).kind != "embedding"])
    shape = [old.shape[0] + 17, *old.shape[1:]]
    report = judged(arch, edited(made, {"op": "reshape", "tensor": old.name, "shape": shape}))
    assert [finding.code for finding in report.findings] == ["WL301"]
    assert report.findings[0].place.tensors == (old.name,)


@quick
@given(toys(), st.randoms(use_true_random=False))
def test_one_tensor_of_integers(pair: tuple[str, Toy], rng: Any) -> None:
    arch, made = pair
    old = rng.choice(weights(arch, made))
    assert codes(arch, edited(made, {"op": "retype", "tensor": old.name, "dtype": "I32"})) == ["WL405"]


@quick
@given(toys(), small(1, 20))
def test_one_file_cut_short(pair: tuple[str, Toy], cut: int) -> None:
    arch, made = pair
    assert codes(arch, edited(made, {"op": "truncate", "file": made.file(2), "bytes": cut})) == ["WL102"]


@quick
@given(toys(), st.randoms(use_true_random=False))
def test_one_tensor_in_two_shards(pair: tuple[str, Toy], rng: Any) -> None:
    arch, made = pair
    old = rng.choice([tensor for tensor in made.tensors if tensor.shard == 1])
    assert codes(arch, edited(made, {"op": "double", "tensor": old.name, "shard": 2})) == ["WL105"]


@quick
@given(toys(), st.randoms(use_true_random=False))
def test_one_wrong_claim_of_the_index(pair: tuple[str, Toy], rng: Any) -> None:
    arch, made = pair
    old = rng.choice([tensor for tensor in made.tensors if tensor.shard == 1])
    assert codes(arch, edited(made, {"op": "claim", "tensor": old.name, "file": made.file(2)})) == ["WL104"]


@quick
@given(toys(), st.sampled_from(["module.", "module._orig_mod.", "base_model.model.", "language_model."]))
def test_one_prefix_on_all_names(pair: tuple[str, Toy], text: str) -> None:
    arch, made = pair
    assert codes(arch, edited(made, {"op": "prefix", "text": text})) == ["WL203"]


@quick
@given(toys())
def test_one_layer_too_few_in_the_config(pair: tuple[str, Toy]) -> None:
    arch, made = pair
    if made.config.get("num_nextn_predict_layers"):
        return
    fewer = replace(made, config={**made.config, "num_hidden_layers": made.config["num_hidden_layers"] - 1})
    report = judged(arch, fewer)
    assert [finding.code for finding in report.findings] == ["WL303"]
    assert "num_hidden_layers" in report.findings[0].message


DENSE = {"gpt_neox", "llama", "qwen2", "qwen3"}
LOCAL = ("gpt_oss", "granitemoe", "minimax_m2", "mixtral")
COUNTS = {
    **dict.fromkeys(LOCAL, "num_local_experts"),
    **dict.fromkeys(("kimi_linear", "qwen2_moe", "qwen3_5_moe", "qwen3_moe", "qwen3_next"), "num_experts"),
}
EXTRA: dict[str, dict[str, Any]] = {
    "deepseek_v4": {"o_lora_rank": 8, "o_groups": 1, "head_dim": 12, "num_experts_per_tok": 2},
    "kimi_linear": {"linear_attn_config": {"kda_layers": [1, 2], "num_heads": 3, "head_dim": 8}},
}


@pytest.mark.parametrize("arch", [name for name in ARCHS if name not in DENSE])
@pytest.mark.parametrize("step", [-1, 1])
def test_another_number_of_experts_in_the_config(arch: str, step: int) -> None:
    field = COUNTS.get(arch, "n_routed_experts")
    base = {
        "num_hidden_layers": 3, "hidden_size": 24, "vocab_size": 50, "intermediate_size": 34,
        "moe_intermediate_size": 14, "num_attention_heads": 4, "num_key_value_heads": 2, field: 4,
        "shared_expert_intermediate_size": 22, "q_lora_rank": 9, "kv_lora_rank": 11, "n_shared_experts": 1,
        "qk_nope_head_dim": 5, "qk_rope_head_dim": 3, "v_head_dim": 7, "first_k_dense_replace": 1,
        "index_n_heads": 2, "index_head_dim": 13, **EXTRA.get(arch, {}),
    }  # fmt: skip
    made = toy(arch, base)
    report = judged(arch, replace(made, config={**base, field: 4 + step}))
    assert [finding.code for finding in report.findings] == ["WL303"]
    assert field in report.findings[0].message
