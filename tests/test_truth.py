"""Schemas against names and shapes that transformers' own model classes gave, 4.57 and 5.23."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from weightlint import schema as schemas
from weightlint.config import Config
from weightlint.expansion import expand
from weightlint.expected import Expected, Presence
from weightlint.index import Header, Index, Kind
from weightlint.join import join

DATA = Path(__file__).parents[1].parent / "shared" / "data"
TRUTH = sorted((*DATA.glob("hf4/*.json"), *DATA.glob("hf5/*.json")))
Names = dict[str, tuple[int, ...]]

pytestmark = pytest.mark.skipif(not TRUTH, reason="no dumps of transformers' classes beside the project")


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


@pytest.mark.parametrize("file", TRUTH, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_expansion_equals_the_model_class(file: Path) -> None:
    dump, config = load(file)
    schema = schemas.load(dump["model_type"])
    assert required(expand(schema, config)) == stored(dump)


def differs(dump: dict[str, Any]) -> bool:
    return "checkpoint" in dump and set(dump["checkpoint"]) != {*dump["params"], *dump["buffers"]}


FUSED = [file for file in TRUTH if file.parent.name == "hf5" and differs(json.loads(file.read_text()))]


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


PUBLISHED = {"deepseek_v2": 29_102, "deepseek_v3": 46_183}


@pytest.mark.parametrize("arch", schemas.names())
def test_every_schema_is_valid_and_finds_itself(arch: str) -> None:
    assert schemas.validate(schemas.path(arch)) == []
    schema = schemas.load(arch)
    assert schemas.detect(Config({"architectures": [*schema.architectures]})) == arch
