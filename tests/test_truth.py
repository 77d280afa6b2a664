"""Schemas against names and shapes that transformers' own model classes gave, 4.57 and 5.23."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from weightlint import schema as schemas
from weightlint.config import Config
from weightlint.expansion import expand
from weightlint.expected import Expected, Presence
from weightlint.index import Header, Index, Kind
from weightlint.join import join
from weightlint.shrink import shrink

DATA = Path(__file__).parents[1].parent / "shared" / "data"
TRUTH = sorted((*DATA.glob("hf4/*.json"), *DATA.glob("hf5/*.json")))
Names = dict[str, tuple[int, ...]]

dumped = pytest.mark.skipif(not TRUTH, reason="no dumps of transformers' classes beside the project")


def load(file: Path) -> tuple[dict[str, Any], Config]:
    dump = json.loads(file.read_text())
    # transformers builds no MTP layers, whatever the config announces
    return dump, Config({**dump["config"], "num_nextn_predict_layers": 0})


def shapes(entries: dict[str, list[Any]]) -> Names:
    return {name: tuple(entry[0]) for name, entry in entries.items()}


def stored(dump: dict[str, Any]) -> Names:
    """Names as saved: those of 5.x run through its conversions backwards, of 4.x as they are."""
    return shapes(dump.get("checkpoint") or {**dump["params"], **dump["buffers"]})


def required(expected: Expected) -> Names:
    slots = (slot for slot in expected.slots if slot.need is Presence.REQUIRED)
    return {name: slot.shape for slot in slots for name in slot.names()}


@dumped
@pytest.mark.parametrize("file", TRUTH, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_expansion_equals_the_model_class(file: Path) -> None:
    dump, config = load(file)
    schema = schemas.load(dump["model_type"])
    assert required(expand(schema, config)) == stored(dump)


def differs(dump: dict[str, Any]) -> bool:
    return "checkpoint" in dump and set(dump["checkpoint"]) != {*dump["params"], *dump["buffers"]}


FUSED = [file for file in TRUTH if file.parent.name == "hf5" and differs(json.loads(file.read_text()))]


@dumped
@pytest.mark.parametrize("file", FUSED, ids=lambda file: file.stem)
def test_fused_names_of_transformers_5_are_as_good(file: Path) -> None:
    dump, config = load(file)
    held = shapes({**dump["params"], **dump["buffers"]})
    index = Index()
    index.add(
        "a", Header([*held], [Kind(None, shape) for shape in held.values()], [0] * len(held), [0] * len(held))
    )
    joined = join(index, expand(schemas.load(dump["model_type"]), config))
    assert (joined.unmet, joined.extra, joined.misfits) == (0, {}, {})
    assert sum(map(len, joined.matched.values())) == len(held)


# switches and counts that change which tensors there are
CHOICES: dict[str, list[Any]] = {
    "attention_bias": [True, False],
    "mlp_bias": [True, False],
    "qkv_bias": [True, False],
    "tie_word_embeddings": [True, False],
    "q_lora_rank": [None, 20],
    "num_key_value_heads": [1, 2, 4],
    "head_dim": [8, 24],
    "mlp_only_layers": [[], [0], [1, 2]],
    "decoder_sparse_step": [1, 2, 3],
    "first_k_dense_replace": [0, 1, 3],
    "n_shared_experts": [1, 3],
    "num_hidden_layers": [3, 4, 5],
    "vocab_size": [100, 257],
}
# the indexer of V3.2 reads the compressed queries, and null is a fault of the config
FIXED = {"deepseek_v32": {"q_lora_rank"}}


@pytest.mark.oracle
@pytest.mark.parametrize("arch", schemas.names())
def test_random_small_models_of_transformers_fit(arch: str) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    schema = schemas.load(arch)
    kind = getattr(transformers, schema.architectures[0], None)
    if kind is None:
        pytest.skip(f"transformers {transformers.__version__} has no {arch}")
    base = shrink(json.loads((schemas.folder() / "configs" / f"{arch}.json").read_text()))
    base |= {"num_nextn_predict_layers": 0, "quantization_config": None, "num_hidden_layers": 3}
    source = random.Random(arch)
    for _ in range(12):
        usable = {*schema.fields} - FIXED.get(arch, set()) & {*CHOICES}
        config = base | {name: source.choice(CHOICES[name]) for name in sorted(usable & {*CHOICES})}
        with torch.device("meta"):
            model = kind(
                kind.config_class(**{k: v for k, v in config.items() if v is not None or k in CHOICES})
            )
        tied = {"lm_head.weight", "embed_out.weight"} if config["tie_word_embeddings"] else set()
        held = {name: tuple(value.shape) for name, value in model.state_dict().items() if name not in tied}
        index = Index()
        index.add(
            "a", Header([*held], [Kind(None, it) for it in held.values()], [0] * len(held), [0] * len(held))
        )
        joined = join(index, expand(schema, Config(config)))
        assert (joined.unmet, joined.extra, joined.misfits) == (0, {}, {}), config
