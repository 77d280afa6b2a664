"""Small GGUF files for tests: keys, tensors of zeros, splits, both byte orders and all versions.

Keys are triples (key, type, value) with types as GGUF names them; of `arr` the value is a pair (type
of the items, items). Dimensions are ggml's, innermost first.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from weightlint.ggml import GGML
from weightlint.gguf.tensors import row_major

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

TYPES = ["u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "str", "arr", "u64", "i64", "f64"]
CODES = dict(zip(TYPES, "BbHhIif?..Qqd", strict=True))
IDS = {dtype.name: id_ for id_, dtype in GGML.items()}

Key = tuple[str, str, Any]


@dataclass(frozen=True)
class GgufTensor:
    """One tensor of zeros; `type` is a name, or an id that there need not be."""

    name: str
    ne: tuple[int, ...]
    type: str | int = "F32"

    @property
    def nbytes(self) -> int:
        size = GGML[IDS[self.type]].nbytes(row_major(self.ne)) if isinstance(self.type, str) else 0
        assert size is not None
        return size


@dataclass(frozen=True)
class GgufFile:
    """One file; `offsets` replace those that follow from the sizes."""

    keys: Sequence[Key] = (("general.architecture", "str", "llama"),)
    tensors: Sequence[GgufTensor] = ()
    version: int = 3
    order: str = "<"
    alignment: int = 32
    offsets: Sequence[int] | None = None

    def head(self) -> bytes:
        """Return everything before the padding that precedes the data."""
        out = [
            b"GGUF",
            self._pack("I", self.version),
            self._size(len(self.tensors)),
            self._size(len(self.keys)),
        ]
        for key, type_, value in self.keys:
            out += [self._text(key), self._pack("I", TYPES.index(type_)), self._value(type_, value)]
        for tensor, offset in zip(self.tensors, self.offsets or self.packed(), strict=True):
            type_id = IDS[tensor.type] if isinstance(tensor.type, str) else tensor.type
            dims = b"".join(map(self._size, tensor.ne))
            out += [
                self._text(tensor.name),
                self._pack("I", len(tensor.ne)),
                dims,
                self._pack("iQ", type_id, offset),
            ]
        return b"".join(out)

    def packed(self) -> list[int]:
        """Return the offsets that follow from the sizes."""
        out, at = [], 0
        for tensor in self.tensors:
            out.append(at)
            at += tensor.nbytes + -tensor.nbytes % self.alignment
        return out

    def data(self) -> bytes:
        """Return the whole file."""
        head = self.head()
        size = sum(tensor.nbytes + -tensor.nbytes % self.alignment for tensor in self.tensors)
        return head + bytes(-len(head) % self.alignment + size)

    def write(self, path: Path) -> Path:
        """Write the file and return where."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.data())
        return path

    def _pack(self, codes: str, *numbers: float) -> bytes:
        return struct.pack(self.order + codes, *numbers)

    def _size(self, number: int) -> bytes:
        return self._pack("I" if self.version == 1 else "Q", number)

    def _text(self, text: str | bytes) -> bytes:
        raw = text if isinstance(text, bytes) else text.encode()
        return self._size(len(raw)) + raw

    def _value(self, type_: str, value: Any) -> bytes:
        if type_ == "str":
            return self._text(value)
        if type_ == "arr":
            of, items = value
            head = self._pack("I", TYPES.index(of)) + self._size(len(items))
            return head + b"".join(self._value(of, item) for item in items)
        return self._pack(CODES[type_], value)


