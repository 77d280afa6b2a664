"""What is told of loaders' strictness against the loaders themselves, where they are installed.

Each fault is done to a tiny checkpoint; the package loads it for real, and what it does must be what the finding says:
that it raises, and in which words, or that it goes on.
"""

from __future__ import annotations

import io
import json
import logging
import re
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any

import pytest
from recipes import write

from weightlint.api import DIALECTS, check
from weightlint.finding import Level
from weightlint.loader import release
from weightlint.loading.defects import defect_of
from weightlint.loading.manner import DEFECTS, Facts, Manner, chosen
from weightlint.loading.prediction import contract_of
from weightlint.opening import open_cases
from weightlint.verdict import judge

if TYPE_CHECKING:
    from pathlib import Path

V3 = {"arch": "deepseek_v3", "config": "toy_deepseek_v3", "sizes": {"num_nextn_predict_layers": 0}}
MOE = {"arch": "qwen3_moe", "config": "toy_qwen3_moe"}
DENSE = {"arch": "llama", "config": "toy_llama"}
LAYER = "model.layers.2."


def drop(*names: str) -> list[dict[str, Any]]:
    return [{"op": "drop", "tensor": name} for name in names]


def extra(name: str, *sizes: int) -> list[dict[str, Any]]:
    return [{"op": "add", "tensor": name, "dtype": "BF16", "shape": list(sizes)}]


def shape(name: str, *sizes: int) -> list[dict[str, Any]]:
    return [{"op": "reshape", "tensor": name, "shape": list(sizes)}]


ONE_MORE = [
    *extra(LAYER + "mlp.experts.4.gate_proj.weight", 32, 64),
    *extra(LAYER + "mlp.experts.4.up_proj.weight", 32, 64),
    *extra(LAYER + "mlp.experts.4.down_proj.weight", 64, 32),
]
FAULTS: dict[str, dict[str, Any]] = {
    "clean": V3,
    "clean_moe": MOE,
    "clean_dense": DENSE,
    "missing": {**V3, "edits": drop(LAYER + "self_attn.o_proj.weight")},
    "router_bias_missing": {**V3, "edits": drop(LAYER + "mlp.gate.e_score_correction_bias")},
    "projection_missing_up": {**V3, "edits": drop(LAYER + "mlp.experts.1.up_proj.weight")},
    "projection_missing_down": {**MOE, "edits": drop(LAYER + "mlp.experts.1.down_proj.weight")},
    "expert_missing": {**V3, "edits": drop(LAYER + "mlp.experts.1.*")},
    "expert_missing_0": {**V3, "edits": drop(LAYER + "mlp.experts.0.*")},
    "experts_missing": {**V3, "edits": drop(LAYER + "mlp.experts.*")},
    "layer_missing": {**V3, "edits": drop(LAYER + "*")},
    "head_missing": {**V3, "edits": drop("lm_head.weight")},
    "extra": {**DENSE, "edits": extra(LAYER + "self_attn.odd.weight", 3)},
    "expert_extra": {**V3, "edits": ONE_MORE},
    "shape": {**V3, "edits": shape(LAYER + "self_attn.o_proj.weight", 64, 60)},
    "shape_vocab": {**DENSE, "edits": shape("model.embed_tokens.weight", 130, 32)},
    "expert_shape": {**V3, "edits": shape(LAYER + "mlp.experts.1.up_proj.weight", 30, 64)},
    "misnamed": {**DENSE, "edits": [{"op": "prefix", "text": "module."}]},
    "dtype": {**V3, "edits": [{"op": "retype", "tensor": LAYER + "mlp.gate.e_score_correction_bias", "dtype": "BF16"}]},
    "stacked_experts": {**MOE, "fused": True},
    "file_missing": {**DENSE, "edits": [{"op": "remove", "file": "model-00002-of-00003.safetensors"}]},
    "file_torn": {
        **DENSE,
        "edits": [{"op": "truncate", "file": "model-00002-of-00003.safetensors", "bytes": 20}],
    },
}  # fmt: skip


