"""Contracts as files: their JSON Schema, what it refuses, and one of the user's own in place of a built-in one."""

from __future__ import annotations

import json
import os
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from contract_schema import schema
from recipes import write

from weightlint import expr
from weightlint import schema as schemas
from weightlint.api import check, load_map
from weightlint.cli import app
from weightlint.errors import SchemaError, UsageError
from weightlint.loader import LOADERS
from weightlint.loading.contract import load, parse
from weightlint.loading.stand_in import problems, stand_in

if TYPE_CHECKING:
    from pathlib import Path

META = schemas.folder() / "_meta" / "contract.schema.json"
FILES = sorted((schemas.folder() / "contracts").glob("*.toml"))
TOY = {"arch": "llama", "config": "toy_llama"}


def built_in(name: str) -> dict[str, Any]:
    text = (schemas.folder() / "contracts" / f"{name}.toml").read_text()
    return tomllib.loads(text)


def test_the_schema_is_that_of_the_records() -> None:
    text = json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("WEIGHTLINT_UPDATE"):
        META.write_text(text)
    assert META.read_text() == text


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_built_in_contract_is_valid(file: Path) -> None:
    table = tomllib.loads(file.read_text())
    assert problems(table) == []
    found = load(file)
    assert found.loader == file.stem
    assert found.loader in LOADERS
    known = {*schemas.names(), *schemas.names("gguf")}
    assert {*(found.unknown or {})} <= known
    archs = {arch for row in found.strictness for arch in row.archs}
    assert archs <= {name.removeprefix("gguf/") for name in known}
    assert all(expr.parse(fault.when) for fault in found.faults if fault.when)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"loader": 3}, "3 is not of type 'string'"),
        ({"strictness": [{"defect": "lost", "does": "raises"}]}, "'lost' is not one of"),
        ({"strictness": [{"defect": "missing", "does": "shrugs"}]}, "'shrugs' is not one of"),
        ({"fault": [{"name": "x"}]}, "'versions' is a required property"),
        ({"familie": []}, "'familie' was unexpected"),
        ({"family": [{"name": "x", "archs": "llama"}]}, "'llama' is not of type 'array'"),
    ],
)
def test_the_schema_refuses(change: dict[str, Any], why: str) -> None:
    assert why in " ".join(problems({"loader": "mlx", "says": "MLX-LM", **change}))


def test_a_step_that_there_is_not_is_refused() -> None:
    scope = {"steps": [{"do": "jump"}]}
    table = {"loader": "vllm", "says": "vLLM", "family": [{"name": "x", "scopes": [scope]}]}
    assert problems(table) != []


def test_a_contract_in_json_stands_in_for_the_built_in_one(tmp_path: Path) -> None:
    write(TOY, tmp_path / "ckpt")
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(built_in("vllm")))
    asked = {"loader": "vllm@0.8.4", "plan": "tp=2"}
    own = load_map(str(tmp_path / "ckpt"), contract=str(file), **asked)
    assert own == load_map(str(tmp_path / "ckpt"), **asked)


def test_what_stands_in_is_what_counts(tmp_path: Path) -> None:
    """With another contract the same checkpoint meets another fate; without --loader the file names the release."""
    drop = {"op": "drop", "tensor": "model.norm.weight"}
    write({**TOY, "edits": [drop]}, tmp_path / "ckpt")
    row = {"defect": "missing", "does": "raises", "words": "OddError: {name}"}
    table = {"loader": "mlx", "says": "MLX-LM", "recorded": ["0.30.1"], "strictness": [row]}
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(table))
    report = check(str(tmp_path / "ckpt"), contract=str(file))
    assert report.facts.loader == "mlx@0.30.1"
    assert "MLX-LM 0.30.1 raises OddError: model.norm.weight" in report.findings[0].message


def test_another_loader_than_that_of_the_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"loader": "mlx", "says": "MLX-LM"}))
    with pytest.raises(UsageError, match="is a contract of mlx, not of vllm"):
        stand_in(file, "vllm@0.8.4")
    assert str(stand_in(file, None)) == f"mlx@{LOADERS['mlx'].newest}"


@pytest.mark.parametrize(
    ("text", "why"), [("{", "is no contract"), ('{"loader": "mlx"}', "no valid contract")]
)
def test_a_broken_file_is_told(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "mine.json"
    file.write_text(text)
    with pytest.raises(SchemaError, match=why):
        stand_in(file, "mlx")


def test_the_command_line_takes_a_contract(tmp_path: Path) -> None:
    write(TOY, tmp_path / "ckpt")
    file = tmp_path / "vllm.json"
    file.write_text(json.dumps(built_in("vllm")))
    ckpt = str(tmp_path / "ckpt")
    checked = CliRunner().invoke(app, ["check", "--no-settings", "--contract", str(file), ckpt])
    assert checked.exit_code == 0
    assert "(vllm@0.33.0)" in checked.output
    mapped = CliRunner().invoke(app, ["map", "--contract", str(file), ckpt])
    assert mapped.exit_code == 0
    assert "model.embed_tokens.weight" in mapped.output


def test_an_unknown_key_is_refused_when_read_as_well() -> None:
    row = {"defect": "missing", "does": "raises", "word": "x"}
    with pytest.raises(SchemaError, match="unknown key word"):
        parse({"loader": "mlx", "says": "MLX-LM", "strictness": [row]}, "mine")
