"""How messages speak of a checkpoint: the order of dimensions, what its config is, how to get it anew.

One record per kind of file, so that rules say the same of a GGUF file in its own words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """Words for one kind of checkpoint.

    `dims` writes a row-major shape or its formula as the files do, `order` says which order that is
    where it is not row-major; `source` is what gives a value, `correct` says how to change a config; `agree` and `refetch` are cures that
    fit a config and tensors that contradict each other, and a tensor that is absent. `extra` is the cure for one that is too many, `refuses` says what
    the loader makes of a tensor that nobody asked for.
    """

    dims: Callable[[Sequence[object]], str]
    order: str
    source: str
    correct: str
    agree: str
    refetch: str
    extra: str
    refuses: str = ""


def _row_major(shape: Sequence[object]) -> str:
    return f"[{', '.join(map(str, shape))}]"


def _ggml(shape: Sequence[object]) -> str:
    return f"{{{', '.join(map(str, reversed(shape)))}}}"


CONFIG = Wording(
    dims=_row_major,
    order="",
    source="config",
    correct=", or take the config.json and the files of one revision",
    agree="take config.json and weights of one revision; if the config is right, download this shard again",
    extra="if they belong to an extended model, give its schema with --schema FILE; else remove them",
    refetch="download the shard again that should hold it; if no shard ever did, export the checkpoint again",
)
GGUF = Wording(
    dims=_ggml,
    order=" in ggml order",
    source="key",
    correct=" with gguf-set-metadata, or convert the original again",
    agree="convert the original again with convert_hf_to_gguf.py; if only a key is wrong, correct it with "
    "gguf-set-metadata",
    refetch="download the file again; if it never held it, convert the original again with "
    "convert_hf_to_gguf.py of a current llama.cpp",
    extra="load it with the program that it was made for, or a newer llama.cpp; or convert the original again",
    refuses="llama.cpp counts the tensors that it asked for and refuses the file (wrong number of tensors)",
)
