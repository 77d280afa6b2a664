"""Schema files: validation, inheritance, detection."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from weightlint import schema as schemas
from weightlint.config import Config
from weightlint.errors import SchemaError, UsageError
from weightlint.expansion import expand
from weightlint.names import fold

if TYPE_CHECKING:
    from pathlib import Path

LINE = {"name": "w", "kind": "linear", "shape": ["d"]}
TOY: dict[str, Any] = {
    "name": "toy",
    "config": {"d": {"type": "int"}},
    "block": [{"prefix": "", "tensors": [LINE]}],
}


def saved(folder: Path, table: dict[str, Any]) -> Path:
    path = folder / "toy.json"
    path.write_text(json.dumps(table))
    return path


@pytest.mark.parametrize("arch", schemas.names())
def test_every_bundled_schema_is_valid(arch: str) -> None:
    assert schemas.validate(schemas.path(arch)) == []


# what names alone can tell: the config says which of these it is
ALIKE = {
    "deepseek_v32": ["deepseek_v3", "deepseek_v32"],
    "glm_moe_dsa": ["deepseek_v3", "deepseek_v32"],
    "glm4_moe_lite": ["deepseek_v3"],
}


@pytest.mark.parametrize("arch", schemas.names())
def test_config_and_names_lead_to_the_schema(arch: str) -> None:
    schema = schemas.load(arch)
    config = Config(json.loads((schemas.folder() / "configs" / f"{arch}.json").read_text()))
    assert schemas.detect(config) == arch
    assert schemas.detect(Config({"model_type": schema.model_types[0]})) == arch
    templates = {fold(name)[0] for slot in expand(schema, config).slots for name in slot.names()[:1]}
    assert schemas.recognise(templates) == ALIKE.get(arch, [arch])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"blocks": []}, "blocks"),
        ({"block": [{"prefix": "", "tensors": [{**LINE, "shap": 1}]}]}, "shap"),
        ({"block": [{"prefix": "", "tensors": [{"name": "w"}]}]}, "'kind' is a required property"),
        (
            {"block": [{"prefix": "", "tensors": [{**LINE, "need": "optional"}]}]},
            "'why' is a required property",
        ),
        ({"block": [{"prefix": "", "tensors": [{**LINE, "kind": "liner"}]}]}, "liner"),
        ({"config": {"d": {"type": "integer"}}}, "integer"),
        ({"axes": {"a": {"of": "b"}}}, "axes.a"),
        ({"block": [{"prefix": "", "tensors": [{**LINE, "shape": ["e"]}]}]}, "w: e is in none of"),
        ({"block": [{"prefix": "{x}.", "tensors": [LINE]}]}, "no axis named 'x'"),
        ({"block": [{"prefix": "", "tensors": [{**LINE, "when": "d.__class__"}]}]}, "__class__"),
        ({"layout": [{"name": "f", "drop": ["v"], "tensors": [LINE]}]}, "drops v"),
        ({"ignore": [{"pattern": "{y}.*", "why": "z"}]}, "no axis named 'y'"),
        ({"extends": "no_such"}, "not to be had"),
        ({"let": {"k": "lambda: 1"}}, "not in the schema language"),
    ],
)
def test_validation_says_what_is_wrong(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    assert schemas.validate(saved(tmp_path, TOY)) == []
    problems = schemas.validate(saved(tmp_path, {**TOY, **change}))
    assert says in "\n".join(problems)


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "name = 1",
        "[[block]]\nprefix = 3",
        'name = "x"\nblock = 5',
        'extends = ["a"]',
        "\0",
        "a = " + "[" * 5000,
    ],
)
def test_damaged_files_are_schema_errors(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(SchemaError):
        schemas.read(path)
    assert schemas.validate(path)


def test_extends_overrides_drops_and_adds(tmp_path: Path) -> None:
    table = {
        "name": "mine",
        "extends": "llama",
        "let": {"twice": "2 * hidden_size"},
        "block": [
            {
                "prefix": "model.layers.{layer}.",
                "tensors": [
                    {"name": "input_layernorm.weight", "kind": "norm", "shape": ["twice"]},
                    {"name": "self_attn.q_proj.weight", "drop": True},
                    {"name": "extra.weight", "kind": "param", "shape": [1]},
                ],
            }
        ],
    }
    path = saved(tmp_path, table)
    assert schemas.validate(path) == []
    config = Config(json.loads((schemas.folder() / "configs" / "llama.json").read_text()))
    whole = {slot.pattern: slot.shape for slot in expand(schemas.load("llama"), config).slots}
    mine = {slot.pattern: slot.shape for slot in expand(schemas.read(path), config).slots}
    layer = "model.layers.{layer}."
    assert {*whole} - {*mine} == {f"{layer}self_attn.q_proj.weight"}
    assert {*mine} - {*whole} == {f"{layer}extra.weight"}
    assert {name for name in mine if whole.get(name) not in {mine[name], None}} == {
        f"{layer}input_layernorm.weight"
    }
    assert mine[f"{layer}input_layernorm.weight"] == (8192,)


def test_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UsageError, match="deepseek_v3"):
        schemas.path("deepseek_v33")
