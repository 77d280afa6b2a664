"""LoRA adapters for tests, with the names and shapes that PEFT gives them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from toy import Tensor, Toy, damage, table

if TYPE_CHECKING:
    from pathlib import Path

FILE = "adapter_model.safetensors"


def adapted(made: Toy, *, rank: int, targets: list[str]) -> Toy:
    """Return in place of a model the pairs for its modules of these names."""
    tensors = []
    for tensor in made.tensors:
        module = tensor.name.removesuffix(".weight")
        if module.rsplit(".", 1)[-1] in targets and len(tensor.shape) == 2:
            out, wide = tensor.shape
            name = f"base_model.model.{module}"
            tensors += [
                Tensor(f"{name}.lora_A.weight", "F32", (rank, wide), 1),
                Tensor(f"{name}.lora_B.weight", "F32", (out, rank), 1),
            ]
    return replace(made, tensors=tensors, shards=1)


def write(folder: Path, made: Toy, said: dict[str, Any], *, base: bool = True) -> Path:
    """Write the adapter, what it says of itself, and the config of its base."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_bytes(table(made.tensors))
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", **said}))
    if base:
        (folder / "config.json").write_text(json.dumps(made.config))
    for edit in made.after:
        damage(folder, edit)
    return folder