def by_transformers(folder: Path) -> str | None:
    """Load with transformers; return what it raises, None if it goes on."""
    transformers = pytest.importorskip("transformers")
    log = logging.getLogger("transformers")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        transformers.AutoModelForCausalLM.from_pretrained(folder)
    except Exception as error:  # noqa: BLE001 -- whatever it raises is the answer
        return f"{type(error).__name__}: {error}"
    finally:
        log.setLevel(level)
    return None


def by_mlx(folder: Path) -> str | None:
    """Load with MLX-LM, which wants more of a config than the toys say."""
    loading = pytest.importorskip("mlx_lm.utils")
    said = json.loads((folder / "config.json").read_text())
    usual = {"rms_norm_eps": 1e-5, "rope_theta": 1e4, "max_position_embeddings": 64, "norm_topk_prob": True}
    (folder / "config.json").write_text(json.dumps({**usual, "rope_scaling": None, **said}))
    try:
        loading.load_model(folder)
    except Exception as error:  # noqa: BLE001 -- whatever it raises is the answer
        return f"{type(error).__name__}: {error}"
    return None


def version_of(package: str) -> str:
    found = pytest.importorskip(package)
    return str(found.__version__)


REAL = {"transformers": ("transformers", by_transformers), "mlx": ("mlx_lm", by_mlx)}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("loader", REAL)
def test_a_loader_does_as_is_told(loader: str, fault: str, tmp_path: Path) -> None:
    package, load = REAL[loader]
    version = version_of(package)
    write(FAULTS[fault], tmp_path / "ckpt")
    report = check(str(tmp_path / "ckpt"), loader=f"{loader}@{version}")
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        raised = load(tmp_path / "ckpt")
    told = [words for it in report.findings for words in re.findall(r" raises (.*?)(?: \(|$)", it.message)]
    assert bool(told) == (raised is not None), (report.findings, raised)
    if raised is not None:
        assert report.findings[0].level is Level.ERROR
        assert re.match(as_pattern(told[0]), " ".join(raised.split())), (told, raised)


def as_pattern(words: str) -> str:
    """Let `...` in a loader's words stand for anything; what stands in a report of its own is not compared."""
    spoken = words.partition(" {name} |")[0].partition(" For details")[0]
    return ".*".join(map(re.escape, spoken.split("...")))


def litgpt_model() -> Any:
    model = pytest.importorskip("litgpt.model")
    config = pytest.importorskip("litgpt.config")
    sizes = {"n_layer": 3, "n_embd": 32, "n_head": 4, "n_query_groups": 2, "intermediate_size": 48}
    return model.GPT(
        config.Config.from_name("Llama-3.2-1B", padded_vocab_size=128, block_size=64, head_size=8, **sizes)
    )


