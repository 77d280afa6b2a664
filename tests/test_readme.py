"""What the README shows is what the code does; `WEIGHTLINT_UPDATE=1 pytest tests/test_readme.py` rewrites it."""

from __future__ import annotations

import io
import os
import re
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gguf_toy
import pytest
from click.testing import CliRunner
from filling import fill, put
from toy import config, edited, toy

from weightlint import schema
from weightlint.api import RULES, check, verify
from weightlint.cli import _app as app
from weightlint.drawer import Drawer
from weightlint.loader import Release
from weightlint.loading.prediction import contract_of

if TYPE_CHECKING:
    from weightlint.finding import Report

INDEXES = Path(__file__).parents[1] / "fixtures" / "indexes"
README = Path(__file__).parents[1] / "README.md"


def rules() -> str:
    rows = sorted((rule.code, rule) for rule in RULES.values())
    lines = [
        f'| <a id="{code.lower()}"></a>{code} | {rule.name} | {rule.level} | {rule.title} |'
        for code, rule in rows
    ]
    return "\n".join(["| code | name | level | says |", "|---|---|---|---|", *lines])


def architectures() -> str:
    lines = []
    for name in schema.every():
        about = schema.path(name).read_text().splitlines()[0].lstrip("# ").split(":")[0].rstrip(".")
        lines.append(f"| {name} | {schema.audience(name)} | {about} |")
    return "\n".join(["| schema | class | models |", "|---|---|---|", *lines])


def output(folder: Path, *edits: dict[str, Any]) -> str:
    made = toy("deepseek_v3", config("toy_deepseek_v3"))
    for edit in edits:
        made = edited(made, edit)
    made.write(folder / "ckpt")
    return _shown(folder / "ckpt", folder)


def _shown(target: Path, folder: Path, **options: str) -> str:
    return _written(check(str(target), **options), folder)


def _written(report: Report, folder: Path) -> str:
    stream = io.StringIO()
    writer: Drawer[Any] = Drawer("outputs", "OUTPUT")
    writer["text"](report, stream)
    text = stream.getvalue().replace(str(folder) + "/", "./")
    return f"```text\n{text.rstrip()}\n```"


def drawer(kind: str) -> str:
    rows = [(name, _page(f"weightlint.{kind}.{name}")) for name in Drawer[Any](kind, "")]
    return "\n".join(["| name | what it is |", "|---|---|", *(f"| {name} | {page} |" for name, page in rows)])


def _page(module: str) -> str:
    return (import_module(module).__doc__ or "").strip().partition("\n")[0]


def architectures_of_gguf() -> str:
    return ", ".join(f"`{name.removeprefix('gguf/')}`" for name in schema.names("gguf"))


def broken_gguf(folder: Path) -> str:
    made = gguf_toy.llama()
    keys = [(key, type_, 3 if key == "llama.block_count" else value) for key, type_, value in made.keys]
    tensors = [replace(it, type="F16") if it.name == "blk.1.ffn_norm.weight" else it for it in made.tensors]
    folder.mkdir()
    replace(made, keys=keys, tensors=tensors).write(folder / "model.gguf")
    return _shown(folder / "model.gguf", folder)


def loaded(folder: Path, name: str, *edits: dict[str, Any], **options: str) -> str:
    made = toy("deepseek_v3", config(name) | {"q_lora_rank": 32})
    for edit in edits:
        made = edited(made, edit)
    made.write(folder / "ckpt")
    return _shown(folder / "ckpt", folder, **options)


def verified(folder: Path) -> str:
    made = toy("deepseek_v3", config("toy_deepseek_v3") | {"hidden_size": 128, "moe_intermediate_size": 64})
    place = made.write(folder / "ckpt")
    fill(place)
    put(place, {"tensor": "model.layers.2.mlp.experts.1.down_proj.weight", "at": 256, "hex": "c07f"})
    put(
        place, {"tensor": "model.layers.3.mlp.experts.3.up_proj.weight", "at": 0, "hex": "00", "times": 16384}
    )
    report = verify(str(place))
    return _written(report, folder)


def plans() -> str:
    found = CliRunner().invoke(
        app.app,
        [
            "plan",
            str(INDEXES / "deepseek-r1.json"),
            "--gpus",
            "32",
            "--gpu",
            "h100",
            "--loader",
            "vllm@0.8.4",
        ],
    )
    return f"```text\n{found.output.rstrip()}\n```"


def loaders() -> str:
    rows = []
    for name, loader in Drawer[Any]("loaders", "LOADER").items():
        contract = contract_of(Release(loader, loader.newest))
        followed = (
            ", ".join(sorted({arch for it in contract.families for arch in it.archs})) if contract else ""
        )
        rows.append(f"| {name} | {_page(f'weightlint.loaders.{name}')} | {followed} |")
    return "\n".join(["| name | what it is | followed tensor by tensor |", "|---|---|---|", *rows])


def blocks(folder: Path) -> dict[str, str]:
    lost = [{"op": "drop", "tensor": f"model.layers.3.mlp.experts.{n}.down_proj.weight"} for n in range(4)]
    cut = {"op": "truncate", "file": "model-00001-of-00003.safetensors", "bytes": 100}
    return {
        "rules": rules(),
        "architectures": architectures(),
        "clean": output(folder / "clean"),
        "broken": output(folder / "broken", *lost, cut),
        "broken-gguf": broken_gguf(folder / "gguf"),
        "gguf": architectures_of_gguf(),
        "loader": loaded(
            folder / "loader",
            "toy_deepseek_v3_fp8",
            {"op": "drop", "tensor": "model.layers.2.mlp.experts.1.up_proj.*"},
            loader="vllm@0.33.0",
            plan="tp=2,pp=2",
        ),
        "fault": loaded(folder / "fault", "toy_deepseek_v3", loader="vllm@pr16383", plan="tp=2,pp=2"),
        "plan": plans(),
        "verify": verified(folder / "verify"),
        "loaders": loaders(),
        **{kind: drawer(kind) for kind in ("formats", "dialects", "shardings", "digests", "quants")},
    }


def test_readme_is_true(tmp_path: Path) -> None:
    text = README.read_text()
    for name, block in blocks(tmp_path).items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        assert pattern.search(text), name
        text = pattern.sub(lambda found, block=block: f"{found[1]}{block}\n{found[2]}", text)  # type: ignore[misc]
    if os.environ.get("WEIGHTLINT_UPDATE"):
        README.write_text(text)
    assert text == README.read_text()


@pytest.mark.parametrize("name", ["main job", "tests"])
def test_the_two_commands_are_marked(name: str) -> None:
    assert re.search(rf"<!-- {name} -->\n```sh\n[^\n]+\n```", README.read_text())
