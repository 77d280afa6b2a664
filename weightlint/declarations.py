"""Files beside the config in which some quantisers declare what they did; read where the config itself says nothing.

Sources: AutoGPTQ quantize_config.json, AutoAWQ quant_config.json, ModelOpt hf_quant_config.json, msmodelslim quant_model_description.json.
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from weightlint import config as configs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

FILES = {
    "quantize_config.json": "gptq",
    "quant_config.json": "awq",
    "hf_quant_config.json": "modelopt",
    "quant_model_description*.json": "modelslim",
}
"""The method that each file stands for where it names none."""

IN = "declared_in"
"""Key under which a table from such a file names that file."""


def completed(raw: bytes, names: Sequence[str], read: Callable[[str], bytes | None]) -> bytes:
    """Return a config with the table of the first such file that holds one, if it has none of its own."""
    found = [(name, FILES[form]) for form in FILES for name in names if fnmatchcase(name, form)]
    if not found:
        return raw
    config = _parsed(raw)
    if config is None or configs.Config(config).quantization is not None:
        return raw
    for name, method in found:
        table = _parsed(read(name) or b"")
        if table:
            return json.dumps({**config, "quantization_config": _table(table, method, name)}).encode()
    return raw


def _table(table: Mapping[str, Any], method: str, name: str) -> dict[str, Any]:
    inner = table.get("quantization")
    own = inner if method == "modelopt" and isinstance(inner, dict) else table
    if method == "gptq" and ("w_bit" in own or "zero_point" in own):
        method = "awq"
    return {"quant_method": method, **own, IN: name}


def _parsed(raw: bytes) -> dict[str, Any] | None:
    try:
        return dict(configs.read(raw).data)
    except ValueError:
        return None
