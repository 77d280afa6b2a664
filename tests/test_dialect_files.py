"""Files as the frameworks write them, from one model that transformers made: silent in each spelling."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from test_dialect_names import converted

from weightlint import api
from weightlint.api import check

if TYPE_CHECKING:
    from pathlib import Path

    from weightlint.finding import Report

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

LLAMA = {
    "vocab_size": 80, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
}  # fmt: skip
NEOX = {
    "vocab_size": 80, "hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4,
}  # fmt: skip
V3 = {
    "vocab_size": 80, "hidden_size": 64, "intermediate_size": 96, "moe_intermediate_size": 32,
    "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 4, "n_routed_experts": 4,
    "n_shared_experts": 1, "num_experts_per_tok": 2, "n_group": 2, "topk_group": 1, "first_k_dense_replace": 1,
    "q_lora_rank": 24, "kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 16,
    "num_nextn_predict_layers": 0,
}  # fmt: skip


def saved(folder: Path, kind: str, sizes: dict[str, Any], **options: Any) -> Path:
    """Let transformers make a model and save it."""
    transformers = pytest.importorskip("transformers")
    config = getattr(transformers, f"{kind}Config")(**sizes)
    model = getattr(transformers, f"{kind}ForCausalLM")(config)
    model.save_pretrained(folder, **options)
    return folder


def told(report: Report) -> tuple[list[str], str | None]:
    assert report.facts.checked == report.facts.tensors > 0
    return [f"{finding.code} {finding.message}" for finding in report.findings], report.facts.dialect


def litgpt_of(folder: Path, name: str, sizes: dict[str, Any], out: Path) -> Path:
    """Let LitGPT's own converter write its file and config."""
    litgpt = pytest.importorskip("litgpt")
    import torch
    from litgpt.scripts.convert_hf_checkpoint import copy_weights_gpt_neox, copy_weights_hf_llama
    from litgpt.utils import save_config
    from safetensors.torch import load_file

    lit = litgpt.Config.from_name(
        name,
        n_layer=sizes["num_hidden_layers"],
        n_embd=sizes["hidden_size"],
        n_head=sizes["num_attention_heads"],
        n_query_groups=sizes.get("num_key_value_heads", sizes["num_attention_heads"]),
        head_size=16,
        intermediate_size=sizes["intermediate_size"],
        padded_vocab_size=sizes["vocab_size"],
    )
    tensors = load_file(folder / "model.safetensors")
    made: dict[str, Any] = {}
    if "pythia" in name:
        copy_weights_gpt_neox(lit, made, tensors)
    else:
        copy_weights_hf_llama(lit, {}, made, tensors)
    litgpt.GPT(lit).load_state_dict(made, strict=True)
    out.mkdir()
    torch.save(made, out / "lit_model.pth")
    save_config(lit, out)
    return out


@pytest.mark.parametrize(
    ("kind", "sizes", "name"), [("Llama", LLAMA, "Llama-2-7b-hf"), ("GPTNeoX", NEOX, "pythia-160m")]
)
def test_litgpt_writes_what_is_silent(kind: str, sizes: dict[str, Any], name: str, tmp_path: Path) -> None:
    first = saved(tmp_path / "hf", kind, sizes)
    assert told(check(str(first))) == ([], "hf")
    lit = litgpt_of(first, name, sizes, tmp_path / "lit")
    assert told(check(str(lit))) == ([], "litgpt")


@pytest.mark.parametrize(
    ("kind", "sizes", "name"), [("Llama", LLAMA, "Llama-2-7b-hf"), ("GPTNeoX", NEOX, "pythia-160m")]
)
def test_the_map_back_from_litgpt_names_what_transformers_saved(
    kind: str, sizes: dict[str, Any], name: str, tmp_path: Path
) -> None:
    from safetensors import safe_open

    first = saved(tmp_path / "hf", kind, sizes)
    found = api.rename(str(litgpt_of(first, name, sizes, tmp_path / "lit")), to="hf")
    assert found.source == ("litgpt", ("qkv",))
    with safe_open(first / "model.safetensors", framework="np") as file:
        assert {name for entry in found.entries for name in entry.targets} == set(file.keys())
    assert not found.missing
    assert not found.unknown


def native_of(folder: Path, out: Path) -> Path:
    """Write one rank as DeepSeek's converter does: names by its rule, the same tensors."""
    from safetensors.torch import load_file, save_file

    out.mkdir()
    tensors = load_file(folder / "model.safetensors")
    save_file({converted(name): tensor for name, tensor in tensors.items()}, out / "model0-mp1.safetensors")
    shutil.copy(folder / "config.json", out)
    return out


def test_deepseek_native_is_silent_at_home_and_a_surprise_elsewhere(tmp_path: Path) -> None:
    first = saved(tmp_path / "hf", "DeepseekV3", V3)
    assert told(check(str(first))) == ([], "hf")
    native = native_of(first, tmp_path / "native")
    assert told(check(str(native))) == ([], "deepseek_native")
    (native / "model0-mp1.safetensors").rename(native / "model.safetensors")
    assert [finding.code for finding in check(str(native)).findings] == ["WL203"]
    assert told(check(str(native), dialect="deepseek_native")) == ([], "deepseek_native")


def test_what_transformers_5_holds_in_memory_is_silent(tmp_path: Path) -> None:
    folder = saved(tmp_path / "fused", "DeepseekV3", V3, save_original_format=False)
    index = json.loads((folder / "config.json").read_text())
    assert index["model_type"] == "deepseek_v3"
    assert told(check(str(folder))) == ([], "hf")
