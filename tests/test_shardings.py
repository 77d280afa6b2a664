"""Every way of cutting a model into rank files: silent as it is written, and told where it is damaged."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cutting
import pytest
from cutting import LLAMA, MIXTRAL, Cut, model, write
from toy import Tensor, table

from weightlint.api import check
from weightlint.drawer import Drawer
from weightlint.sharding import SHARDINGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from weightlint.finding import Finding, Report

MEGATRON = Path(__file__).parents[1].parent / "shared" / "data" / "sglang" / "megatron_core_0161_local.json"
DEPTH = 4
FILE = "model_optim_rng.safetensors"


CUTS: dict[str, Callable[..., Cut]] = {"megatron": cutting.megatron, "trtllm": cutting.trtllm}


def llama(by: str, **degrees: int) -> Cut:
    whole = model("llama", LLAMA)
    return cutting.meta(whole, degrees["tp"]) if by == "meta" else CUTS[by](whole, layers=DEPTH, **degrees)


def mixtral(by: str, **degrees: int) -> Cut:
    return CUTS[by](model("mixtral", MIXTRAL), layers=DEPTH, experts=8, **degrees)


def mapped(config: dict[str, Any], tp: int, pp: int = 1, **more: int) -> dict[str, Any]:
    """Return the config as TensorRT-LLM writes it."""
    (architecture,) = config["architectures"]
    plain = {key: value for key, value in config.items() if key not in {"architectures", "model_type"}}
    mapping = {"world_size": tp * pp, "tp_size": tp, "pp_size": pp, **more}
    moe = {"moe": {"num_experts": config["num_local_experts"]}} if "num_local_experts" in config else {}
    return {"architecture": architecture, "dtype": "bfloat16", **plain, **moe, "mapping": mapping}


def judged(folder: Path, cut: Cut, config: dict[str, Any] | None) -> Report:
    return check(str(write(folder, cut, config)))


def only(folder: Path, cut: Cut, config: dict[str, Any] | None) -> Finding:
    found = judged(folder, cut, config).findings
    assert [finding.code for finding in found] == ["WL507"], found
    return found[0]


TENSOR = [1, 2, 4, 8]
STAGES = [1, 2, 4]


@pytest.mark.parametrize("tp", TENSOR)
@pytest.mark.parametrize("pp", STAGES)
def test_megatron_ranks_are_silent(tmp_path: Path, tp: int, pp: int) -> None:
    said = judged(tmp_path, llama("megatron", tp=tp, pp=pp), LLAMA)
    assert (said.findings, said.facts.dialect, said.facts.files) == ((), "megatron", tp * pp)


@pytest.mark.parametrize(("tp", "pp", "ep"), [(1, 1, 2), (1, 1, 8), (2, 1, 4), (2, 2, 2), (1, 4, 4)])
def test_megatron_expert_ranks_are_silent(tmp_path: Path, tp: int, pp: int, ep: int) -> None:
    """With one stage the second number of a folder is the expert rank; nothing but the tables says so."""
    said = judged(tmp_path, mixtral("megatron", tp=tp, pp=pp, ep=ep), MIXTRAL)
    assert (said.findings, said.facts.files) == ((), tp * pp * ep)


@pytest.mark.parametrize("tp", TENSOR)
@pytest.mark.parametrize("pp", STAGES)
def test_tensorrt_llm_ranks_are_silent(tmp_path: Path, tp: int, pp: int) -> None:
    said = judged(tmp_path, llama("trtllm", tp=tp, pp=pp), mapped(LLAMA, tp, pp))
    assert (said.findings, said.facts.dialect, said.facts.files) == ((), "trtllm", tp * pp)


@pytest.mark.parametrize("moe_ep", [1, 2, 4])
def test_tensorrt_llm_experts_cut_twice_are_silent(tmp_path: Path, moe_ep: int) -> None:
    config = mapped(MIXTRAL, 4, 2, moe_tp_size=4 // moe_ep, moe_ep_size=moe_ep)
    assert judged(tmp_path, mixtral("trtllm", tp=4, pp=2, moe_ep=moe_ep), config).findings == ()


@pytest.mark.parametrize("tp", TENSOR)
def test_ranks_of_meta_are_silent(tmp_path: Path, tp: int) -> None:
    said = judged(tmp_path, llama("meta", tp=tp), LLAMA)
    assert (said.findings, said.facts.dialect, said.facts.files) == ((), "mistral", tp)


@pytest.mark.parametrize(
    ("cut", "config", "gone", "rank"),
    [
        (llama("megatron", tp=2, pp=2), LLAMA, f"mp_rank_01_000/{FILE}", "tp1.pp0"),
        (mixtral("megatron", tp=2, ep=2), MIXTRAL, f"mp_rank_01_001/{FILE}", "tp1.ep1"),
        (llama("trtllm", tp=2, pp=2), mapped(LLAMA, 2, 2), "rank3.safetensors", "tp1.pp1"),
        (llama("meta", tp=4), LLAMA, "consolidated.02.pth", "tp2"),
    ],
    ids=["megatron", "megatron experts", "trtllm", "meta"],
)
def test_an_absent_rank_is_one_finding(
    tmp_path: Path, cut: Cut, config: dict[str, Any], gone: str, rank: str
) -> None:
    finding = only(tmp_path, {file: held for file, held in cut.items() if file != gone}, config)
    assert (finding.place.files, finding.place.ranks) == ((gone,), (rank,))


def test_a_stage_that_is_absent_as_a_whole(tmp_path: Path) -> None:
    cut = llama("trtllm", tp=1, pp=4)
    del cut["rank2.safetensors"]
    finding = only(tmp_path, cut, mapped(LLAMA, 1, 4))
    assert (finding.place.files, finding.expected) == (("rank2.safetensors",), "4 files, by the config")


@pytest.mark.parametrize(
    ("name", "shape"),
    [("decoder.layers.1.mlp.linear_fc1.weight", (70, 48)), ("decoder.final_layernorm.weight", (50,))],
)
def test_a_slice_of_another_size_in_one_stage(tmp_path: Path, name: str, shape: tuple[int, ...]) -> None:
    cut = llama("megatron", tp=2, pp=2)
    cut[f"mp_rank_01_001/{FILE}"][name] = ("BF16", shape)
    finding = only(tmp_path, cut, LLAMA)
    assert (finding.place.ranks, finding.found) == (("tp1.pp1",), str(list(shape)))


def test_the_layer_of_a_stage_is_named_as_in_the_whole_model(tmp_path: Path) -> None:
    cut = llama("megatron", tp=2, pp=2)
    del cut[f"mp_rank_00_001/{FILE}"]["decoder.layers.1.mlp.linear_fc2.weight"]
    finding = only(tmp_path, cut, LLAMA)
    assert finding.place.tensors == ("decoder.layers.3.mlp.linear_fc2.weight",)
    assert finding.place.files == (f"mp_rank_00_001/{FILE}",)


def test_more_ranks_than_the_mapping_has(tmp_path: Path) -> None:
    finding = only(tmp_path, llama("trtllm", tp=4), mapped(LLAMA, 2))
    assert "4 tensor ranks" in finding.message or finding.place.files == (
        "rank2.safetensors",
        "rank3.safetensors",
    )


def test_a_mapping_that_does_not_multiply(tmp_path: Path) -> None:
    config = mapped(LLAMA, 2, 2)
    config["mapping"]["world_size"] = 8
    finding = only(tmp_path, llama("trtllm", tp=2, pp=2), config)
    assert "world_size" in finding.message


def test_arguments_in_the_file_are_its_config(tmp_path: Path) -> None:
    cut = llama("megatron", tp=2)
    arguments = {
        "num_layers": 4, "hidden_size": 48, "ffn_hidden_size": 80, "num_attention_heads": 8,
        "padded_vocab_size": 64, "kv_channels": 6, "normalization": "RMSNorm", "swiglu": True,
        "untie_embeddings_and_output_weights": True, "add_bias_linear": False,
        "tensor_model_parallel_size": 2, "pipeline_model_parallel_size": 1,
    }  # fmt: skip
    torch_files = {file.replace(".safetensors", ".pt"): held for file, held in cut.items()}
    write(tmp_path, {}, None)
    for file, held in torch_files.items():
        (tmp_path / file).parent.mkdir(parents=True)
        kinds = [(f"model.{name}", *kind) for name, kind in held.items()]
        (tmp_path / file).write_bytes(cutting.with_arguments(kinds, arguments))
    said = check(str(tmp_path))
    assert (said.findings, said.facts.arch, said.facts.dialect) == ((), "llama", "megatron")


def test_the_last_save_of_a_training_folder(tmp_path: Path) -> None:
    write(tmp_path / "iter_0000100", llama("megatron", tp=2), LLAMA)
    write(tmp_path / "iter_0000200", llama("megatron", tp=4), LLAMA)
    (tmp_path / "latest_checkpointed_iteration.txt").write_text("200\n")
    assert check(str(tmp_path)).facts.files == 4
    assert check(str(tmp_path / "iter_0000100")).facts.files == 2
    assert check(str(tmp_path / "iter_0000100" / "mp_rank_01" / FILE)).facts.files == 2
    assert check(str(tmp_path / "iter_0000100" / "mp_rank_01")).facts.files == 2


ZERO = [f"bf16_zero_pp_rank_{rank}_mp_rank_00_optim_states.pt" for rank in range(4)]


@pytest.mark.parametrize(
    "states", ["mp_rank_00_model_states.pt", "zero_pp_rank_0_mp_rank_00_model_states.pt"]
)
def test_deepspeed_is_told_how_to_be_put_together(tmp_path: Path, states: str) -> None:
    for name in (*ZERO, states):
        (tmp_path / "global_step10").mkdir(exist_ok=True)
        (tmp_path / "global_step10" / name).write_bytes(b"PK\x03\x04")
    (tmp_path / "latest").write_text("global_step10")
    (finding,) = check(str(tmp_path)).findings
    assert (finding.code, finding.count) == ("WL507", 5)
    assert "zero_to_fp32.py" in finding.cure


def test_shards_of_fsdp_are_told_apart_and_counted(tmp_path: Path) -> None:
    for rank in (0, 1, 3):
        (tmp_path / f"model_world_size_4_rank_{rank}.pt").write_bytes(b"PK\x03\x04")
    found = check(str(tmp_path)).findings
    assert [finding.code for finding in found] == ["WL507", "WL507"]
    assert any(finding.place.files == ("model_world_size_4_rank_2.pt",) for finding in found)


def test_a_plain_model_beside_rank_files_of_torch_is_the_checkpoint(tmp_path: Path) -> None:
    """Meta's repositories hold both: original/consolidated.*.pth, sometimes copied to the top."""
    write(tmp_path, {"model.safetensors": model("llama", LLAMA), **llama("meta", tp=2)}, LLAMA)
    said = check(str(tmp_path))
    assert (said.findings, said.facts.files) == ((), 1)