@pytest.mark.parametrize(
    ("edits", "kind"),
    [
        ([], ""),
        (drop("transformer.h.1.attn.qkv.weight"), "Missing key(s)"),
        (drop("lm_head.weight"), "Missing key(s)"),
        (extra("transformer.h.1.attn.odd", 3), "Unexpected key(s)"),
        (shape("transformer.h.1.attn.proj.weight", 32, 30), "size mismatch for"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_litgpt_does_as_is_told(edits: list[dict[str, Any]], kind: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    made = litgpt_model()
    write(
        {**DENSE, "form": "torch", "shards": 1, "dialect": {"name": "litgpt"}, "edits": edits},
        tmp_path / "ckpt",
    )
    told = " ".join(it.message for it in check(str(tmp_path / "ckpt"), loader="litgpt").findings)
    state = torch.load(tmp_path / "ckpt" / "pytorch_model.bin")
    try:
        made.load_state_dict(state, strict=True)
    except RuntimeError as error:
        said = " ".join(str(error).replace("\t", " ").split())
        assert kind in said
        assert f"LitGPT 0.5.13 raises RuntimeError: {said.partition(kind)[0]}{kind}" in told
    else:
        assert (kind, told) == ("", "")


READERS: dict[str, tuple[str, ...]] = {
    "transformers@4.57.6": ("hf",),
    "transformers@5.23.0": ("hf",),
    "mlx@0.32.2": ("hf", "mlx"),
    "ktransformers@0.3.2": ("hf",),
    "ktransformers@0.7.2": ("hf", "kt_kernel"),
    "trtllm@1.0": ("hf",),
    "litgpt@0.5.13": ("litgpt",),
    "megatron@0.19.0": ("megatron",),
    "deepseek_native@1.0": ("deepseek_native",),
}
"""Loaders with the dialects in which a sound checkpoint must pass without a word."""
CONFIGS = {
    "deepseek_v2": "toy_deepseek_v2",
    "deepseek_v3": "toy_deepseek_v3",
    "gpt_neox": "toy_gpt_neox",
    "llama": "toy_llama",
    "mixtral": "toy_mixtral",
    "qwen2_moe": "toy_qwen2_moe",
    "qwen3_moe": "toy_qwen3_moe",
}
WIDE = {
    "hidden_size": 7168,
    "vocab_size": 8,
    "intermediate_size": 8,
    "moe_intermediate_size": 4,
    "num_hidden_layers": 2,
}
"""Of the one width whose gates DeepSeek's own code builds with a bias."""


@pytest.mark.parametrize("arch", CONFIGS)
@pytest.mark.parametrize("loader", READERS)
def test_a_sound_checkpoint_passes(loader: str, arch: str, tmp_path: Path) -> None:
    contract = contract_of(release(loader))
    unknown = contract.unknown if contract is not None and contract.unknown else {}
    for dialect in READERS[loader]:
        if arch in unknown or (dialect != "hf" and arch not in DIALECTS[dialect].schemas):
            continue
        asked: dict[str, Any] = {"arch": arch, "config": CONFIGS[arch]}
        if arch == "deepseek_v3":
            wide = WIDE if dialect == "deepseek_native" else {}
            asked["sizes"] = {"num_nextn_predict_layers": 0, **wide}
        if dialect != "hf":
            asked["dialect"] = {"name": dialect}
        if dialect in {"litgpt", "megatron"}:
            asked |= {"form": "torch", "shards": 1}
        write(asked, tmp_path / dialect)
        found = check(str(tmp_path / dialect), loader=loader).findings
        assert [(it.code, it.message) for it in found] == []


def test_the_row_that_is_most_particular_counts() -> None:
    rows = (
        Manner(defect="missing", does="raises", words="A"),
        Manner(defect="projection_missing", does="raises", words="B", versions=">=2"),
        Manner(defect="projection_missing", does="silent", wrong=True, versions=">=2", names=("*.gate.*",)),
    )
    facts = Facts("llama", "hf", "safetensors", ["x.up.weight"])
    gate = Facts("llama", "hf", "safetensors", ["x.gate.weight"])

    def words(defect: str, version: str, of: Facts) -> str:
        row = chosen(rows, defect, of, version)
        return row.words or row.does if row is not None else ""

    assert words("projection_missing", "1.0", facts) == "A"
    assert words("projection_missing", "2.0", facts) == "B"
    assert words("expert_missing", "2.0", facts) == "B"
    assert words("expert_missing", "2.0", gate) == "silent"
    assert words("shape", "2.0", facts) == ""


@pytest.mark.parametrize("fault", [name for name in FAULTS if not name.startswith(("clean", "stacked"))])
def test_a_defect_is_told_from_others(fault: str, tmp_path: Path) -> None:
    """The name of a fault above begins with that of the defect."""
    write(FAULTS[fault], tmp_path / "ckpt")
    cases = open_cases(str(tmp_path / "ckpt"))
    judge(cases)
    found = {defect_of(it, cases[0]) for it in cases[0].told}
    assert max((name for name in DEFECTS if fault.startswith(name)), key=len) in found
