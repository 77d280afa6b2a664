"""LoRA adapters as PEFT saves them: what adapter_config.json says, and what a tensor's name says.

Source: huggingface/peft, src/peft/tuners/lora/ and src/peft/utils/save_and_load.py. Regular expressions
in target_modules and rank_pattern are not run: a pattern from a file can take for ever.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from weightlint import config as configs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from weightlint.dtype import Shape

CONFIG = "adapter_config.json"
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
PREFIX = "base_model.model."
MAX_SEGMENTS = 32
"""Segments of a target that are looked at, from the end; the deepest real module has a dozen."""

_EXPRESSION = re.compile(r"[^\w.]")
_NAME = re.compile(
    r"(?P<module>.+?)\.(?:"
    r"lora_(?P<side>[AB])(?:\.(?P<adapter>(?!weight$|bias$)[^.]+))?\.(?P<leaf>weight|bias)"
    r"|lora_embedding_(?P<embedding>[AB])(?:\.(?P<named>[^.]+))?"
    r"|(?P<magnitude>lora_magnitude_vector)(?:\.weight)?"
    r"|base_layer\.(?P<copy>weight|bias)"
    r"|(?P<full>weight|bias))"
)


class Part(NamedTuple):
    """What a tensor of an adapter is: `role` of a `module` of the base, both without the wrapper's prefix.

    `role` is A, B, embedding_A, embedding_B, bias (of B), magnitude, copy (of the base's own tensor) or
    full (a tensor in place of the base's). `adapter` is a name of the adapter that was left in the middle.
    """

    module: str
    role: str
    adapter: str | None = None


class Row(NamedTuple):
    """One tensor of an adapter: its name, what it is and its shape."""

    name: str
    part: Part
    shape: Shape | None


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is wrong with these tensors; `warns` where not every loader minds."""

    message: str
    names: tuple[str, ...] = ()
    expected: str | None = None
    found: str | None = None
    warns: bool = False
    cure: str = ""


def many(names: Sequence[str]) -> str:
    """Return the subject of a sentence: one name, or how many tensors."""
    return f"{names[0]} has" if len(names) == 1 else f"{len(names):,} tensors have"


@dataclass(frozen=True, slots=True)
class Adapter:
    """What adapter_config.json says; empty where it is not there or cannot be read."""

    data: Mapping[str, Any] = field(default_factory=dict)
    there: bool = True

    @property
    def kind(self) -> str:
        """Return the method, in capitals as PEFT writes it."""
        return str(self.data.get("peft_type", "LORA")).upper()

    @property
    def rank(self) -> int | None:
        """Return the rank r that holds where no pattern gives another."""
        said = self.data.get("r")
        return said if isinstance(said, int) and not isinstance(said, bool) else None

    @property
    def targets(self) -> tuple[str, ...] | None:
        """Return the listed target modules, None where there is no list."""
        return _texts(self.data.get("target_modules"))

    @property
    def dora(self) -> bool:
        """Tell whether each pair has a magnitude beside it."""
        return self.data.get("use_dora") is True

    @property
    def patterns(self) -> dict[str, int]:
        """Return the ranks that are given for single modules or for regular expressions."""
        table = self.data.get("rank_pattern")
        listed = table.items() if isinstance(table, dict) else ()
        return {key: rank for key, rank in listed if type(rank) is int}

    def ranks(self) -> Callable[[str], set[int]]:
        """Return what gives the ranks that a module may have: its own, else r or that of any expression."""
        patterns = self.patterns
        usual = {rank for key, rank in patterns.items() if _EXPRESSION.search(key)}
        usual |= {self.rank} if self.rank is not None else set()
        return lambda module: {patterns[end] for end in endings(module) if end in patterns} or usual


def _texts(value: object) -> tuple[str, ...] | None:
    listed = isinstance(value, list) and all(isinstance(item, str) for item in value)
    return tuple(value) if listed and isinstance(value, list) else None


def parse(raw: bytes) -> Adapter:
    """Read adapter_config.json.

    Raises:
        ValueError: not a JSON object.
    """
    return Adapter(configs.read(raw, CONFIG).data)


def endings(module: str) -> list[str]:
    """Return a module and its last segments: what a target may be called to mean it."""
    parts = module.rsplit(".", MAX_SEGMENTS)
    return [".".join(parts[at:]) for at in range(len(parts))]


def part(name: str) -> Part | None:
    """Return what a tensor is by its name, or None where it is nothing that PEFT writes."""
    found = _NAME.fullmatch(name.removeprefix(PREFIX))
    if found is None:
        return None
    module = found["module"]
    if side := found["side"]:
        return Part(module, side if found["leaf"] == "weight" else "bias", found["adapter"])
    if side := found["embedding"]:
        return Part(module, f"embedding_{side}", found["named"])
    role = "magnitude" if found["magnitude"] else "copy" if found["copy"] else "full"
    return Part(module, role)