def test_every_sharding_is_named_after_its_file() -> None:
    assert isinstance(SHARDINGS, Drawer)
    assert all(name == sharding.name for name, sharding in SHARDINGS.items())


HF = {
    "architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3", "hidden_size": 256,
    "intermediate_size": 1024, "moe_intermediate_size": 256, "num_hidden_layers": 7,
    "first_k_dense_replace": 2, "n_routed_experts": 8, "n_shared_experts": 1, "num_attention_heads": 8,
    "num_key_value_heads": 8, "q_lora_rank": 64, "kv_lora_rank": 64, "qk_nope_head_dim": 32,
    "qk_rope_head_dim": 32, "v_head_dim": 32, "vocab_size": 1024, "tie_word_embeddings": False,
}  # fmt: skip
"""The model of the recording, as Hugging Face says it."""


@pytest.mark.skipif(not MEGATRON.is_file(), reason="the recorded ranks of Megatron-core are not here")
def test_the_ranks_of_a_real_megatron_are_silent(tmp_path: Path) -> None:
    """Parameters of every rank as Megatron-core 0.16.1 builds them: tp 1 to 4, pp 1 and 2, ep, etp below tp."""
    spelling = {"bfloat16": "BF16", "float32": "F32"}
    recorded = [rank for rank in json.loads(MEGATRON.read_text())["ranks"] if "params" in rank]

    def degrees(rank: dict[str, Any]) -> tuple[int, ...]:
        return rank["tp"], rank["pp"], rank["ep"], rank["etp"], rank.get("mtp", 0)

    for key, ranks in groupby(sorted(recorded, key=degrees), degrees):
        folder = tmp_path / "-".join(map(str, key))
        for rank in ranks:
            second = f"_{rank['pp_rank']:03d}" if rank["pp"] > 1 else ""
            third = f"_{rank['ep_rank']:03d}" if rank["ep"] > 1 else ""
            inner = folder / f"mp_rank_{rank['tp_rank']:02d}{second}{third}"
            inner.mkdir(parents=True)
            kept = {name: kind for name, kind in rank["buffers"].items() if name.endswith("expert_bias")}
            held = {**rank["params"], **kept}
            (inner / FILE).write_bytes(
                table([Tensor(name, spelling[dtype], tuple(size), 1) for name, (size, dtype) in held.items()])
            )
        (folder / "config.json").write_text(json.dumps({**HF, "num_nextn_predict_layers": key[4]}))
        said = check(str(folder))
        assert (said.findings, said.facts.dialect) == ((), "megatron"), key
