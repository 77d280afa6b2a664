"""Read-only view of a model's config: names, aliases, nesting, defaults, types and limits.

Says which field is missing or bad; knows nothing of tensors.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KEYS = ("quantization_config", "compression_config")
"""Keys of a quantisation table; the second was compressed-tensors' own (transformers still reads it)."""

PARTS = ("text_config", "llm_config", "language_config")
"""Parts of a config in which a quantisation table may stand; source of the second: vLLM #13343."""

MAX_INT = 2**53
"""No dimension or count of a model is larger; what is, is damage."""


class FieldError(Exception):
    """A config field that a schema needs cannot be used."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name} {why}")
        self.name = name
        self.why = why


class MissingFieldError(FieldError):
    """A config field that a schema needs is not there."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "is not in the config")


class BadFieldError(FieldError):
    """A config field has a value that no model can have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSpec:
    """How a schema reads one field: a line of its `[config]` table.

    `stored` is the exact type of a GGUF key, `required` that the loader refuses a file without it. In
    place of the value an array of `items` may stand: the first counts, or each if the type is list. `even` says
    what a loader does where the items of the decoder's layers differ.
    """

    type: str = "int"
    aliases: tuple[str, ...] = ()
    default: str | None = None
    each: str | None = None
    over: str = "layer"
    nullable: bool = False
    min: str | None = None
    max: str | None = None
    stored: str | None = None
    required: bool = False
    items: str | None = None
    even: str | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """The parsed config file; `changes` are fields replaced to try out another value.

    `names` gives the file's own name of a field where it is not the Hugging Face one. `unsaid` is what holds where a
    quantisation table does not say it, `beside` a table that lies in a file of its own.
    """

    data: Mapping[str, Any]
    path: str = "config.json"
    changes: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    unsaid: Mapping[str, Any] = field(default_factory=dict)
    beside: Mapping[str, Any] | None = None

    def find(self, name: str, scope: str | None) -> tuple[bool, Any]:
        """Look a name up in the nested config `scope`, then at the top; a dotted name is absolute."""
        if name in self.changes:
            return True, self.changes[name]
        if "." in name:
            return _walk(self.data, name)
        if scope:
            there, inner = _walk(self.data, scope)
            if there and isinstance(inner, dict) and name in inner:
                return True, inner[name]
        return (True, self.data[name]) if name in self.data else (False, None)

    @property
    def noun(self) -> str:
        """Return what an entry is called."""
        return "field"

    def spelled(self, name: str) -> str:
        """Return a field as the user's file writes it."""
        return self.names.get(name, name)

    def with_change(self, name: str, value: object) -> Config:
        """Return the config as it would be with another value of one field."""
        return replace(self, changes={**self.changes, name: value})

    @property
    def architectures(self) -> tuple[str, ...]:
        """Class names that the config declares."""
        listed = self.data.get("architectures")
        return tuple(name for name in listed if isinstance(name, str)) if isinstance(listed, list) else ()

    @property
    def model_type(self) -> str | None:
        """Model type that the config declares."""
        value = self.data.get("model_type")
        return value if isinstance(value, str) else None

    @property
    def quantization(self) -> Mapping[str, Any] | None:
        """The quantisation table that the config declares, wherever it stands; what may stand in it or beside it is in it.

        MLX-LM writes it as `quantization`, in newer releases with a copy under the usual name; TensorRT-LLM has a table of that name
        as well, without bits. Compressed models of before 2024 have `compression_config`.
        """
        for holder in (self.data, *(self.data.get(part) for part in PARTS)):
            there = holder if isinstance(holder, dict) else {}
            for table in (there.get(key) for key in KEYS):
                if isinstance(table, dict):
                    beside = {key: there[key] for key in self.unsaid if key in there}
                    return {**self.unsaid, **beside, **table}
        own = self.data.get("quantization")
        return dict(own) if isinstance(own, dict) and "bits" in own else self.beside


def _walk(data: Mapping[str, Any], dotted: str) -> tuple[bool, Any]:
    value: Any = data
    for part in dotted.split("."):
        if not isinstance(value, dict) or part not in value:
            return False, None
        value = value[part]
    return True, value


def read(raw: bytes, path: str = "config.json") -> Config:
    """Parse a config file.

    Raises:
        ValueError: not a JSON object; the text says where it breaks.
    """
    try:
        data = json.loads(raw.decode("utf-8-sig"))
    except RecursionError as error:
        message = "nested too deeply"
        raise ValueError(message) from error
    if not isinstance(data, dict):
        message = f"a JSON {type(data).__name__} where an object is needed"
        raise ValueError(message)  # noqa: TRY004 -- one kind of error for every unusable text
    return Config(data, path)


def checked(spec: FieldSpec, name: str, value: object, bound: Callable[[str], int]) -> Any:
    """Return the value in the type that the spec names; `bound` computes its limits.

    Raises:
        BadFieldError: wrong type, or outside the limits.
    """
    value = _typed(spec.type, name, value)
    if isinstance(value, int) and not isinstance(value, bool):
        low = bound(spec.min) if spec.min else 0
        if value < low:
            raise BadFieldError(name, f"is {value}, below {low}")
        if spec.max and value > (high := bound(spec.max)):
            raise BadFieldError(name, f"is {value}, above {spec.max} = {high}")
    return value


def _typed(kind: str, name: str, value: object) -> Any:
    if isinstance(value, float) and kind == "int" and value.is_integer():
        value = int(value)
    if isinstance(value, int) and abs(value) > MAX_INT:
        raise BadFieldError(
            name,
            f"is {float(value):.3g}, which no model has" if abs(value) < 1e300 else "has over 300 digits",
        )
    if _fits(kind, value):
        return value
    raise BadFieldError(name, f"is {_shown(value)}, not {_ARTICLE.get(kind, kind)}")


def _fits(kind: str, value: object) -> bool:
    is_int = isinstance(value, int) and not isinstance(value, bool)
    match kind:
        case "int":
            return is_int
        case "float":
            return is_int or isinstance(value, float)
        case "bool":
            return isinstance(value, bool) or value in (0, 1)
        case "str":
            return isinstance(value, str)
        case "list":
            # a range stands for a long array of a GGUF file: its length is known, its items are not
            return isinstance(value, (list, range, str))
        case "map":
            return isinstance(value, dict)
    return True


_ARTICLE = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text",
    "list": "a list",
    "map": "a table",
}


def _shown(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
