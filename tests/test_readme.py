"""What the README shows is what the code does; `WEIGHTLINT_UPDATE=1 pytest tests/test_readme.py` rewrites it."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import Any

import pytest
from toy import config, edited, toy

from weightlint import schema
from weightlint.api import RULES, check
from weightlint.drawer import Drawer

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
    stream = io.StringIO()
    writer: Drawer[Any] = Drawer("outputs", "OUTPUT")
    writer["text"](check(str(folder / "ckpt")), stream)
    text = stream.getvalue().replace(str(folder) + "/", "./")
    return f"```text\n{text.rstrip()}\n```"


def blocks(folder: Path) -> dict[str, str]:
    lost = [{"op": "drop", "tensor": f"model.layers.3.mlp.experts.{n}.down_proj.weight"} for n in range(4)]
    cut = {"op": "truncate", "file": "model-00001-of-00003.safetensors", "bytes": 100}
    return {
        "rules": rules(),
        "architectures": architectures(),
        "clean": output(folder / "clean"),
        "broken": output(folder / "broken", *lost, cut),
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
