"""How a contract file is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from weightlint import schema as schemas
from weightlint.errors import SchemaError
from weightlint.loading.contract import load, parse

if TYPE_CHECKING:
    from pathlib import Path

BASE: dict[str, Any] = {"loader": "toy", "says": "Toy"}
PLAIN = {"name": "plain", "archs": ["llama"], "versions": "<2", "tied": "alias", "vocab_pad": 8}


def parsed(*families: dict[str, Any], **more: object) -> Any:
    return parse(BASE | {"family": list(families)} | more, "toy.toml")


def test_the_last_family_that_fits_holds() -> None:
    later = {"name": "later", "like": "plain", "versions": ">=1", "tied": "write"}
    draft = {"name": "draft", "like": "later", "versions": "", "architectures": ["Draft"]}
    contract = parsed(PLAIN, later, draft)
    assert contract.family("llama", "0.5").name == "plain"
    assert contract.family("llama", "1.5", "LlamaForCausalLM").name == "later"
    assert contract.family("llama", "0.5", "Draft").name == "draft"
    assert contract.family("mixtral", "1.5") is None
    assert contract.family("llama", "1.5").vocab_pad == 8
    assert contract.family("llama", "1.5").tied == "write"


def test_a_name_stands_for_a_list() -> None:
    skip = {"do": "skip", "why": "scales", "suffixes": [".bias", "@scales"]}
    contract = parsed(PLAIN | {"scopes": [{"steps": [skip]}]}, lists={"scales": [".k_scale", ".v_scale"]})
    (scope,) = contract.families[0].scopes
    assert scope.steps[0]["suffixes"] == [".bias", ".k_scale", ".v_scale"]


@pytest.mark.parametrize(
    ("family", "why"),
    [
        (PLAIN | {"fuze": []}, "unknown key fuze"),
        (PLAIN | {"experts": {"paths": ""}}, "unknown key paths"),
        (PLAIN | {"quantised": {"list": []}}, "unknown key list"),
    ],
)
def test_unknown_keys(family: dict[str, Any], why: str) -> None:
    with pytest.raises(SchemaError, match=why):
        parsed(family)


def test_what_is_no_contract(tmp_path: Path) -> None:
    (tmp_path / "toy.json").write_text("[]")
    (tmp_path / "toy.toml").write_text("loader = ")
    for name in ("toy.json", "toy.toml", "absent.toml"):
        with pytest.raises(SchemaError, match=f"{name} is no contract"):
            load(tmp_path / name)


def test_faults_have_a_way_out() -> None:
    contract = load(schemas.folder() / "contracts" / "vllm.toml")
    assert all(fault.says and fault.cure and fault.archs for fault in contract.faults)