@dataclass
class Split:
    """A file cut into parts as llama.cpp's gguf-split does: all keys in the first one."""

    whole: GgufFile
    count: int
    base: str = "toy"
    parts: list[GgufFile] = field(default_factory=list)

    def __post_init__(self) -> None:
        tensors = self.whole.tensors
        per = -(-len(tensors) // self.count)
        for number in range(self.count):
            keys = [*(self.whole.keys if number == 0 else ())]
            keys += [("split.no", "u16", number), ("split.count", "u16", self.count)]
            keys += [("split.tensors.count", "i32", len(tensors))]
            mine = tensors[number * per : (number + 1) * per]
            self.parts.append(replace(self.whole, keys=keys, tensors=mine))

    def name(self, number: int) -> str:
        """Return the name of a part, counted from 1."""
        return f"{self.base}-{number:05d}-of-{self.count:05d}.gguf"

    def write(self, folder: Path) -> Path:
        """Write all parts and return the first."""
        for number, part in enumerate(self.parts, 1):
            part.write(folder / self.name(number))
        return folder / self.name(1)


def llama(layers: int = 2, *, type_: str = "F16") -> GgufFile:
    """Return a whole llama model with everything that llama.cpp asks for: 3 + 9 tensors per layer."""
    hidden, inner, heads, kv_heads, vocab = 64, 96, 4, 2, 32
    sizes: dict[str, object] = {
        "block_count": layers,
        "context_length": 64,
        "embedding_length": hidden,
        "feed_forward_length": inner,
        "attention.head_count": heads,
        "attention.head_count_kv": kv_heads,
        "rope.dimension_count": hidden // heads,
        "vocab_size": vocab,
    }
    keys: list[Key] = [("general.architecture", "str", "llama"), ("general.name", "str", "toy")]
    keys += [(f"llama.{key}", "u32", value) for key, value in sizes.items()]
    keys += [("llama.attention.layer_norm_rms_epsilon", "f32", 1e-5), ("llama.rope.freq_base", "f32", 1e4)]
    keys += [("tokenizer.ggml.model", "str", "no_vocab")]
    block = {
        "attn_norm": (hidden,),
        "attn_q": (hidden, hidden),
        "attn_k": (hidden, hidden // heads * kv_heads),
        "attn_v": (hidden, hidden // heads * kv_heads),
        "attn_output": (hidden, hidden),
        "ffn_norm": (hidden,),
        "ffn_gate": (hidden, inner),
        "ffn_up": (hidden, inner),
        "ffn_down": (inner, hidden),
    }
    shapes = {"token_embd": (hidden, vocab), "output_norm": (hidden,), "output": (hidden, vocab)}
    shapes |= {f"blk.{layer}.{name}": ne for layer in range(layers) for name, ne in block.items()}
    tensors = [
        GgufTensor(f"{name}.weight", ne, "F32" if len(ne) == 1 else type_) for name, ne in shapes.items()
    ]
    return GgufFile(keys, tensors)


def write(recipe: dict[str, Any], folder: Path) -> None:
    """Write a model as a recipe asks: its first tensors alone, in parts, with keys, tensors and offsets changed."""
    whole = llama()
    if "model" in recipe:
        from gguf_models import model

        whole = model(recipe["model"])
    if "first" in recipe:
        in_order = sorted(whole.tensors, key=lambda tensor: _layer(tensor.name))
        whole = replace(whole, tensors=in_order[: recipe["first"]])
    for edit in recipe.get("tensors", ()):
        whole = replace(whole, tensors=list(_edited(whole.tensors, edit)))
    parts = Split(whole, recipe["parts"]).parts if "parts" in recipe else [whole]
    for edit in recipe.get("keys", ()):
        at = edit.get("part", 1) - 1
        kept = [key for key in parts[at].keys if key[0] != edit["key"]]
        new = [(edit["key"], edit["type"], edit["value"])] if "value" in edit else []
        alignment = edit["value"] if edit["key"] == "general.alignment" else parts[at].alignment
        parts[at] = replace(parts[at], keys=[*kept, *new], alignment=alignment)
    for edit in recipe.get("offsets", ()):
        offsets = parts[0].packed()
        offsets[edit["tensor"]] += edit["add"]
        parts[0] = replace(parts[0], offsets=offsets)
    for at, part in enumerate(parts, 1):
        part.write(folder / (f"toy-{at:05d}-of-{len(parts):05d}.gguf" if "parts" in recipe else "toy.gguf"))
    for name in recipe.get("beside", ()):
        BESIDE[name].write(folder / f"{name}.gguf")


def _layer(name: str) -> int:
    """Return the number of a tensor's block; the embedding comes before all, norm and head after."""
    if name.startswith("blk."):
        return int(name.split(".")[1])
    return -1 if name.startswith("token_embd") else 1 << 30


def _edited(tensors: Sequence[GgufTensor], edit: dict[str, Any]) -> Iterator[GgufTensor]:
    """Drop, rename, retype or reshape the tensors that end as the edit says, or add one."""
    for tensor in tensors:
        if tensor.name != edit.get("name") and not tensor.name.endswith(edit.get("ends", "\0")):
            yield tensor
        elif not edit.get("drop"):
            name = edit.get("to", tensor.name)
            yield GgufTensor(name, tuple(edit.get("ne", tensor.ne)), edit.get("type", tensor.type))
    if "add" in edit:
        yield GgufTensor(edit["add"], tuple(edit["ne"]), edit["type"])


BESIDE = {
    "mmproj-toy": GgufFile(
        [("general.architecture", "str", "clip"), ("general.type", "str", "mmproj")],
        [GgufTensor("v.blk.0.attn_q.weight", (64, 64), "F16")],
    ),
    "toy-lora": GgufFile(
        [("general.architecture", "str", "llama"), ("general.type", "str", "adapter")],
        [
            GgufTensor("blk.0.attn_q.weight.lora_a", (64, 4)),
            GgufTensor("blk.0.attn_q.weight.lora_b", (4, 64)),
        ],
    ),
}
"""Files that lie beside a model and are none: a vision projector, an adapter."""
