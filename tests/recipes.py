"""A recipe becomes a checkpoint: a toy of some architecture, changed as the recipe's edits say.

Keys of a recipe: `arch` and `config` give the toy, `sizes` change fields before its tensors are made, `fused`
takes the schema's other layout, `edits` damage it; `published` asks for an architecture at full size, in sparse
files; `dialect`, `form`, `adapter`, `cut`, `dcp` and `gguf` say how it is spelt and stored.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import adapters
import cutting
import dcp_toy
import gguf_toy
from toy import config, damage, edited, expected_of, spelt, toy

from weightlint.api import DIALECTS
from weightlint.synth import synth

if TYPE_CHECKING:
    from pathlib import Path

    from toy import Toy


def write(asked: dict[str, Any], folder: Path) -> None:
    """Write the checkpoint that a recipe asks for."""
    if "gguf" in asked:
        gguf_toy.write(asked["gguf"], folder)
        if "config" in asked:
            (folder / "config.json").write_text(json.dumps(config(asked["config"])))
        for edit in asked.get("edits", ()):
            damage(folder, edit)
        return
    if "published" in asked:
        synth(folder, arch=asked["published"])
        return
    made = _made(asked)
    if "adapter" in asked:
        adapters.write(folder, made, asked["adapter"] | asked.get("says", {}))
    elif "cut" in asked:
        cutting.write_toy(folder, made, **asked["cut"])
    elif "dcp" in asked:
        dcp_toy.write_toy(folder, made, **asked["dcp"])
    else:
        made.write(folder)


def _made(asked: dict[str, Any]) -> Toy:
    """Return the toy with every edit but those of files."""
    table = config(asked["config"]) | asked.get("sizes", {})
    made = toy(asked["arch"], table, shards=asked.get("shards", 3), fused=asked.get("fused", False))
    if "dialect" in asked:
        dialect = DIALECTS[asked["dialect"]["name"]]
        written = dialect.rewrite(
            expected_of(asked["arch"], made.config), dialect.chosen(asked["dialect"].get("tags", ()))
        )
        made = spelt(written, made.config, shards=made.shards)
    made.form = asked.get("form", "safetensors")
    if "adapter" in asked:
        made = adapters.adapted(made, rank=asked["adapter"]["r"], targets=asked["adapter"]["target_modules"])
    for edit in asked.get("edits", ()):
        made = edited(made, edit)
    return made
