"""Folders that are laid out in other ways than Hugging Face's: one file, other names, another config."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from cutting import LLAMA, MIXTRAL, Cut, Model, meta, model, write

from weightlint.api import check
from weightlint.errors import NothingFoundError

if TYPE_CHECKING:
    from pathlib import Path

PARAMS = {
    "dim": 48, "n_layers": 4, "head_dim": 6, "hidden_dim": 80, "n_heads": 8, "n_kv_heads": 8,
    "norm_eps": 1e-05, "vocab_size": 64,
}  # fmt: skip
"""LLAMA of `cutting` as Mistral says it."""


def mistral() -> Model:
    """Return a LLaMA under Mistral's own names, which are Meta's."""
    (held,) = meta(model("llama", LLAMA), 1).values()
    return {name: kind for name, kind in held.items() if name != "rope.freqs"}


def folder(path: Path, cut: Cut, files: dict[str, Any]) -> Path:
    write(path, cut, None)
    for name, table in files.items():
        (path / name).write_text(json.dumps(table))
    return path


def test_mistrals_own_files_are_a_checkpoint(tmp_path: Path) -> None:
    path = folder(tmp_path, {"consolidated.safetensors": mistral()}, {"params.json": PARAMS})
    said = check(str(path))
    assert (said.findings, said.facts.arch, said.facts.dialect) == ((), "llama", "mistral")


def test_a_tensor_that_mistrals_own_file_lacks_is_named_as_it_names_it(tmp_path: Path) -> None:
    held = mistral()
    del held["layers.2.feed_forward.w2.weight"]
    path = folder(tmp_path, {"consolidated.safetensors": held}, {"params.json": PARAMS})
    (finding,) = check(str(path)).findings
    assert (finding.code, finding.place.tensors) == ("WL201", ("layers.2.feed_forward.w2.weight",))


def test_a_repository_of_mistral_with_both_sets(tmp_path: Path) -> None:
    cut = {"consolidated.safetensors": mistral(), "model.safetensors": model("llama", LLAMA)}
    path = folder(tmp_path, cut, {"params.json": PARAMS, "config.json": LLAMA})
    said = check(str(path))
    assert (said.findings, said.facts.dialect, said.facts.files) == ((), "hf", 1)


def test_mixtral_in_mistrals_own_names(tmp_path: Path) -> None:
    names = {"block_sparse_moe.gate": "feed_forward.gate", "block_sparse_moe.experts": "feed_forward.experts"}
    attention = {"q": "wq", "k": "wk", "v": "wv", "o": "wo"}
    names |= {f"self_attn.{key}_proj": f"attention.{name}" for key, name in attention.items()}
    names |= {"input_layernorm": "attention_norm", "post_attention_layernorm": "ffn_norm"}
    names |= {"model.layers": "layers", "model.embed_tokens": "tok_embeddings", "model.norm": "norm"}
    held: Model = {}
    for name, kind in model("mixtral", MIXTRAL).items():
        own = "output.weight" if name == "lm_head.weight" else name
        for old, new in names.items():
            own = own.replace(old, new)
        held[own] = kind
    params = {**PARAMS, "moe": {"num_experts": 8, "num_experts_per_tok": 2}}
    path = folder(tmp_path, {"consolidated.safetensors": held}, {"params.json": params})
    said = check(str(path))
    assert (said.findings, said.facts.arch, said.facts.dialect) == ((), "mixtral", "mistral")


def test_npz_files_are_named_where_nothing_else_is_there(tmp_path: Path) -> None:
    (tmp_path / "weights.npz").write_bytes(b"PK\x03\x04")
    with pytest.raises(NothingFoundError, match=r"\.npz"):
        check(str(tmp_path))


LITGPT = """
import json, sys
from pathlib import Path
import torch
from litgpt.config import Config
from litgpt.model import GPT
from litgpt.utils import save_config
for name, changes in json.loads(sys.argv[2]).items():
    config = Config.from_name(name, **changes)
    folder = Path(sys.argv[1]) / name
    folder.mkdir()
    torch.save(GPT(config).state_dict(), folder / "lit_model.pth")
    save_config(config, folder)
"""
SMALL = {
    "n_layer": 2, "n_embd": 64, "n_head": 4, "head_size": 16, "n_query_groups": 2, "intermediate_size": 96,
    "padded_vocab_size": 128,
}  # fmt: skip
MODELS = {
    "pythia-160m": ("gpt_neox", {**SMALL, "n_query_groups": 4}),
    "Llama-3-8B": ("llama", SMALL),
    "Mixtral-8x7B-v0.1": ("mixtral", SMALL),
}


@pytest.fixture(scope="module")
def litgpt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Let LitGPT write its models and configs, in a process of its own."""
    if find_spec("litgpt") is None:
        pytest.skip("litgpt is not installed")
    path = tmp_path_factory.mktemp("litgpt")
    wanted = json.dumps({name: changes for name, (_, changes) in MODELS.items()})
    words = [sys.executable, "-W", "ignore", "-c", LITGPT, str(path), wanted]
    subprocess.run(words, check=True, capture_output=True)
    return path


@pytest.mark.oracle
@pytest.mark.parametrize("name", MODELS)
def test_what_litgpt_writes_is_silent(litgpt: Path, name: str) -> None:
    said = check(str(litgpt / name))
    assert (said.findings, said.facts.arch, said.facts.dialect) == ((), MODELS[name][0], "litgpt")
    assert said.facts.checked == said.facts.tensors > 10


@pytest.mark.oracle
def test_litgpts_own_name_of_a_field_is_in_the_message(litgpt: Path, tmp_path: Path) -> None:
    text = (litgpt / "Llama-3-8B" / "model_config.yaml").read_text()
    (tmp_path / "model_config.yaml").write_text(text.replace("n_layer: 2", "n_layer: 3"))
    (tmp_path / "lit_model.pth").write_bytes((litgpt / "Llama-3-8B" / "lit_model.pth").read_bytes())
    (finding,) = check(str(tmp_path)).findings
    assert finding.message == "model_config.yaml says n_layer = 3, the tensors are those of 2"
