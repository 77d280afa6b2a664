"""The parts of SGLang's contract one by one, on small models: what its modules and steps do with a tensor.

Expected values come from SGLang's source (named at each step and record) and from torch itself, not from a run.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from weightlint import schema as schemas
from weightlint.config import read as read_config
from weightlint.expansion import expand
from weightlint.loading.assigning import unassignable
from weightlint.loading.casting import promoted, refused
from weightlint.loading.contract import load as read_contract
from weightlint.loading.copying import Cutting, Expert, Sliced, broadcast
from weightlint.loading.joining import stacked_rows
from weightlint.loading.load import AFTER, Load, load
from weightlint.loading.outcome import Failure, Fill, Skip
from weightlint.loading.reading import as_taken, read
from weightlint.loading.site import Site, placed, seated
from weightlint.loading.steps import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from weightlint.loading.family import Family
    from weightlint.loading.model import Model

OLD, NEW = "0.4.6.post5", "0.5.23"
DEEPSEEK = {
    "architectures": ["DeepseekV3ForCausalLM"],
    "model_type": "deepseek_v3",
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "vocab_size": 100,
    "intermediate_size": 128,
    "moe_intermediate_size": 32,
    "num_attention_heads": 4,
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "q_lora_rank": 16,
    "kv_lora_rank": 8,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8,
    "v_head_dim": 8,
    "first_k_dense_replace": 1,
    "num_nextn_predict_layers": 0,
    "topk_method": "noaux_tc",
}
QWEN = {
    "architectures": ["Qwen3MoeForCausalLM"],
    "model_type": "qwen3_moe",
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "vocab_size": 100,
    "intermediate_size": 128,
    "moe_intermediate_size": 32,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "num_experts": 4,
    "decoder_sparse_step": 2,
    "mlp_only_layers": [],
}
ATTENTION = "model.layers.0.self_attn"
Q_A, KV_A = f"{ATTENTION}.q_a_proj.weight", f"{ATTENTION}.kv_a_proj_with_mqa.weight"
FUSED = f"{ATTENTION}.fused_qkv_a_proj_with_mqa.weight"


@cache
def contract() -> Any:
    return read_contract(schemas.folder() / "contracts" / "sglang.toml")


def opened(config: dict[str, Any], version: str, *, ep: bool = False) -> tuple[Model, Family]:
    parsed = read_config(json.dumps(config).encode())
    schema = schemas.load(schemas.detect(parsed) or "")
    family = contract().family(schema.name, version, expert_parallel=ep)
    assert family is not None
    return read(expand(schema, as_taken(parsed, family)), parsed, family), family


def site(model: Model, **given: Any) -> Site:
    places = {expert: (expert,) for expert in range(model.experts)}
    return Site(**{"layers": range(model.layers), "experts": places, **given})


def fed(
    tensors: Iterable[tuple[str, tuple[int, ...], str]],
    version: str = NEW,
    config: dict[str, Any] = DEEPSEEK,
    *,
    ep: bool = False,
    **given: Any,
) -> Load:
    model, family = opened(config, version, ep=ep)
    return load(model, family, site(model, **given), [Tensor(*it) for it in tensors])


def bf16(*rows: tuple[str, tuple[int, ...]]) -> list[tuple[str, tuple[int, ...], str]]:
    return [(name, shape, "bfloat16") for name, shape in rows]


PAIR = bf16((Q_A, (16, 64)), (KV_A, (16, 64)))


@pytest.mark.parametrize("order", [1, -1])
def test_both_halves_fill_one_parameter(order: int) -> None:
    ours = fed(PAIR[::order])
    whole = Fill(FUSED, (0, 0), (32, 64), beside=(PAIR[::order][0][0],))
    assert ours.outcomes == {Q_A: whole, KV_A: whole}
    assert FUSED not in ours.never_written
    assert FUSED not in ours.partly_written


def test_one_half_is_lost_without_a_word() -> None:
    ours = fed(PAIR[:1])
    assert ours.outcomes == {Q_A: Skip("half")}
    assert FUSED in ours.never_written


def test_an_old_release_asks_for_the_first_half_last() -> None:
    assert isinstance(fed(PAIR[::-1], OLD).outcomes[Q_A], Fill)
    errors = fed(PAIR, OLD).errors
    assert {name: (it.kind, it.text) for name, it in errors.items()} == {KV_A: ("KeyError", repr(KV_A))}


def test_a_failure_makes_the_load_function_forget_a_half() -> None:
    bad = (f"{ATTENTION}.o_proj.weight", (8, 32), "bfloat16")
    assert fed([PAIR[0], bad, PAIR[1]]).outcomes[KV_A] == Skip("half")


def test_without_the_config_field_there_are_no_halves() -> None:
    ours = fed(bf16((KV_A, (16, 64))), config=DEEPSEEK | {"q_lora_rank": None})
    assert ours.outcomes[KV_A] == Fill(KV_A, (0, 0), (16, 64))


def test_halves_are_put_together_as_torch_does() -> None:
    torch = pytest.importorskip("torch")
    shapes: list[tuple[int, ...]] = [(4, 8), (2, 8), (4, 6), (4,), ()]
    for upper in shapes:
        for lower in shapes:
            ours = stacked_rows(upper, lower)
            theirs: object
            try:
                theirs = tuple(torch.cat([torch.zeros(upper), torch.zeros(lower)]).shape)
            except RuntimeError as error:
                theirs = Failure("RuntimeError", str(error))
            assert ours == theirs


def test_dtypes_are_promoted_as_torch_does() -> None:
    torch = pytest.importorskip("torch")
    names = (
        "float8_e4m3fn",
        "float8_e5m2",
        "bfloat16",
        "float16",
        "float32",
        "int8",
        "uint8",
        "int32",
        "bool",
    )
    for first in names:
        for second in names:
            parts = [torch.zeros(2, 2).to(getattr(torch, name)) for name in (first, second)]
            try:
                torch.cat(parts)
                theirs = None
            except RuntimeError as error:
                theirs = Failure("RuntimeError", str(error))
            assert promoted(first, second) == theirs, (first, second)


def test_tensors_are_set_as_torch_does() -> None:
    torch = pytest.importorskip("torch")
    room, shapes = (8, 4), [(8, 4), (16, 4), (8, 2), (8, 1), (1, 8, 4), (3,), (), (2, 8, 4), (1, 1)]
    for shape in shapes:
        target = torch.zeros(2, *room)
        try:
            target[0] = torch.ones(shape)
            theirs = None
        except RuntimeError as error:
            theirs = Failure("RuntimeError", str(error))
        assert unassignable(shape, room) == theirs, shape


def test_only_dtypes_of_no_less_precision_are_taken() -> None:
    assert refused("bfloat16", "bfloat16") is None
    assert refused("float32", "bfloat16") is None
    assert refused("float8_e4m3fn", "bfloat16") == Failure(
        "ValueError",
        "Downcasting not allowed: target.dtype=torch.float8_e4m3fn, loaded_weight.dtype=torch.bfloat16",
    )
    assert refused("float8_e4m3fn", "int8") == Failure(
        "ValueError",
        "Unsupported copy between dtypes: target.dtype=torch.float8_e4m3fn, loaded_weight.dtype=torch.int8",
    )


def test_a_slice_beyond_the_end_is_zeros() -> None:
    pad = Sliced()
    assert pad.place((6, 4), (4, 4), Cutting(0, 1, "pad")) == ((0, 0), (2, 4), 8)
    assert pad.place((4, 4), (4, 4), Cutting(0, 1, "pad")) == ((0, 0), (0, 4), 16)
    assert pad.place((4,), (4, 4), Cutting(1, 0, "pad")) == Failure("IndexError", "tuple index out of range")
    short = pad.place((6, 4), (4, 4), Cutting(0, 1))
    assert short == Failure("RuntimeError", "start (4) + length (4) exceeds dimension size (6).")


def test_an_expert_that_is_short_is_filled_up_and_a_longer_one_is_not() -> None:
    expert = Expert("pad", 2)
    assert expert.place((8, 4), (4, 4), Cutting(0, 1)) == ((0, 0), (4, 4), 0)
    assert expert.place((4, 4), (4, 4), Cutting(0, 1)) == ((0, 0), (2, 4), 8)
    assert expert.place((8, 1), (4, 4), Cutting(0, 1)) == ((0, 0), (4, 4), 0)
    assert expert.place((16, 4), (4, 4), Cutting(0, 1)) == broadcast((8, 4), (4, 4))


def test_a_router_says_dtypes_and_shapes() -> None:
    name = "model.layers.1.mlp.gate.weight"
    ours = fed(bf16((name, (3, 64))), config=QWEN)
    assert ours.errors[name].text == (
        "param.shape=torch.Size([4, 64]) param.dtype=torch.bfloat16 "
        "loaded_weight.shape=torch.Size([3, 64]) loaded_weight.dtype=torch.bfloat16"
    )


MANY = DEEPSEEK | {"n_routed_experts": 256}
SHARED = "model.layers.1.mlp.shared_experts.up_proj.weight"


def test_the_shared_expert_is_one_more_of_256() -> None:
    ours = fed(bf16((SHARED, (32, 64))), config=MANY)
    name = "model.layers.1.mlp.experts.w13_weight"
    assert ours.built.params[name].shape == (257, 64, 64)
    assert ours.outcomes[SHARED] == Fill(name, (256, 32, 0), (32, 64))


def test_with_parallel_experts_it_has_a_module_of_its_own() -> None:
    half = {expert: (expert,) for expert in range(128)}
    ours = fed(bf16((SHARED, (32, 64))), config=MANY, ep=True, tp=2, experts=half)
    assert ours.built.params["model.layers.1.mlp.experts.w13_weight"].shape == (128, 64, 64)
    fill = ours.outcomes[SHARED]
    assert isinstance(fill, Fill)
    assert fill.param == "model.layers.1.mlp.shared_experts.gate_up_proj.weight"


def test_an_old_release_copies_it_once_per_rank_and_deals_the_copies_too() -> None:
    model, family = opened(MANY, OLD)
    ours = seated(site(model, tp=2, moe_tp=2), model, family)
    assert (ours.experts[256], ours.local_experts, ours.shared) == ((256, 257), 258, 2)
    model, family = opened(MANY, OLD, ep=True)
    ranks = [seated(placed(site(model, tp=2, tp_rank=n), model, family), model, family) for n in (0, 1)]
    assert [it.local_experts for it in ranks] == [129, 129]
    assert [it.experts[256] for it in ranks] == [(), (127, 128)]


def test_an_old_release_looks_for_scales_that_a_plain_model_has_not() -> None:
    names = [f"model.layers.1.mlp.shared_experts.{part}_proj.weight" for part in ("down", "gate", "up")]
    ours = fed(bf16(*((name, (32, 64)) for name in names)), OLD, MANY)
    assert ours.errors == {
        AFTER: Failure("KeyError", "'model.layers.1.mlp.shared_experts.down_proj.weight_scale'")
    }
    assert set(ours.outcomes.values()) == {Skip("unread")}


def test_faults_of_an_old_release() -> None:
    mixtral = {"architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "num_hidden_layers": 1}
    sizes = {"num_local_experts": 4, "hidden_size": 64, "intermediate_size": 32, "vocab_size": 100}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    ours = fed([], OLD, mixtral | sizes | heads, ep=True)
    assert ours.built.error == Failure(
        "TypeError", "EPMoE.__init__() missing 1 required positional argument: 'layer_id'"
    )
    assert fed([], OLD, QWEN).errors == {}
    assert list(fed([], OLD, QWEN, last=False, layers=range(1)).errors) == [AFTER]


def test_a_new_release_takes_every_layer_for_one_with_experts() -> None:
    name = "model.layers.0.mlp.experts.w2_weight"
    assert name in fed([], NEW, QWEN).built.params
    assert name not in fed([], OLD, QWEN).built.params


def test_names_that_no_parameter_has() -> None:
    foo, bias = f"{ATTENTION}.foo.weight", f"{ATTENTION}.q_b_proj.bias"
    gate, beyond = "model.layers.1.mlp.gate_proj.weight", "model.layers.1.mlp.experts.9.up_proj.weight"
    names = bf16((foo, (4,)), (bias, (4,)), (gate, (4, 4)), (beyond, (4, 4)), ("model.layers.2.a", (1,)))
    new = fed(names).outcomes
    assert new[foo] == Skip("unknown", f"{foo} not found in params_dict.")
    assert new[bias] == Skip("bias")
    assert new[gate] == Failure("KeyError", "'model.layers.1.mlp.gate_up_proj.weight'")
    assert new[beyond] == Skip("unknown", f"{beyond} not found in params_dict.")
    assert new["model.layers.2.a"] == Skip("stage")
    assert fed(names, OLD).outcomes[foo] == Failure("KeyError", repr(foo))
    assert fed(bf16((foo, (4,))), config=QWEN).outcomes[foo] == Skip("unknown")
